//! Whether the acknowledgement of a super-frame waits for the next ones.
//!
//! Each second full-sized segment is acknowledged, and none late (RFC 9293, 3.8.6.3). To its sender a super-frame is one
//! segment, and each acknowledgement costs it time: a guest an interrupt, who writes little at a time nearly as much as a
//! frame. So what a slow sender sends shares one, up to two of the longest. A fast one waits for them more than it works on
//! them. A sender that cannot go on without one, since its window is full or it has no more, has to wait for it the longer;
//! what it sends is acknowledged at once for a while then.

use std::time::Duration;

use ports::Time;

/// Bytes that do not wait any more: more than one super-frame has, and less than two of the longest.
const ENOUGH: u32 = 100_000;
/// Longest and shortest wait for the next super-frame; the first of several waits no longer than twice the longest.
const LONGEST: Duration = Duration::from_millis(1);
const SHORTEST: Duration = Duration::from_micros(250);
/// The next is waited for as long as so many have taken to come of late.
const GAPS: u32 = 8;
/// A smoothed figure is of about so many: several come in one pass of the stack, without a gap.
const OF: u32 = 32;
/// So many are acknowledged at once after a wait that was in vain, at least and at most.
const FEW: u32 = 64;
const MANY: u32 = 4096;

/// The wait, and what there is to learn from those before.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    /// An acknowledgement waits since then, and at most until then.
    waits: Option<(Time, Time)>,
    last: Time,
    /// How long after the last a super-frame comes, and its bytes, smoothed.
    gap: Duration,
    bytes: u32,
    /// So many are still acknowledged at once, and so many more will be after the next wait in vain.
    at_once: u32,
    penalty: u32,
}

impl Default for Delay {
    fn default() -> Self {
        Self { waits: None, last: Time::ZERO, gap: LONGEST, bytes: 0, at_once: 0, penalty: FEW }
    }
}

impl Delay {
    /// A super-frame came at `now`: its bytes, and all that are not acknowledged with them. Says whether that waits.
    pub(super) fn arrived(&mut self, bytes: u32, all: u32, now: Time) -> bool {
        self.gap = (self.gap * (OF - 1) + now.since(self.last).min(LONGEST)) / OF;
        self.bytes = (self.bytes * (OF - 1) + bytes) / OF;
        self.last = now;
        let before = self.waits.take();
        if before.is_some() {
            self.penalty = (self.penalty - 1).max(FEW); // the next did come
        }
        if self.at_once > 0 {
            self.at_once -= 1;
        } else if all < ENOUGH && self.is_slow() {
            let since = before.map_or(now, |(since, _)| since);
            let until = now + (self.gap * GAPS).clamp(SHORTEST, LONGEST);
            self.waits = (now.since(since) < LONGEST).then_some((since, until));
        }
        self.waits.is_some()
    }

    /// Whether the sender sends less than a byte a nanosecond, 8 Gbit/s.
    const fn is_slow(&self) -> bool {
        (self.bytes as u128) < self.gap.as_nanos()
    }

    /// An acknowledgement left.
    pub(super) fn acknowledged(&mut self, now: Time) {
        if self.waits.take().is_some_and(|(_, until)| until <= now) {
            self.at_once = self.penalty;
            self.penalty = (self.penalty * 2).min(MANY);
        }
    }

    /// What must be acknowledged at once came.
    pub(super) const fn end(&mut self) {
        self.waits = None;
    }

    /// Until when an acknowledgement waits, if one does.
    pub(super) fn until(&self) -> Option<Time> {
        self.waits.map(|(_, until)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u32 = 65_160;

    const fn us(n: u64) -> Time {
        Time(n * 1000)
    }

    /// A sender that goes on: super-frames of so many bytes, so many us apart. Says how many acknowledgements that takes, and
    /// how many of them were due before a super-frame came.
    fn goes_on(delay: &mut Delay, bytes: u32, gap: u64, super_frames: u64) -> (u64, u64) {
        let (mut acknowledgements, mut late, mut all, mut now) = (0, 0, 0, us(1_000_000));
        for _ in 0..super_frames {
            now = now + Duration::from_micros(gap);
            late += u64::from(delay.until().is_some_and(|until| until < now));
            all += bytes;
            if !delay.arrived(bytes, all, now) {
                delay.acknowledged(now);
                (acknowledgements, all) = (acknowledgements + 1, 0);
            }
        }
        (acknowledgements, late)
    }

    #[test]
    fn what_a_slow_sender_sends_shares_acknowledgements() {
        for (bytes, gap, a_thousand_take) in
            [(LONG, 150, 500), (LONG, 400, 500), (8000, 20, 77), (8000, 200, 167)]
        {
            let (acknowledgements, late) = goes_on(&mut Delay::default(), bytes, gap, 1000);
            assert!(
                acknowledgements.abs_diff(a_thousand_take) <= 1,
                "{bytes} bytes, {gap} us: {acknowledgements}"
            );
            assert_eq!(late, 0, "{bytes} bytes, {gap} us");
        }
    }

    #[test]
    fn a_fast_one_is_acknowledged_at_once() {
        for (bytes, gap) in [(LONG, 0), (LONG, 25), (8000, 5)] {
            let mut delay = Delay::default();
            goes_on(&mut delay, bytes, gap, 200); // which is how long it takes to notice
            assert_eq!(goes_on(&mut delay, bytes, gap, 1000).0, 1000, "{bytes} bytes, {gap} us");
        }
    }

    #[test]
    fn the_wait_follows_the_gaps() {
        for (bytes, gap, wait) in [(2000, 10, 250), (LONG, 100, 800), (LONG, 300, 1000)] {
            let mut delay = Delay::default();
            goes_on(&mut delay, bytes, gap, 1000);
            delay.end();
            let now = delay.last + Duration::from_micros(gap);
            assert!(delay.arrived(bytes, bytes, now));
            let waits = delay.until().unwrap().since(now).as_micros();
            assert!(waits.abs_diff(wait) <= wait / 50, "{gap} us apart: {waits} us");
        }
    }

    /// Waits in vain; says how many super-frames are acknowledged at once then.
    fn in_vain(delay: &mut Delay, at: u64) -> u32 {
        assert!(delay.arrived(LONG, LONG, us(at)));
        delay.acknowledged(delay.until().unwrap());
        assert_eq!(delay.until(), None);
        let mut at_once = 0;
        while !delay.arrived(LONG, LONG, us(at + 1000 * (u64::from(at_once) + 1))) {
            at_once += 1;
        }
        delay.acknowledged(us(at)); // with something else
        at_once
    }

    #[test]
    fn who_waits_for_acknowledgements_is_made_to_wait_ever_more_rarely() {
        let mut delay = Delay::default();
        let at_once: Vec<_> = (1..10).map(|n| in_vain(&mut delay, n * 10_000_000)).collect();
        assert_eq!(at_once, [64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]);
        goes_on(&mut delay, LONG, 150, 20_000);
        assert_eq!(in_vain(&mut delay, 200_000_000), 64, "it went on for long");
    }

    #[test]
    fn an_acknowledgement_that_travels_with_something_else_says_nothing() {
        let mut delay = Delay::default();
        for n in 1..100 {
            assert!(delay.arrived(LONG, LONG, us(n * 1000)));
            delay.acknowledged(us(n * 1000 + 1));
        }
    }
}
