//! One data connection of a test: it sends the pattern, or throws away what comes, and counts.

use super::pacing::Pacer;
use super::tally::Tally;
use crate::event::StreamInterval;
use crate::transport::{Connection, State, Transport};
use ports::Time;
use std::collections::BTreeSet;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) connection: Connection,
    /// The number in brackets.
    pub(crate) socket: u32,
    /// The number in the exchanged results.
    pub(crate) id: i64,
    pub(crate) sender: bool,
    pub(crate) pacer: Option<Pacer>,
    pub(crate) tally: Tally,
}

impl Stream {
    /// Moves at most `block` bytes, and as a sender no more than `budget`; returns how many.
    pub(crate) fn pump<T: Transport>(
        &mut self,
        transport: &mut T,
        now: Time,
        block: usize,
        budget: u64,
    ) -> u64 {
        let moved = if self.sender {
            let credit = self.pacer.as_ref().map_or(u64::MAX, |p| p.credit(now));
            let max = budget.min(credit).min(block as u64);
            if max == 0 {
                return 0;
            }
            let sent = transport.send_pattern(self.connection, usize::try_from(max).unwrap_or(block)) as u64;
            if let Some(pacer) = &mut self.pacer {
                pacer.spend(sent, now);
            }
            sent
        } else {
            transport.discard(self.connection, block) as u64
        };
        self.tally.count(moved);
        moved
    }

    /// Whether it is the schedule that holds the stream back, and not the network.
    pub(crate) fn waits_for_clock(&self, now: Time) -> bool {
        self.pacer.as_ref().is_some_and(|p| p.credit(now) == 0)
    }

    /// When the stream may go on by itself. A sender that has credit waits for the network.
    pub(crate) fn due(&self, now: Time) -> Time {
        self.pacer.as_ref().map(Pacer::due).filter(|&due| due > now).unwrap_or(Time::NEVER)
    }

    /// Ends the interval.
    pub(crate) fn close_interval<T: Transport>(&mut self, transport: &T) -> StreamInterval {
        let (bytes, tcp) = if self.sender {
            let (bytes, tcp) = self.tally.close_sender(&transport.info(self.connection));
            (bytes, Some(tcp))
        } else {
            (self.tally.close(), None)
        };
        StreamInterval { socket: self.socket, bytes, tcp }
    }

    /// Whether the connection can carry nothing more our way.
    pub(crate) fn dead<T: Transport>(&self, transport: &T) -> bool {
        match transport.state(self.connection) {
            State::Closed => true,
            State::PeerClosed => !self.sender,
            State::Connecting | State::Open => false,
        }
    }
}

/// The numbers in brackets that are taken: the same on both sides of a stock pair is no promise, but two tests
/// of one server must not share one.
#[derive(Debug, Default)]
pub(crate) struct SocketNumbers(BTreeSet<u32>);

impl SocketNumbers {
    /// The lowest free number: 5, 7, 9 and so on, as a stock client counts.
    pub(crate) fn take(&mut self) -> u32 {
        let free = (5..u32::MAX).step_by(2).find(|n| !self.0.contains(n)).unwrap_or(u32::MAX);
        self.0.insert(free);
        free
    }

    pub(crate) fn put_back(&mut self, number: u32) {
        self.0.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reused_only_when_free() {
        let mut n = SocketNumbers::default();
        assert_eq!([n.take(), n.take(), n.take()], [5, 7, 9]);
        n.put_back(7);
        assert_eq!([n.take(), n.take()], [7, 11]);
    }
}
