//! What came of the pings.

use ports::Time;

use super::flights::Arrival;
use crate::Pings;
use crate::latency::Recorder;
use crate::report::micros;

#[derive(Clone, Copy, Default)]
struct Counts {
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    duplicate: u64,
    stray: u64,
}

/// Counts and round-trip times of the interval that runs and of the run.
pub(super) struct Tally {
    interval: Counts,
    /// Of the intervals before.
    total: Counts,
    rtt: Recorder,
    began: Time,
    /// Start of the interval.
    since: Time,
}

impl Tally {
    pub(super) fn new() -> Self {
        let (interval, total) = (Counts::default(), Counts::default());
        Self { interval, total, rtt: Recorder::new(), began: Time::ZERO, since: Time::ZERO }
    }

    /// The run begins.
    pub(super) const fn begin(&mut self, now: Time) {
        (self.began, self.since) = (now, now);
    }

    pub(super) const fn sent(&mut self, pings: u64) {
        self.interval.sent += pings;
    }

    pub(super) const fn lost(&mut self, pings: u64) {
        self.interval.lost += pings;
    }

    pub(super) fn arrival(&mut self, arrival: Arrival) {
        let counts = &mut self.interval;
        match arrival {
            Arrival::InTime(took) => {
                counts.received += 1;
                self.rtt.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            }
            Arrival::Late => counts.late += 1,
            Arrival::Duplicate => counts.duplicate += 1,
            Arrival::Stray => counts.stray += 1,
        }
    }

    /// The interval that ends now. If nothing has happened, or nobody listens and it is not the `last`, it goes on instead.
    pub(super) fn end_interval(&mut self, now: Time, last: bool) -> Option<Pings> {
        let Counts { sent, received, lost, late, duplicate, stray } = self.interval;
        if sent + received + lost + late + duplicate + stray == 0 {
            return None;
        }
        let rtt = self.rtt.end_interval(last)?;
        self.total = self.sum();
        self.interval = Counts::default();
        let (since_us, interval_us) = (micros(self.since - self.began), micros(now - self.since));
        self.since = now;
        Some(Pings { since_us, interval_us, sent, received, lost, late, duplicate, stray, rtt })
    }

    /// The whole run, which ends now.
    pub(super) fn total(&self, now: Time) -> Pings {
        let Counts { sent, received, lost, late, duplicate, stray } = self.sum();
        let interval_us = micros(now - self.began);
        Pings {
            since_us: 0,
            interval_us,
            sent,
            received,
            lost,
            late,
            duplicate,
            stray,
            rtt: self.rtt.total(),
        }
    }

    const fn sum(&self) -> Counts {
        let (a, b) = (&self.interval, &self.total);
        Counts {
            sent: a.sent + b.sent,
            received: a.received + b.received,
            lost: a.lost + b.lost,
            late: a.late + b.late,
            duplicate: a.duplicate + b.duplicate,
            stray: a.stray + b.stray,
        }
    }
}
