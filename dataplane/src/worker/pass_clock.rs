//! The time of a pass.

use std::time::Duration;

use ports::Time;

use super::idle::{Outcome, SHORT};

/// Passes that moved nothing for each reading of the clock, which takes as long as the rest of such a pass: what comes in
/// meanwhile is not to wait for that.
const UNTIMED: u32 = 8;
/// So short they have to be, or many of them would take too long.
const BRIEF: Duration = Duration::from_nanos(125);

/// Says when a pass is: at its beginning, or if nothing moved of late up to seven short passes before.
#[derive(Debug)]
pub(super) struct PassClock {
    read: fn() -> Time,
    now: Time,
    /// Passes since the clock was read.
    passes: u32,
    /// Those before took no longer than [`BRIEF`] each.
    brief: bool,
}

impl PassClock {
    /// A clock that is read by this.
    pub(super) fn new(read: fn() -> Time) -> Self {
        Self { read, now: read(), passes: 0, brief: false }
    }

    /// When the next pass is.
    pub(super) const fn now(&self) -> Time {
        self.now
    }

    /// After a pass.
    #[inline]
    pub(super) fn pass(&mut self, outcome: Outcome) {
        self.passes += 1;
        let skips = self.brief && self.passes < UNTIMED;
        if outcome.progress || !skips || outcome.deadline <= self.now + SHORT {
            let before = self.now;
            self.now = (self.read)();
            self.brief = !outcome.progress && self.now.since(before) <= BRIEF * self.passes;
            self.passes = 0;
        }
    }

    /// After a sleep.
    pub(super) fn wake(&mut self) {
        self.now = (self.read)();
        (self.passes, self.brief) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local!(static NOW: Cell<Time> = const { Cell::new(Time::ZERO) });

    const BUSY: Outcome = Outcome { progress: true, ..Outcome::NOTHING };

    fn pass(clock: &mut PassClock, outcome: Outcome, ns: u64) -> u64 {
        NOW.set(NOW.get() + Duration::from_nanos(ns));
        clock.pass(outcome);
        NOW.get().since(clock.now()).as_nanos().try_into().unwrap()
    }

    /// How far behind the clock is after each of some passes that moved nothing and took so long.
    fn behind(passes: usize, ns: u64) -> Vec<u64> {
        let mut clock = PassClock::new(|| NOW.get());
        pass(&mut clock, BUSY, 500);
        (0..passes).map(|_| pass(&mut clock, Outcome::NOTHING, ns)).collect()
    }

    #[test]
    fn short_passes_are_untimed_but_one_of_eight() {
        assert_eq!(behind(11, 20), [0, 20, 40, 60, 80, 100, 120, 140, 0, 20, 40]);
        assert_eq!(behind(4, 126), [0; 4], "these are long");
    }

    #[test]
    fn long_passes_among_short_ones_are_timed_from_the_next_reading_on() {
        let mut clock = PassClock::new(|| NOW.get());
        let passes = [20, 20, 20, 2000, 20, 20, 20, 20, 20, 2000, 2000];
        let behind = passes.map(|ns| pass(&mut clock, Outcome::NOTHING, ns));
        assert_eq!(behind, [0, 20, 40, 2040, 2060, 2080, 2100, 2120, 0, 0, 0]);
    }

    #[test]
    fn what_moves_and_what_is_due_is_timed() {
        let mut clock = PassClock::new(|| NOW.get());
        let due = |us| Outcome { deadline: NOW.get() + Duration::from_micros(us), ..Outcome::NOTHING };
        assert_eq!(pass(&mut clock, Outcome::NOTHING, 20), 0);
        assert_eq!(pass(&mut clock, due(30), 20), 20);
        assert_eq!(pass(&mut clock, due(19), 20), 0);
        assert_eq!(pass(&mut clock, Outcome::NOTHING, 20), 20);
        assert_eq!(pass(&mut clock, BUSY, 20), 0);
        assert_eq!(pass(&mut clock, Outcome::NOTHING, 20), 0);
        assert_eq!(pass(&mut clock, Outcome::NOTHING, 20), 20);
        NOW.set(NOW.get() + Duration::from_secs(1));
        clock.wake();
        assert_eq!(clock.now(), NOW.get());
        assert_eq!(pass(&mut clock, Outcome::NOTHING, 20), 0);
    }
}
