//! Segments on their way out: connections served in turn.

use std::time::Duration;

use ports::{Time, Tx};
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::State as TcpState;

use super::arp::arp_request;
use super::device::Wire;
use super::slot::Stage;
use super::{Stack, put};

/// Frames and bytes that one connection sends before the next has its turn.
const TURN_FRAMES: u64 = 64;
const TURN_BYTES: u64 = 256 << 10;

/// What came of serving one connection.
pub(super) enum Served {
    /// It has nothing more to send for now, or is gone.
    Idle,
    /// Its turn is over, but it has more.
    More,
    /// The port is full.
    Full,
}

impl Stack {
    /// Lets one connection send for one turn.
    pub(super) fn serve(&mut self, index: usize, tx: &mut dyn Tx) -> Served {
        if self.table.at(index).is_none_or(|slot| !slot.active) {
            return Served::Idle;
        }
        self.expire(index, tx);
        self.nudge(index, tx);
        let (frames, bytes) = (self.tally.frames + TURN_FRAMES, self.tally.bytes + TURN_BYTES);
        while self.tally.frames < frames && self.tally.bytes < bytes {
            if self.emit(index, tx) {
                continue;
            }
            if self.tally.full {
                return Served::Full;
            }
            self.rest(index);
            return Served::Idle;
        }
        Served::More
    }

    /// Sends one segment of a connection, if it has one and there is room.
    fn emit(&mut self, index: usize, tx: &mut dyn Tx) -> bool {
        let instant = self.instant();
        let Some(slot) = self.table.at_mut(index) else { return false };
        let (set, flow) = slot.parts();
        let mut wire = Wire { now: self.now, ..Wire::idle(&self.shape, tx, &mut self.tally) };
        wire.flow = Some(flow);
        self.iface.poll_egress(instant, &mut wire, set) == PollResult::SocketStateChanged
    }

    /// Ends what the stage itself ends.
    fn expire(&mut self, index: usize, tx: &mut dyn Tx) {
        let Some(slot) = self.table.at_mut(index).filter(|s| s.expires <= self.now) else { return };
        if slot.stage != Stage::HalfOpen {
            slot.socket_mut().abort();
            self.emit(index, tx);
        }
        self.forget(index);
    }

    /// Makes the socket send its oldest segment again, by showing it three duplicate acknowledgements.
    fn nudge(&mut self, index: usize, tx: &mut dyn Tx) {
        let now = self.now;
        let Some(slot) = self.table.at_mut(index) else { return };
        let Some(duplicate) = slot.flow.take_nudge(now) else { return };
        let (remote, silent) = (slot.tuple.remote, slot.flow.is_silent());
        if silent && let Some(hop) = self.neighbours.ask(remote, now) {
            put(&arp_request(self.config.mac.octets(), self.config.address, hop), tx);
        }
        for _ in 0..4 {
            self.show(index, duplicate, tx);
        }
    }

    /// Notes when a connection that has nothing to send wants to be served again, or lets it go.
    fn rest(&mut self, index: usize) {
        let instant = self.instant();
        let Some(slot) = self.table.at_mut(index) else { return };
        slot.active = false;
        let queued = slot.socket().send_queue();
        slot.flow.rested(queued);
        if slot.stage == Stage::Released && slot.is_over() {
            return self.forget(index);
        }
        let due = match self.iface.poll_at(instant, slot.set()) {
            // It says it has something to send and sends nothing: not a reason to spin.
            Some(at) if at <= instant => self.now + Duration::from_millis(1),
            Some(at) => Time(u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000)),
            None => Time::NEVER,
        };
        slot.due = due.min(slot.flow.deadline()).min(slot.expires);
        self.next_due = self.next_due.min(slot.due);
    }

    /// Lets a connection go, and with it its buffers.
    pub(super) fn forget(&mut self, index: usize) {
        let Some(slot) = self.table.at(index) else { return };
        if slot.socket().state() == TcpState::TimeWait {
            self.time_wait.insert(slot.tuple, slot.flow.numbers(), self.now);
        }
        if slot.stage == Stage::HalfOpen
            && let Some(listener) = self.listeners.at(slot.tuple.local_port)
        {
            listener.half_open -= 1;
        }
        self.table.remove(index);
    }
}
