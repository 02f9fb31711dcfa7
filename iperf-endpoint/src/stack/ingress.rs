//! Frames that came in: to their connection, to nobody, or to nothing.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::wire::TCP;
use ports::{Counters, Frame, Reason, Time, Tx, checksum};
use smoltcp::iface::PollIngressSingleResult;
use smoltcp::socket::tcp::State as TcpState;

use super::arp::arp_reply;
use super::config::is_host;
use super::device::Wire;
use super::flow::{Flow, Shown};
use super::segment::{BareAck, Segment, Tuple, flag};
use super::slot::{Slot, Stage, duration};
use super::table;
use super::time_wait::Answer;
use super::{Stack, put};
use crate::transport::SocketOptions;

/// A handshake that is not complete by then is forgotten.
const HALF_OPEN: Duration = Duration::from_secs(5);

impl Stack {
    pub(super) fn frame(&mut self, frame: &Frame<'_>, tx: &mut dyn Tx, counters: &Counters) {
        let (Some(bytes), Some((to, _))) = (frame.bytes(), frame.stations()) else {
            return counters.add_drops(Reason::Runt, 1);
        };
        // What the switch floods for others is no loss of ours.
        if to != self.config.mac && to.octets()[0] & 1 == 0 {
            return;
        }
        match bytes.get(12..14) {
            Some([0x08, 0x06]) => {
                if let Some(answer) = self.claim.heard(bytes, self.now) {
                    put(&answer, tx);
                }
                self.deliver(None, bytes, tx);
                self.neighbours.heard_arp(bytes, self.now);
                // Perhaps what some have waited for.
                self.table.indices().for_each(|index| self.activate(index));
            }
            Some([0x08, 0x00]) if self.is_welcome(bytes) => {
                if bytes.get(23) != Some(&TCP) {
                    if let Some((source, mac)) = self.asker(bytes) {
                        self.meet(source, mac, tx);
                    }
                    return self.deliver(None, bytes, tx);
                }
                let Some(segment) = Segment::parse(bytes) else {
                    return counters.add_drops(Reason::Error, 1);
                };
                if !segment.is_intact(frame) {
                    return counters.add_drops(Reason::BadChecksum, 1);
                }
                if segment.to == self.config.address {
                    self.segment(&segment, bytes, tx, counters);
                }
            }
            _ => {}
        }
    }

    /// Whether the source can be answered. smoltcp asserts as much only when it writes the answer.
    pub(super) fn is_welcome(&self, bytes: &[u8]) -> bool {
        let source = bytes.get(26..30).and_then(|b| b.first_chunk::<4>());
        source.is_some_and(|s| {
            let source = Ipv4Addr::from(*s);
            is_host(source) && source != self.config.address
        })
    }

    /// Who sent a datagram to us alone, and from which station, if its header is intact.
    fn asker(&self, bytes: &[u8]) -> Option<(Ipv4Addr, [u8; 6])> {
        let header = bytes.get(14..14 + usize::from(bytes.get(14)? & 0x0f) * 4)?;
        let (source, to) = (header.get(12..16)?.first_chunk::<4>()?, header.get(16..20)?);
        let ours = bytes.starts_with(&self.config.mac.octets()) && to == self.config.address.octets();
        let intact = checksum::fold(checksum::sum(header)) == 0xffff;
        let mac = *bytes.get(6..)?.first_chunk()?;
        (ours && intact).then_some((Ipv4Addr::from(*source), mac))
    }

    /// Makes sure that smoltcp can answer `source`, heard from the station `mac`.
    fn meet(&mut self, source: Ipv4Addr, mac: [u8; 6], tx: &mut dyn Tx) {
        if let Some(hop) = self.neighbours.heard(source, mac, self.now) {
            let reply = arp_reply(mac, hop, self.config.mac.octets(), self.config.address);
            self.deliver(None, &reply, tx);
        }
    }

    /// Makes sure that smoltcp can answer the peer of a connection, which `s` came from.
    fn meet_peer(&mut self, index: usize, s: &Segment, tx: &mut dyn Tx) {
        let Some(slot) = self.table.at_mut(index) else { return };
        if slot.mac == Some(s.mac) && self.neighbours.honours(slot.lease, self.now) {
            return;
        }
        slot.mac = Some(s.mac);
        self.meet(s.tuple.remote, s.mac, tx);
        let lease = self.neighbours.lease(self.now);
        if let Some(slot) = self.table.at_mut(index) {
            slot.lease = lease;
        }
    }

    pub(super) fn segment(&mut self, s: &Segment, bytes: &[u8], tx: &mut dyn Tx, counters: &Counters) {
        if let Some(index) = self.table.find(s.tuple) {
            return self.arrive(index, s, bytes, tx);
        }
        match self.time_wait.answer(s, self.now) {
            Answer::Unknown => {}
            Answer::Ignore => return,
            Answer::Again(seq, ack) => return self.last_ack(s, seq, ack, tx),
        }
        let knocks = s.flags & (flag::SYN | flag::ACK | flag::RST | flag::FIN) == flag::SYN;
        let listener = if knocks { self.listeners.at(s.tuple.local_port) } else { None };
        let Some(listener) = listener else {
            self.meet(s.tuple.remote, s.mac, tx);
            return self.deliver(None, bytes, tx); // which answers with RST
        };
        let options = listener.options;
        if !listener.has_room(self.config.backlog) {
            return counters.add_drops(Reason::Full, 1);
        }
        match self.admit(s, options) {
            Some(index) => self.arrive(index, s, bytes, tx),
            None => counters.add_drops(Reason::Full, 1),
        }
    }

    /// A socket that listens for this one peer.
    pub(super) fn admit(&mut self, s: &Segment, options: SocketOptions) -> Option<usize> {
        let port = s.tuple.local_port;
        let mut slot = self.new_slot(s.tuple, Stage::HalfOpen, options, None)?;
        slot.expires = self.now + HALF_OPEN;
        slot.socket_mut().listen(port).ok()?;
        let index = self.table.insert(slot)?;
        self.listeners.at(port)?.half_open += 1;
        Some(index)
    }

    pub(super) fn new_slot(
        &mut self,
        tuple: Tuple,
        stage: Stage,
        options: SocketOptions,
        timeout: Option<Duration>,
    ) -> Option<Slot> {
        if self.table.len() >= table::MOST {
            return None;
        }
        let window = options.window.unwrap_or_else(|| self.default_window());
        let mut buffers = self.table.buffers(window);
        buffers.prepare(options.no_delay, self.config.keep_alive, timeout);
        let mss = (self.shape.mtu() - 40).min(options.mss.map_or(usize::MAX, usize::from));
        let flow = Flow::new(u32::try_from(mss).unwrap_or(536));
        let mut slot = Slot::new(buffers, tuple, self.config.address, stage, flow);
        slot.options = options;
        Some(slot)
    }

    /// Many connections share what cache there is: buffers that together exceed it gain nothing.
    pub(super) fn default_window(&self) -> usize {
        let share = match self.table.len() {
            0..8 => 1,
            8..32 => 2,
            32..64 => 4,
            _ => 8,
        };
        (self.config.window / share).max(64 << 10)
    }

    /// Hands a segment to its connection.
    pub(super) fn arrive(&mut self, index: usize, s: &Segment, bytes: &[u8], tx: &mut dyn Tx) {
        self.meet_peer(index, s, tx);
        let Some(slot) = self.table.at_mut(index) else { return };
        let (step, pieces) = slot.flow.pieces(s);
        for i in 1..=pieces {
            self.acknowledge(index, s, i * step, tx);
        }
        let Some(slot) = self.table.at_mut(index) else { return };
        slot.flow.received(s, bytes, self.now);
        let before = slot.socket().state();
        match slot.options.mss.zip(s.mss(bytes).filter(|_| s.has(flag::SYN))) {
            Some((ours, (at, theirs))) if ours < theirs => self.with_smaller_mss(index, bytes, at, ours, tx),
            _ => self.deliver(Some(index), bytes, tx),
        }
        let Some(slot) = self.table.at_mut(index) else { return };
        if slot.stage == Stage::Released {
            slot.discard(usize::MAX);
        }
        if slot.socket().state() != before {
            self.changed(index, before, s);
        }
        self.activate_unless_delayed(index);
    }

    /// smoltcp knows no bound on the segments of one socket, but believes what the peer asks for.
    pub(super) fn with_smaller_mss(
        &mut self,
        index: usize,
        bytes: &[u8],
        at: usize,
        mss: u16,
        tx: &mut dyn Tx,
    ) {
        let mut copy = std::mem::take(&mut self.scratch);
        copy.clear();
        copy.extend_from_slice(bytes);
        if let Some(field) = copy.get_mut(at..at + 2) {
            field.copy_from_slice(&mss.to_be_bytes());
        }
        self.deliver(Some(index), &copy, tx);
        self.scratch = copy;
    }

    /// A socket changed its state on receiving `s`.
    pub(super) fn changed(&mut self, index: usize, before: TcpState, s: &Segment) {
        let name = self.table.name(index);
        let Some(slot) = self.table.at_mut(index) else { return };
        let after = slot.socket().state();
        slot.graceful |= before == TcpState::LastAck && !s.has(flag::RST);
        if matches!(after, TcpState::Established | TcpState::CloseWait)
            && matches!(before, TcpState::SynSent | TcpState::SynReceived)
        {
            slot.socket_mut().set_timeout(Some(duration(self.config.dead_after)));
            if slot.stage == Stage::HalfOpen {
                slot.stage = Stage::Waiting;
                slot.expires = Time::NEVER;
                if let Some(listener) = self.listeners.at(s.tuple.local_port) {
                    listener.half_open -= 1;
                    listener.queue.push_back(name);
                }
            }
        } else if slot.stage == Stage::HalfOpen && matches!(after, TcpState::Listen | TcpState::Closed) {
            self.forget(index); // the peer thought better of it
        }
    }

    /// Acknowledges a part of what `s` acknowledges.
    fn acknowledge(&mut self, index: usize, s: &Segment, at: u32, tx: &mut dyn Tx) {
        if let Some(piece) = self.table.at(index).map(|slot| slot.flow.piece(s, at)) {
            self.show(index, piece, tx);
        }
    }

    /// Shows an acknowledgement to the socket of a connection as if its peer had sent it.
    pub(super) fn show(&mut self, index: usize, Shown { seq, ack, window }: Shown, tx: &mut dyn Tx) {
        let Some((slot, from_mac)) = self.table.at(index).and_then(|slot| Some((slot, slot.mac?))) else {
            return;
        };
        let frame = BareAck {
            to_mac: self.config.mac.octets(),
            from_mac,
            from: slot.tuple.remote,
            to: self.config.address,
            from_port: slot.tuple.remote_port,
            to_port: slot.tuple.local_port,
            seq,
            ack,
            window,
        }
        .frame();
        self.deliver(Some(index), &frame, tx);
    }

    /// Calls smoltcp with a frame for a connection, or for nobody.
    pub(super) fn deliver(&mut self, index: Option<usize>, bytes: &[u8], tx: &mut dyn Tx) {
        let instant = self.instant();
        let mut wire =
            Wire { frame: Some(bytes), now: self.now, ..Wire::idle(&self.shape, tx, &mut self.tally) };
        let set = match index.and_then(|index| self.table.at_mut(index)) {
            Some(slot) => {
                let (set, flow) = slot.parts();
                wire.flow = Some(flow);
                set
            }
            None => &mut self.nobody,
        };
        let _: PollIngressSingleResult = self.iface.poll_ingress_single(instant, &mut wire, set);
    }

    pub(super) fn last_ack(&mut self, s: &Segment, seq: u32, ack: u32, tx: &mut dyn Tx) {
        let frame = BareAck {
            to_mac: s.mac,
            from_mac: self.config.mac.octets(),
            from: self.config.address,
            to: s.tuple.remote,
            from_port: s.tuple.local_port,
            to_port: s.tuple.remote_port,
            seq,
            ack,
            window: 0,
        }
        .frame();
        put(&frame, tx);
    }
}
