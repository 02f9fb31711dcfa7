//! `-b`: a sender's schedule, read off the clock.
//!
//! Stock iperf3 looks at a 1 ms timer and sends blocks of 128 KiB until the average is right, which is a burst
//! at every tick. Here a sender is allowed a small quantum at a time, each due at its own instant, counted
//! from the start so that no rounding adds up. A late poll catches up, but by at most [`CATCH_UP`].

use ports::Time;
use std::time::Duration;

/// Most that is made up for after the sender could not send: longer stalls lower the rate instead of bursting.
const CATCH_UP: Duration = Duration::from_millis(100);
/// About how much time one quantum stands for, as long as it is more than a segment.
const QUANTUM: Duration = Duration::from_micros(100);

#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    /// Bits per second.
    bitrate: u64,
    /// Bytes that become due together.
    quantum: u64,
    origin: Time,
    /// Bytes sent since, and bytes forgiven.
    spent: u64,
}

impl Pacer {
    /// Sends of `segment` bytes or multiples of it; `burst` bytes at once if that is not zero.
    pub(crate) fn new(bitrate: u64, segment: u64, burst: u64, now: Time) -> Self {
        let in_quantum = bytes_in(bitrate, QUANTUM);
        let quantum = if burst > 0 { burst } else { (in_quantum - in_quantum % segment.max(1)).max(segment) };
        Self { bitrate: bitrate.max(1), quantum: quantum.max(1), origin: now, spent: 0 }
    }

    /// Bytes that may be sent now.
    pub(crate) fn credit(&mut self, now: Time) -> u64 {
        let due = bytes_in(self.bitrate, now.since(self.origin));
        let allowed = (due / self.quantum + 1).saturating_mul(self.quantum);
        let credit = allowed.saturating_sub(self.spent);
        let cap = bytes_in(self.bitrate, CATCH_UP).max(self.quantum);
        self.spent += credit.saturating_sub(cap);
        credit.min(cap)
    }

    /// Notes that `bytes` of the credit were used.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.spent += bytes;
    }

    /// When the credit grows next, once it is used up.
    pub(crate) fn due(&self) -> Time {
        let bytes = u128::from(self.spent - self.spent % self.quantum);
        let ns = (bytes * 8_000_000_000).div_ceil(u128::from(self.bitrate));
        self.origin + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// Whole bytes that `bitrate` comes to in `time`.
fn bytes_in(bitrate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bitrate) * time.as_nanos() / 8_000_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends whatever is due at each due time until `end`; returns bytes sent and the largest single send.
    fn run(pacer: &mut Pacer, end: Time) -> (u64, u64) {
        let (mut now, mut sent, mut largest) = (Time::ZERO, 0, 0);
        while now < end {
            let credit = pacer.credit(now);
            assert!(credit > 0, "due but no credit at {now:?}");
            pacer.spend(credit);
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
        pacer.spend(500_000);
        assert_eq!(pacer.due(), Time(50_000_000));
    }

    #[test]
    fn a_stall_is_made_up_for_within_bounds() {
        let mut pacer = Pacer::new(8_000_000, 1000, 0, Time::ZERO);
        pacer.spend(1000);
        assert_eq!(pacer.credit(Time(50_000_000)), 50_000);
        assert_eq!(pacer.credit(Time::from_secs(60)), 100_000);
    }

    proptest! {
        #[test]
        fn the_rate_is_kept(bitrate in 10_000u64..100_000_000_000, segment in 1u64..9000, burst in 0u64..2) {
            let mut pacer = Pacer::new(bitrate, segment, burst * 65_536, Time::ZERO);
            let end = Time(20_000_000);
            let (sent, _) = run(&mut pacer, end);
            let exact = bytes_in(bitrate, end.since(Time::ZERO));
            prop_assert!(sent >= exact && sent <= exact + pacer.quantum, "{sent} for {exact}");
        }
    }
}
