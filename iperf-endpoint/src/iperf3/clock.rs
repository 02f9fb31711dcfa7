//! The time line of one test: the omitted part, the intervals, the end.

use crate::config::Until;
use ports::Time;
use std::time::Duration;

/// What the clock says is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// An interval.
    Interval,
    /// The omitted part, and with it the interval.
    Omitted,
}

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Of the part that counts, or of the omitted part while that lasts.
    pub(crate) start: Time,
    /// End of the omitted part, while it lasts.
    omit_until: Option<Time>,
    interval: Duration,
    interval_start: Time,
    next_interval: Time,
}

impl Clock {
    /// An `interval` of zero is none.
    pub(crate) fn new(now: Time, omit: Duration, interval: Duration) -> Self {
        let omit_until = (!omit.is_zero()).then(|| now + omit);
        let mut clock =
            Self { start: now, omit_until, interval, interval_start: now, next_interval: Time::NEVER };
        clock.schedule(now);
        clock
    }

    fn schedule(&mut self, from: Time) {
        self.interval_start = from;
        self.next_interval = if self.interval.is_zero() { Time::NEVER } else { from + self.interval };
    }

    pub(crate) fn omitting(&self) -> bool {
        self.omit_until.is_some()
    }

    /// Whether no interval is to be reported but the whole test.
    pub(crate) fn is_silent(&self) -> bool {
        self.interval.is_zero()
    }

    /// What is over at `now`; call [`Self::advance`] with it after the interval is reported.
    pub(crate) fn tick(&self, now: Time) -> Option<Tick> {
        if self.omit_until.is_some_and(|t| t <= now) {
            Some(Tick::Omitted)
        } else {
            (self.next_interval <= now).then_some(Tick::Interval)
        }
    }

    pub(crate) fn advance(&mut self, tick: Tick, now: Time) {
        match tick {
            Tick::Omitted => {
                self.omit_until = None;
                self.start = now;
                self.schedule(now);
            }
            Tick::Interval => {
                self.interval_start = now;
                // On the grid of the start: a late poll does not shift the intervals that follow.
                while self.next_interval <= now {
                    self.next_interval = self.next_interval + self.interval;
                }
            }
        }
    }

    /// Seconds from the start to the beginning of the interval, and to `now`.
    pub(crate) fn span(&self, now: Time) -> (f64, f64) {
        (self.interval_start.since(self.start).as_secs_f64(), now.since(self.start).as_secs_f64())
    }

    /// Whether the running interval is too short to report if it carried nothing: a tenth, as in stock iperf3.
    pub(crate) fn is_sliver(&self, now: Time) -> bool {
        now.since(self.interval_start) * 10 < self.interval || now == self.interval_start
    }

    /// When a test by time ends; [`Time::NEVER`] while it is not known.
    pub(crate) fn end(&self, until: Until) -> Time {
        match until {
            Until::Time(t) if !t.is_zero() && !self.omitting() => self.start + t,
            _ => Time::NEVER,
        }
    }

    /// When [`Self::tick`] has something to say next.
    pub(crate) fn deadline(&self) -> Time {
        self.next_interval.min(self.omit_until.unwrap_or(Time::NEVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn intervals_stay_on_the_grid() {
        let mut c = Clock::new(Time::ZERO, Duration::ZERO, S);
        assert_eq!(c.tick(Time(999_999_999)), None);
        let late = Time(1_300_000_000);
        assert_eq!(c.tick(late), Some(Tick::Interval));
        assert_eq!(c.span(late), (0.0, 1.3));
        c.advance(Tick::Interval, late);
        assert_eq!(c.deadline(), Time::from_secs(2));
        assert!(c.is_sliver(Time(1_350_000_000)) && !c.is_sliver(Time(1_500_000_000)));
    }

    #[test]
    fn the_test_starts_after_the_omitted_part() {
        let mut c = Clock::new(Time::ZERO, S * 2, S);
        let until = Until::Time(S * 5);
        assert_eq!(c.end(until), Time::NEVER);
        c.advance(Tick::Interval, Time::from_secs(1));
        assert_eq!(c.tick(Time::from_secs(2)), Some(Tick::Omitted));
        c.advance(Tick::Omitted, Time::from_secs(2));
        assert!(!c.omitting());
        assert_eq!(c.end(until), Time::from_secs(7));
        assert_eq!(c.span(Time::from_secs(3)), (0.0, 1.0));
    }

    #[test]
    fn without_intervals_there_is_no_tick() {
        let c = Clock::new(Time::ZERO, Duration::ZERO, Duration::ZERO);
        assert_eq!((c.tick(Time::from_secs(99)), c.deadline()), (None, Time::NEVER));
        assert_eq!(c.end(Until::Time(Duration::ZERO)), Time::NEVER);
    }
}
