//! When frames are due.

use std::time::Duration;

use ports::Time;

use crate::Rate;

/// Sends bursts at their times on an absolute schedule, so that a late poll does not lower the rate. What a burst
/// took of the rate decides when the next one is due: frames of different sizes keep a rate in bits exactly.
///
/// After a stall at most as much as [`late`](Self::new) allows goes out late, and the burst that is due; beyond
/// that the schedule moves on and what was missed is forgone. (netmap's catches up without limit.)
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    rate: Rate,
    burst: usize,
    /// From burst to burst, of frames of mean size.
    period: Duration,
    /// How late a burst may be and still be sent.
    late: Duration,
    /// When the next burst is due.
    next: Time,
    /// What the whole nanoseconds of `next` leave out, in 1/rate ns.
    fraction: u64,
    /// Frames of the burst that is due, not sent yet.
    left: usize,
}

impl Pacer {
    /// Bursts are made small enough for this many a second, as netmap does, so that low rates stay even.
    const BURSTS_PER_SEC: u64 = 300;
    const SEC_NS: u64 = 1_000_000_000;

    /// Frames of `mean_len` bytes at `rate`, in bursts of up to `burst`, the first one due at `start`.
    ///
    /// Lateness of one burst is made up for, or of 1/300 s where bursts are smaller than the rate would allow:
    /// a program that shares its core is away that long now and then, and would never reach its rate otherwise.
    pub(crate) fn new(rate: Rate, burst: u32, mean_len: u32, start: Time) -> Self {
        let each = rate.cost(1, mean_len.into()).max(1);
        let even = match rate.per_s() {
            0 => u64::from(burst),
            per_s => (per_s / Self::BURSTS_PER_SEC / each).min(burst.into()),
        };
        let burst = even.max(1);
        let period_ns = (u128::from(burst) * u128::from(each) * u128::from(Self::SEC_NS))
            .checked_div(rate.per_s().into())
            .unwrap_or(0);
        let period = Duration::from_nanos(u64::try_from(period_ns).unwrap_or(u64::MAX));
        let late = period.max(Duration::from_nanos(Self::SEC_NS / Self::BURSTS_PER_SEC));
        let burst = usize::try_from(burst).unwrap_or(usize::MAX);
        Self { rate, burst, period, late, next: start, fraction: 0, left: 0 }
    }

    /// The next burst is due at `start`.
    pub(crate) const fn restart(&mut self, start: Time) {
        self.next = start;
    }

    /// Frames a burst.
    pub(crate) const fn burst(&self) -> usize {
        self.burst
    }

    /// Time from burst to burst, of frames of mean size, cut to nanoseconds; zero without a rate.
    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    /// Frames that may go now: what is left of one burst at most.
    pub(crate) fn due(&mut self, now: Time) -> usize {
        if self.rate.per_s() == 0 {
            return self.burst;
        }
        if self.next + self.late < now {
            self.next = Time(now.0 - u64::try_from(self.late.as_nanos()).unwrap_or(now.0));
        }
        if self.left == 0 && self.next <= now {
            self.left = self.burst;
        }
        self.left
    }

    /// Of those due, this many frames of so many bytes together were sent.
    pub(crate) fn sent(&mut self, frames: u64, bytes: u64) {
        let per_s = self.rate.per_s();
        if per_s == 0 {
            return;
        }
        self.left = self.left.saturating_sub(usize::try_from(frames).unwrap_or(usize::MAX));
        let scaled =
            u128::from(self.rate.cost(frames, bytes)) * u128::from(Self::SEC_NS) + u128::from(self.fraction);
        let ns = scaled / u128::from(per_s);
        self.next = Time(self.next.0.saturating_add(u64::try_from(ns).unwrap_or(u64::MAX)));
        self.fraction = u64::try_from(scaled - ns * u128::from(per_s)).unwrap_or(0);
    }

    /// When there will be something due, if everything due by now has been sent.
    pub(crate) const fn next(&self) -> Time {
        if self.rate.per_s() == 0 { Time::ZERO } else { self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u32 = 60;

    fn pps(frames: u64, burst: u32) -> Pacer {
        Pacer::new(Rate::Pps(frames), burst, LEN, Time::ZERO)
    }

    /// Frames sent by a sender that polls every `step` ns until `end` and always finds room.
    fn run(pacer: &mut Pacer, from: u64, end: u64, step: usize) -> u64 {
        let mut sent = 0;
        for now in (from..end).step_by(step) {
            let due = pacer.due(Time(now)) as u64;
            pacer.sent(due, due * u64::from(LEN));
            sent += due;
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
            (u64::from(u32::MAX), 512, 512, 119),
            (u64::MAX, 512, 512, 0),
        ] {
            let pacer = pps(rate, burst);
            assert_eq!((pacer.burst(), pacer.period()), (made, Duration::from_nanos(period_ns)), "{rate}");
        }
    }

    #[test]
    fn bursts_of_a_rate_in_bits_follow_from_the_mean_size() {
        for (bits, framing, len, burst, made, period_ns) in [
            (480_000, 0, 60, 512, 3, 3_000_000),
            (672_000, Rate::FRAMING, 60, 512, 3, 3_000_000),
            (10_000_000_000, 0, 1514, 512, 512, 620_134),
            (1, 0, 60, 512, 1, 480_000_000_000),
        ] {
            let pacer = Pacer::new(Rate::Bps { bits, framing }, burst, len, Time::ZERO);
            assert_eq!((pacer.burst(), pacer.period()), (made, Duration::from_nanos(period_ns)), "{bits}");
        }
    }

    #[test]
    fn the_rate_is_kept_without_drift() {
        for (rate, burst) in [(7, 1), (1000, 512), (999_983, 512), (3_000_000, 64)] {
            let mut pacer = Pacer::new(Rate::Pps(rate), burst, LEN, Time(5));
            let sent = run(&mut pacer, 5, 5 + 10 * Pacer::SEC_NS, 4999);
            let expected = 10 * rate;
            assert!(sent.abs_diff(expected) <= 2 * pacer.burst() as u64, "{rate}: {sent}");
        }
    }

    /// IMIX in bits a second: over any while the bits are right to a burst, whatever sizes came first.
    #[test]
    fn frames_of_any_size_keep_a_rate_in_bits() {
        for framing in [0, Rate::FRAMING] {
            let bits = 1_000_003;
            let mut pacer = Pacer::new(Rate::Bps { bits, framing }, 8, 360, Time::ZERO);
            let mut sizes = [60, 60, 60, 60, 60, 60, 60, 590, 590, 590, 590, 1514].into_iter().cycle();
            let mut on_wire = 0;
            for now in (0..20 * Pacer::SEC_NS).step_by(99_991) {
                for _ in 0..pacer.due(Time(now)) {
                    let len = sizes.next().unwrap_or(0);
                    pacer.sent(1, len);
                    on_wire += 8 * (len + u64::from(framing));
                }
                let expected = u128::from(now) * u128::from(bits) / u128::from(Pacer::SEC_NS);
                let most = 8 * 8 * (1514 + 24);
                assert!(u128::from(on_wire).abs_diff(expected) <= most, "{now}: {on_wire} for {expected}");
            }
        }
    }

    #[test]
    fn a_stall_is_made_up_for_by_one_burst_of_the_rate_at_most() {
        let second = Pacer::SEC_NS;
        for (rate, burst, extra) in [
            (1_000_000, 100, 1_000_000 / 300), // the largest burst that the rate allows
            (1_000_000, 65_536, 3333),
            (1000, 512, 3),
            (1, 512, 1),
        ] {
            let mut pacer = pps(rate, burst);
            let before = run(&mut pacer, 0, second, 1000);
            let stalled = 6 * second; // five seconds pass without a poll
            let after = run(&mut pacer, stalled, stalled + second, 1000);
            let burst = pacer.burst() as u64;
            assert!(before.abs_diff(rate) <= burst, "{rate}: {before}");
            assert!((rate..=rate + extra + burst).contains(&after), "{rate}: {after}");
        }
        let mut pacer = pps(1_000_000, 100);
        let late = 3_000_000; // a stall within the bound costs nothing
        let caught = run(&mut pacer, late, second, 1000);
        assert!(caught.abs_diff(1_000_000) <= 100, "{caught}");
    }

    #[test]
    fn what_found_no_room_stays_due() {
        let mut pacer = pps(300_000, 512);
        assert_eq!(pacer.due(Time(0)), 512);
        pacer.sent(500, 30_000);
        assert_eq!(pacer.due(Time(1)), 12);
        pacer.sent(12, 720);
        assert_eq!(pacer.due(Time(2)), 0);
        assert_eq!(pacer.next(), Time(1_706_666));
    }

    #[test]
    fn a_rate_beyond_reason_is_as_good_as_none() {
        let mut pacer = Pacer::new(Rate::Bps { bits: u64::MAX, framing: 24 }, 512, 65_536, Time::ZERO);
        assert_eq!(pacer.due(Time(0)), 512);
        pacer.sent(512, u64::MAX);
        pacer.sent(u64::MAX, u64::MAX);
        assert!(pacer.next() >= Time(0));
    }
}
