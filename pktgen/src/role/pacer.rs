//! When frames are due.

use std::time::Duration;

use ports::Time;

/// Sends bursts at their times on an absolute schedule, so that a late poll does not lower the rate.
///
/// After a stall at most [`CATCH_UP`](Self::CATCH_UP) worth of frames, and one burst more, go out late; beyond that
/// the schedule moves on and what was missed is forgone. (netmap's catches up without limit.)
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    /// Frames a second; zero is as fast as there is room.
    rate: u64,
    burst: usize,
    /// When the next burst is due.
    next: Time,
    /// What the whole nanoseconds of `next` leave out, in 1/rate ns.
    fraction: u64,
    /// Frames of the burst that is due, not sent yet.
    left: usize,
}

impl Pacer {
    /// How late a burst may be and still be sent.
    pub(crate) const CATCH_UP: Duration = Duration::from_millis(10);
    /// Bursts are made small enough for this many a second, as netmap does, so that low rates stay even.
    const BURSTS_PER_SEC: u32 = 300;
    const SEC_NS: u64 = 1_000_000_000;

    /// `rate_pps` frames a second (0: no limit) in bursts of up to `burst`, the first one due at `start`.
    pub(crate) fn new(rate_pps: u32, burst: u32, start: Time) -> Self {
        let even = if rate_pps == 0 { burst } else { burst.min(rate_pps / Self::BURSTS_PER_SEC) };
        let burst = usize::try_from(even.max(1)).unwrap_or(1);
        Self { rate: rate_pps.into(), burst, next: start, fraction: 0, left: 0 }
    }

    /// The next burst is due at `start`.
    pub(crate) const fn restart(&mut self, start: Time) {
        self.next = start;
    }

    /// Frames a burst.
    pub(crate) const fn burst(&self) -> usize {
        self.burst
    }

    /// Time from burst to burst, cut to nanoseconds; zero without a rate.
    pub(crate) const fn period(&self) -> Duration {
        match (self.burst as u64 * Self::SEC_NS).checked_div(self.rate) {
            Some(ns) => Duration::from_nanos(ns),
            None => Duration::ZERO,
        }
    }

    /// Frames that may go now: what is left of one burst at most.
    pub(crate) fn due(&mut self, now: Time) -> usize {
        if self.rate == 0 {
            return self.burst;
        }
        if self.next + Self::CATCH_UP < now {
            self.next = Time(now.0 - u64::try_from(Self::CATCH_UP.as_nanos()).unwrap_or(0));
        }
        if self.left == 0 && self.next <= now {
            self.left = self.burst;
            self.advance();
        }
        self.left
    }

    /// Frames of those due were sent.
    pub(crate) const fn sent(&mut self, frames: usize) {
        self.left = self.left.saturating_sub(frames);
    }

    /// When there will be something due, if everything due by now has been sent.
    pub(crate) const fn next(&self) -> Time {
        if self.rate == 0 { Time::ZERO } else { self.next }
    }

    fn advance(&mut self) {
        let scaled = self.burst as u64 * Self::SEC_NS + self.fraction;
        self.next = Time(self.next.0.saturating_add(scaled / self.rate));
        self.fraction = scaled % self.rate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames sent by a sender that polls every `step` ns until `end` and always finds room.
    fn run(pacer: &mut Pacer, from: u64, end: u64, step: usize) -> u64 {
        let mut sent = 0;
        for now in (from..end).step_by(step) {
            let due = pacer.due(Time(now));
            pacer.sent(due);
            sent += due as u64;
        }
        sent
    }

    #[test]
    fn bursts_and_periods_are_those_of_netmap() {
        for (rate, burst, made, period_ns) in [
            (0, 512, 512, 0),
            (1000, 512, 3, 3_000_000),
            (1, 512, 1, 1_000_000_000),
            (1_000_000, 512, 512, 512_000),
            (1_000_000, 1, 1, 1000),
            (u32::MAX, 512, 512, 119),
        ] {
            let pacer = Pacer::new(rate, burst, Time::ZERO);
            assert_eq!((pacer.burst(), pacer.period()), (made, Duration::from_nanos(period_ns)), "{rate}");
        }
    }

    #[test]
    fn the_rate_is_kept_without_drift() {
        for (rate, burst) in [(7, 1), (1000, 512), (999_983, 512), (3_000_000, 64)] {
            let mut pacer = Pacer::new(rate, burst, Time(5));
            let sent = run(&mut pacer, 5, 5 + 10 * Pacer::SEC_NS, 4999);
            let expected = 10 * u64::from(rate);
            assert!(sent.abs_diff(expected) <= 2 * pacer.burst() as u64, "{rate}: {sent}");
        }
    }

    #[test]
    fn a_stall_is_caught_up_within_the_bound_only() {
        let mut pacer = Pacer::new(1_000_000, 100, Time::ZERO);
        let before = run(&mut pacer, 0, Pacer::SEC_NS, 1000);
        let stalled = 6 * Pacer::SEC_NS; // five seconds pass without a poll
        let after = run(&mut pacer, stalled, stalled + Pacer::SEC_NS, 1000);
        assert!(before.abs_diff(1_000_000) <= 100, "{before}");
        assert!((1_000_000..=1_000_000 + 10_000 + 200).contains(&after), "{after}");
        let mut pacer = Pacer::new(1_000_000, 100, Time::ZERO);
        let late = 5_000_000; // a stall within the bound costs nothing
        let caught = run(&mut pacer, late, Pacer::SEC_NS, 1000);
        assert!(caught.abs_diff(1_000_000) <= 100, "{caught}");
    }

    #[test]
    fn what_found_no_room_stays_due() {
        let mut pacer = Pacer::new(300_000, 512, Time::ZERO);
        assert_eq!(pacer.due(Time(0)), 512);
        pacer.sent(500);
        assert_eq!(pacer.due(Time(1)), 12);
        pacer.sent(12);
        assert_eq!(pacer.due(Time(2)), 0);
        assert_eq!(pacer.next(), Time(1_706_666));
    }
}
