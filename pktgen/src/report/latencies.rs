//! What was measured of latency.

use serde::{Deserialize, Serialize};

use crate::Latency;

/// Pings of an interval, or of a run. What was sent is received or lost in the end, each ping once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pings {
    /// From the start of the run to that of the interval, microseconds.
    pub since_us: u64,
    /// Length of the interval, microseconds.
    pub interval_us: u64,
    /// Pings sent.
    pub sent: u64,
    /// Answers that came before their timeout.
    pub received: u64,
    /// Pings without an answer before their timeout.
    pub lost: u64,
    /// Answers that came after it, to pings that count as lost.
    pub late: u64,
    /// Further answers to pings that had been answered.
    pub duplicate: u64,
    /// Frames like answers, but to no ping of this run.
    pub stray: u64,
    /// Round-trip times of the answers received.
    pub rtt: Latency,
}

/// Stamped frames of an interval, or of a run, and how long each was under way. Sender and receiver read one clock:
/// it says something only of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delays {
    /// From the start of the run to that of the interval, microseconds.
    pub since_us: u64,
    /// Length of the interval, microseconds.
    pub interval_us: u64,
    /// Stamped frames received.
    pub received: u64,
    /// Frames missing between the lowest and the highest number seen so far. Falls when a missing one comes after all.
    pub lost: u64,
    /// From the pass that sent a frame to the pass that received it.
    pub delay: Latency,
}

impl Pings {
    /// Adds those of the next interval.
    pub(super) fn add(&mut self, next: &Self) {
        self.interval_us = next.since_us + next.interval_us - self.since_us;
        self.sent += next.sent;
        self.received += next.received;
        self.lost += next.lost;
        self.late += next.late;
        self.duplicate += next.duplicate;
        self.stray += next.stray;
        self.rtt.add(&next.rtt);
    }
}

impl Delays {
    /// Adds those of the next interval, which knows what is lost of all.
    pub(super) fn add(&mut self, next: &Self) {
        self.interval_us = next.since_us + next.interval_us - self.since_us;
        self.received += next.received;
        self.lost = next.lost;
        self.delay.add(&next.delay);
    }
}

/// Share of `lost` in `all`, percent; zero of none.
#[must_use]
pub(crate) fn percent(lost: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * lost as f64 / all as f64 }
}
