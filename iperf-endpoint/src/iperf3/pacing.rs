//! `-b`: a sender's schedule, read off the clock.
//!
//! Stock iperf3 looks at a 1 ms timer and sends blocks of 128 KiB until the average is right, which is a burst
//! at every tick. Here a sender is allowed a small quantum at a time, each due at its own instant, counted
//! from the start so that no rounding adds up. What a stall held back is made up for, as in stock iperf3, so that
//! the average is what was asked for; but at twice the rate, and not all at once.

use ports::Time;
use std::time::Duration;

/// What may go at once after a stall, as the time that it makes up for. On a busy machine a thread may well wait
/// tens of milliseconds for its core, again and again.
const AT_ONCE: Duration = Duration::from_millis(100);
/// About how much time one quantum stands for, as long as it is more than a segment.
const QUANTUM: Duration = Duration::from_micros(100);

#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    /// Bits per second.
    bitrate: u64,
    /// Bytes that become due together.
    quantum: u64,
    origin: Time,
    /// Bytes sent since.
    spent: u64,
    /// When what was sent so far would have been sent at twice the rate. In the future: nothing may go.
    rested: Time,
}

impl Pacer {
    /// Sends of `segment` bytes or multiples of it; `burst` bytes at once if that is not zero.
    pub(crate) fn new(bitrate: u64, segment: u64, burst: u64, now: Time) -> Self {
        let in_quantum = bytes_in(bitrate, QUANTUM);
        let quantum = if burst > 0 { burst } else { (in_quantum - in_quantum % segment.max(1)).max(segment) };
        Self { bitrate: bitrate.max(1), quantum: quantum.max(1), origin: now, spent: 0, rested: now }
    }

    /// Bytes that may be sent now.
    pub(crate) fn credit(&self, now: Time) -> u64 {
        if self.rested > now {
            return 0;
        }
        let due = bytes_in(self.bitrate, now.since(self.origin));
        let allowed = (due / self.quantum + 1).saturating_mul(self.quantum);
        let at_once = bytes_in(self.fast(), now.since(self.rested).min(AT_ONCE / 2)) + self.quantum;
        allowed.saturating_sub(self.spent).min(at_once)
    }

    /// Notes that `bytes` of the credit were used at `now`.
    pub(crate) fn spend(&mut self, bytes: u64, now: Time) {
        self.spent += bytes;
        let earliest = Time(now.0.saturating_sub(AT_ONCE.as_nanos() as u64 / 2));
        self.rested = self.rested.max(earliest) + time_of(bytes, self.fast());
    }

    /// When the credit grows next, once it is used up.
    pub(crate) fn due(&self) -> Time {
        let scheduled = self.origin + time_of(self.spent - self.spent % self.quantum, self.bitrate);
        scheduled.max(self.rested)
    }

    const fn fast(&self) -> u64 {
        self.bitrate.saturating_mul(2)
    }
}

/// Whole bytes that `bitrate` comes to in `time`.
fn bytes_in(bitrate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bitrate) * time.as_nanos() / 8_000_000_000).unwrap_or(u64::MAX)
}

/// What `bytes` take at `bitrate`, rounded up.
fn time_of(bytes: u64, bitrate: u64) -> Duration {
    let ns = (u128::from(bytes) * 8_000_000_000).div_ceil(u128::from(bitrate));
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends whatever is due at each due time up to `end`; returns bytes sent and the largest single send.
    fn run(pacer: &mut Pacer, end: Time) -> (u64, u64) {
        let (mut now, mut sent, mut largest) = (Time::ZERO, 0, 0);
        while now <= end {
            let credit = pacer.credit(now);
            assert!(credit > 0, "due but no credit at {now:?}");
            pacer.spend(credit, now);
            sent += credit;
            largest = largest.max(credit);
            assert_eq!(pacer.credit(now), 0);
            assert!(pacer.due() > now);
            now = pacer.due();
        }
        (sent, largest)
    }

    #[test]
    fn ten_megabits_go_segment_by_segment() {
        let mut pacer = Pacer::new(10_000_000, 1448, 0, Time::ZERO);
        let (sent, largest) = run(&mut pacer, Time::from_secs(10));
        assert_eq!(largest, 1448);
        assert!((12_500_000..12_500_000 + 1448).contains(&sent), "{sent}");
    }

    #[test]
    fn a_burst_goes_at_once() {
        let mut pacer = Pacer::new(80_000_000, 1448, 500_000, Time::ZERO);
        assert_eq!(pacer.credit(Time::ZERO), 500_000);
        pacer.spend(500_000, Time::ZERO);
        assert_eq!(pacer.due(), Time(50_000_000));
    }

    /// Sends what there is credit for, whenever there is, from `from` to `to`.
    fn go_on(pacer: &mut Pacer, from: Time, to: Time) -> u64 {
        let (mut now, mut sent) = (from, 0);
        while now <= to {
            let credit = pacer.credit(now);
            pacer.spend(credit, now);
            sent += credit;
            now = pacer.due();
        }
        sent
    }

    #[test]
    fn a_stall_is_made_up_for_at_twice_the_rate() {
        let mut pacer = Pacer::new(8_000_000, 1000, 0, Time::ZERO);
        let at_ms = |ms: u64| Time(ms * 1_000_000);
        pacer.spend(1000, Time::ZERO);
        assert_eq!(pacer.credit(at_ms(500)), 101_000, "a tenth of a second's worth, and the one that is due");
        let halfway = go_on(&mut pacer, at_ms(500), at_ms(750));
        assert!((601_000..=603_000).contains(&halfway), "{halfway}");
        let rest = go_on(&mut pacer, at_ms(751), at_ms(2000));
        assert_eq!(halfway + rest, 2_000_000, "a second after the stall, what was asked for");
    }

    fn keeps_the_rate(bitrate: u64, segment: u64, burst: u64) {
        let mut pacer = Pacer::new(bitrate, segment, burst, Time::ZERO);
        let end = Time(20_000_000);
        let (sent, _) = run(&mut pacer, end);
        let exact = bytes_in(bitrate, end.since(Time::ZERO));
        assert!(sent >= exact && sent <= exact + pacer.quantum, "{sent} for {exact}");
    }

    #[test]
    fn a_quantum_that_is_due_at_the_very_end_is_not_missed() {
        keeps_the_rate(94_004_838_800, 1, 65_536);
    }

    proptest! {
        #[test]
        fn the_rate_is_kept(bitrate in 10_000u64..100_000_000_000, segment in 1u64..9000, burst in 0u64..2) {
            keeps_the_rate(bitrate, segment, burst * 65_536);
        }
    }
}
