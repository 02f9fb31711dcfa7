//! A running test, the same on both sides: its streams, its clock, its report.

use super::clock::{Clock, Tick};
use super::pacing::Pacer;
use super::params::Params;
use super::results::{Results, StreamResult, stream_id};
use super::stream::{SocketNumbers, Stream};
use super::{CONGESTION, Turn};
use crate::config::{Direction, Until};
use crate::cpu::CpuTime;
use crate::event::{Cpu, Event, Interval, Role, StreamEnd, TestEnd, TestStart, Total};
use crate::transport::{Connection, Transport};
use ports::Time;
use std::time::Duration;

/// Blocks of each stream in one poll: enough to fill any window, few enough to let others have their turn.
const ROUNDS: usize = 16;
/// Bytes that a receiver takes at a time.
const GULP: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) number: u32,
    role: Role,
    params: Params,
    streams: Vec<Stream>,
    clock: Clock,
    /// Bytes that our senders have left, with `-n` and `-k`.
    budget: u64,
    /// When something last moved, or was held back by the schedule alone.
    moved: Time,
    cpu_start: CpuTime,
    cpu: Cpu,
    /// Set by [`Self::finish`].
    seconds: f64,
    released: bool,
}

impl Test {
    /// Starts on `connections`, in the order they were opened, and says so.
    pub(crate) fn start<T: Transport>(
        number: u32,
        role: Role,
        params: Params,
        interval: Duration,
        connections: &[Connection],
        numbers: &mut SocketNumbers,
        turn: &mut Turn<'_, T>,
    ) -> Self {
        let open = |(index, &connection): (usize, &Connection)| {
            let sender = is_sender(role, params.direction, index, usize::from(params.parallel));
            let mss = turn.transport.info(connection).mss.clamp(536, 1 << 16);
            let segment = u64::from(mss).min(params.length as u64);
            let burst = u64::from(params.burst) * params.length as u64;
            let paced = sender && params.bitrate > 0;
            let pacer = paced.then(|| Pacer::new(params.bitrate, segment, burst, turn.now));
            let (socket, id) = (numbers.take(), stream_id(index));
            Stream { connection, socket, id, sender, pacer, tally: Default::default() }
        };
        let streams: Vec<_> = connections.iter().enumerate().map(open).collect();
        let test = Self {
            number,
            role,
            params,
            streams,
            clock: Clock::new(turn.now, params.omit, interval),
            budget: budget(role, &params),
            moved: turn.now,
            cpu_start: (turn.cpu)(),
            cpu: Cpu::default(),
            seconds: 0.0,
            released: false,
        };
        test.announce(interval, turn);
        test
    }

    fn announce<T: Transport>(&self, interval: Duration, turn: &mut Turn<'_, T>) {
        for s in &self.streams {
            let (local, remote) = (turn.transport.local(s.connection), turn.transport.remote(s.connection));
            turn.say(Event::Connected { test: self.number, socket: s.socket, local, remote });
        }
        let p = &self.params;
        turn.say(Event::TestStart(TestStart {
            test: self.number,
            role: self.role,
            direction: p.direction,
            parallel: p.parallel,
            until: p.until,
            omit: p.omit,
            length: p.length,
            bitrate: p.bitrate,
            window: p.window,
            mss: p.mss,
            interval,
        }));
    }

    /// Moves data, then reports the intervals that are over; whether any moved. In this order a test that ends at the
    /// end of an interval leaves nothing for another, which would be without length.
    pub(crate) fn run<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let moved = self.pump(turn);
        while let Some(tick) = self.clock.tick(turn.now) {
            self.report_interval(turn);
            self.clock.advance(tick, turn.now);
            if tick == Tick::Omitted {
                self.streams.iter_mut().for_each(|s| s.tally.restart());
                self.budget = budget(self.role, &self.params);
            }
        }
        moved
    }

    fn pump<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let mut moved = 0;
        for _ in 0..ROUNDS {
            let mut round = 0;
            for s in &mut self.streams {
                let block = if s.sender { self.params.length } else { GULP };
                let n = s.pump(turn.transport, turn.now, block, self.budget);
                if s.sender && self.budget != u64::MAX {
                    self.budget -= n;
                }
                round += n;
            }
            moved += round;
            if round == 0 {
                break;
            }
        }
        if moved > 0 || self.streams.iter().any(|s| s.waits_for_clock(turn.now)) {
            self.moved = turn.now;
        }
        moved > 0
    }

    fn report_interval<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let empty = self.streams.iter().all(|s| s.tally.in_interval() == 0);
        if empty && self.clock.is_sliver(turn.now) {
            return;
        }
        let (start, end) = self.clock.span(turn.now);
        let omitted = self.clock.omitting();
        let streams = self.streams.iter_mut().map(|s| s.close_interval(turn.transport)).collect();
        if !(omitted && self.clock.is_silent()) {
            turn.say(Event::Interval(Interval { test: self.number, start, end, omitted, streams }));
        }
    }

    /// Stops counting and reports the last interval.
    pub(crate) fn finish<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        self.report_interval(turn);
        // What an omitted part carried is no result of a test that ended within it.
        let elapsed = if self.clock.omitting() { Duration::ZERO } else { turn.now.since(self.clock.start) };
        if self.clock.omitting() {
            self.streams.iter_mut().for_each(|s| s.tally.restart());
        }
        self.seconds = elapsed.as_secs_f64();
        self.cpu = (turn.cpu)().percent_since(self.cpu_start, elapsed + self.params.omit);
    }

    /// Whether the client's end condition is met. Of `-n` and `-k` what we sent must have been acknowledged,
    /// so that the receiver has it before it is told to stop counting.
    pub(crate) fn is_over<T: Transport>(&self, turn: &Turn<'_, T>) -> bool {
        let Some(bytes) = self.target() else { return self.clock.end(self.params.until) <= turn.now };
        let total =
            |sender| self.streams.iter().filter(|s| s.sender == sender).map(|s| s.tally.total()).sum::<u64>();
        let acknowledged = || self.streams.iter().all(|s| turn.transport.unacknowledged(s.connection) == 0);
        !self.clock.omitting() && (total(false) >= bytes || (total(true) >= bytes && acknowledged()))
    }

    /// Bytes that end the test, if bytes do.
    fn target(&self) -> Option<u64> {
        match self.params.until {
            Until::Time(_) => None,
            Until::Bytes(n) => Some(n),
            Until::Blocks(n) => Some(n.saturating_mul(self.params.length as u64)),
        }
    }

    /// Throws away what still comes; it no longer counts.
    pub(crate) fn drain<T: Transport>(&self, transport: &mut T) -> bool {
        let receivers = self.streams.iter().filter(|s| !s.sender);
        receivers.fold(false, |any, s| (transport.discard(s.connection, GULP) > 0) | any)
    }

    /// How long nothing has moved.
    pub(crate) fn idle(&self, now: Time) -> Duration {
        now.since(self.moved)
    }

    /// Whether a data connection ended before the test did.
    pub(crate) fn is_broken<T: Transport>(&self, transport: &T) -> bool {
        self.streams.iter().any(|s| s.dead(transport))
    }

    /// When the test wants to be polled without a frame.
    pub(crate) fn deadline(&self, now: Time) -> Time {
        let ours = self.clock.deadline().min(match self.role {
            Role::Client => self.clock.end(self.params.until),
            Role::Server => Time::NEVER,
        });
        self.streams.iter().filter(|s| s.sender && self.budget > 0).map(|s| s.due(now)).fold(ours, Ord::min)
    }

    /// What we tell the peer.
    pub(crate) fn results_json(&self) -> Vec<u8> {
        let stream = |s: &Stream| StreamResult {
            id: s.id,
            bytes: s.tally.total(),
            retransmits: s.sender.then(|| s.tally.retransmits()),
            seconds: self.seconds,
        };
        let sends = self.streams.iter().any(|s| s.sender);
        let results = Results {
            cpu: self.cpu,
            has_retransmits: if sends { 1 } else { -1 },
            congestion: Some(CONGESTION.to_owned()),
            streams: self.streams.iter().map(stream).collect(),
        };
        results.to_json(if self.params.direction == Direction::Both { 0 } else { -1 })
    }

    /// What is known of the test: our side, and the peer's if it told.
    pub(crate) fn end(&self, peer: Option<&Results>) -> TestEnd {
        let stream = |s: &Stream| {
            let ours = Some(Total { seconds: self.seconds, bytes: s.tally.total() });
            let told = peer.and_then(|p| p.stream(s.id));
            // Servers before 3.2 do not tell their times.
            let seconds = told.map(|t| t.seconds).filter(|&t| t > 0.0).unwrap_or(self.seconds);
            let theirs = told.map(|t| Total { seconds, bytes: t.bytes });
            let counted = peer.is_some_and(|p| p.has_retransmits == 1);
            StreamEnd {
                socket: s.socket,
                sender: s.sender,
                sent: if s.sender { ours } else { theirs },
                received: if s.sender { theirs } else { ours },
                retransmits: if s.sender {
                    Some(s.tally.retransmits())
                } else {
                    told.and_then(|t| t.retransmits).filter(|_| counted)
                },
                tcp: s.sender.then(|| s.tally.extremes()),
            }
        };
        TestEnd {
            test: self.number,
            streams: self.streams.iter().map(stream).collect(),
            host_cpu: self.cpu,
            remote_cpu: peer.map(|p| p.cpu).unwrap_or_default(),
            congestion: Some(CONGESTION.to_owned()),
            remote_congestion: peer.and_then(|p| p.congestion.clone()),
        }
    }

    /// Lets what our senders have queued go out behind a FIN: a stock client that reads on after the end would
    /// take a reset for an error.
    pub(crate) fn close_senders<T: Transport>(&self, transport: &mut T) {
        self.streams.iter().filter(|s| s.sender).for_each(|s| transport.close(s.connection));
    }

    /// Gives the connections back. Unread data is answered by a reset, as a kernel does.
    pub(crate) fn release<T: Transport>(&mut self, numbers: &mut SocketNumbers, transport: &mut T) {
        if !std::mem::replace(&mut self.released, true) {
            for s in &self.streams {
                transport.release(s.connection);
                numbers.put_back(s.socket);
            }
        }
    }
}

/// With `--bidir` the first connections carry the client's data and the rest the server's.
fn is_sender(role: Role, direction: Direction, index: usize, parallel: usize) -> bool {
    let client_sends = match direction {
        Direction::Forward => true,
        Direction::Reverse => false,
        Direction::Both => index < parallel,
    };
    client_sends == (role == Role::Client)
}

/// What our senders may send. A server that omitted a part does not hold back: its clock and the client's
/// cut the omitted part off at different bytes, and the client alone knows when it has its fill.
fn budget(role: Role, params: &Params) -> u64 {
    match params.until {
        Until::Time(_) => u64::MAX,
        _ if role == Role::Server && !params.omit.is_zero() => u64::MAX,
        Until::Bytes(n) => n,
        Until::Blocks(n) => n.saturating_mul(params.length as u64),
    }
}
