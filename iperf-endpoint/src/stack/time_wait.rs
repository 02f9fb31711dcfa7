//! Connections that are over on our side while the peer may not have heard (RFC 9293, 3.6.1).
//!
//! smoltcp keeps the whole socket, with its buffers, for ten seconds. A server that runs test after test would
//! drown in them; what is left to do fits into a few words.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ports::Time;

use super::segment::{Segment, Tuple, after, flag};

/// How long we answer for a connection that is over, as smoltcp does.
const WAIT: Duration = Duration::from_secs(10);
/// Most of them; beyond, the oldest is forgotten and its peer would be answered with RST.
const MOST: usize = 4096;

/// What a last acknowledgement says.
#[derive(Clone, Copy)]
struct Last {
    seq: u32,
    ack: u32,
    until: Time,
    /// A SYN was answered that may be an old one.
    knocked: bool,
}

/// The connections in TIME-WAIT.
#[derive(Default)]
pub(super) struct TimeWait {
    last: HashMap<u64, Last>,
    order: VecDeque<(Time, u64)>,
}

/// What to do with a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is for nobody here.
    Unknown,
    /// Nothing.
    Ignore,
    /// Acknowledge once more, with this sequence number and acknowledgement.
    Again(u32, u32),
}

impl TimeWait {
    /// A connection is over: our next sequence number, and the one we expect.
    pub(super) fn insert(&mut self, tuple: Tuple, (seq, ack): (u32, u32), now: Time) {
        self.expire(now);
        while self.order.len() >= MOST {
            self.forget_oldest();
        }
        let until = now + WAIT;
        self.last.insert(tuple.key(), Last { seq, ack, until, knocked: false });
        self.order.push_back((until, tuple.key()));
    }

    /// Whether the tuple is not to be used for a connection of ours yet.
    pub(super) fn holds(&self, tuple: Tuple) -> bool {
        self.last.contains_key(&tuple.key())
    }

    /// A segment of a tuple that has no connection.
    pub(super) fn answer(&mut self, s: &Segment, now: Time) -> Answer {
        if self.last.is_empty() {
            return Answer::Unknown;
        }
        self.expire(now);
        let key = s.tuple.key();
        let Some(last) = self.last.get_mut(&key) else { return Answer::Unknown };
        if s.has(flag::RST) {
            // A stray RST must not end the wait (RFC 1337). One that answers our answer to a SYN does: the peer has
            // started anew by the same port, with a smaller number, and would be kept out until it gives up.
            if last.knocked && s.seq == last.ack {
                self.last.remove(&key);
            }
            return Answer::Ignore;
        }
        if s.has(flag::SYN) && !s.has(flag::ACK) {
            if !after(last.ack, s.seq) {
                self.last.remove(&key); // a new incarnation (RFC 9293, 3.10.7.4)
                return Answer::Unknown;
            }
            last.knocked = true;
        }
        if s.len == 0 && s.flags & (flag::SYN | flag::FIN) == 0 {
            return Answer::Ignore; // nothing to acknowledge
        }
        Answer::Again(last.seq, last.ack)
    }

    fn expire(&mut self, now: Time) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((until, key)) = self.order.pop_front()
            && self.last.get(&key).is_some_and(|last| last.until == until)
        {
            self.last.remove(&key);
        }
    }
}
