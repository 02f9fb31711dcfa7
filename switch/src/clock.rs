//! Age in eight bits: how a MAC table entry knows when its station was last heard.

use std::ops::RangeInclusive;
use std::time::Duration;

use ports::Time;

/// Ageing times that can be had; anything else is taken as the nearest of these.
const AGEING_NS: RangeInclusive<u64> = 1_000_000_000..=1_000_000_000_000_000;

/// Stamps from so few ticks ahead are of now: another worker read the clock later than this one.
const AHEAD: u8 = 16;

/// An ageing time, and the tick that goes with it: the power of two of nanoseconds of which an ageing time has
/// 32 to 63, so that no division is needed and stamps wrap (at 256 ticks) long after they are stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ageing {
    ns: u64,
    shift: u32,
}

impl Ageing {
    pub(crate) fn new(time: Duration) -> Self {
        Self::from_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn from_ns(ns: u64) -> Self {
        let ns = ns.clamp(*AGEING_NS.start(), *AGEING_NS.end());
        Self { ns, shift: ns.ilog2() - 5 }
    }

    pub(crate) const fn ns(self) -> u64 {
        self.ns
    }

    /// The clock's reading at `now`.
    pub(crate) const fn tick(self, now: Time) -> Tick {
        // A stamp may have been made at the end of its tick: one more than fit keeps every station its full time.
        #[expect(clippy::cast_possible_truncation, reason = "at most 63 + 1; and stamps count modulo 256")]
        let (stamp, limit) = ((now.0 >> self.shift) as u8, self.ns.div_ceil(1 << self.shift) as u8);
        Tick { stamp, limit }
    }

    /// Ticks as time.
    pub(crate) const fn time(self, ticks: u8) -> Duration {
        Duration::from_nanos((ticks as u64) << self.shift)
    }

    /// Time as ticks, the highest number if it is more.
    pub(crate) fn ticks(self, time: Duration) -> u8 {
        u8::try_from(time.as_nanos() >> self.shift).unwrap_or(u8::MAX)
    }
}

/// One reading of the table's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    /// What a station heard now is stamped with.
    pub(crate) stamp: u8,
    limit: u8,
}

impl Tick {
    /// Ticks since the stamp was made.
    pub(crate) const fn age(self, stamp: u8) -> u8 {
        let age = self.stamp.wrapping_sub(stamp);
        if age > u8::MAX - AHEAD { 0 } else { age }
    }

    /// Whether a station stamped so may still be where it was heard.
    #[inline]
    pub(crate) const fn is_fresh(self, stamp: u8) -> bool {
        // As `self.age(stamp) <= self.limit`, in one comparison.
        self.stamp.wrapping_sub(stamp).wrapping_add(AHEAD) <= self.limit + AHEAD
    }

    /// Whether a station of this age would be stale.
    pub(crate) const fn is_stale(self, ticks: u8) -> bool {
        ticks > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stations_live_their_time_and_a_sixteenth_at_most(
            ageing_ns in 1_000_000_000u64..10_000_000_000_000,
            heard in 0u64..1 << 60,
            part in 0.0..3.0f64,
        ) {
            let ageing = Ageing::from_ns(ageing_ns);
            let stamp = ageing.tick(Time(heard)).stamp;
            let age = (ageing_ns as f64 * part) as u64;
            let fresh = ageing.tick(Time(heard + age)).is_fresh(stamp);
            if age <= ageing_ns {
                prop_assert!(fresh);
            }
            if age > ageing_ns + ageing_ns / 16 {
                prop_assert!(!fresh);
            }
        }
    }

    #[test]
    fn fresh_is_what_is_not_stale() {
        let tick = Ageing::from_ns(1 << 30).tick(Time(0));
        assert!((0..=u8::MAX).all(|stamp| tick.is_fresh(stamp) != tick.is_stale(tick.age(stamp))));
    }

    #[test]
    fn a_stamp_from_ahead_is_of_now() {
        let tick = Ageing::from_ns(1 << 30).tick(Time(0));
        assert_eq!(tick.age(tick.stamp.wrapping_add(1)), 0);
        assert_eq!(tick.age(tick.stamp.wrapping_sub(1)), 1);
    }

    #[test]
    fn odd_times_become_the_nearest() {
        assert_eq!(Ageing::new(Duration::ZERO).ns(), 1_000_000_000);
        assert_eq!(Ageing::new(Duration::MAX).ns(), 1_000_000_000_000_000);
    }
}
