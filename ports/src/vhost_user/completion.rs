//! When a guest is called about what it transmitted.
//!
//! A call costs it an interrupt. What was taken off a ring its driver also sees whenever it transmits or receives, so that
//! one that goes on needs few, as the interrupts of a NIC are moderated. One that sends now and then is called at once.

use std::time::Duration;

use crate::Time;

/// Who transmits again within this time goes on.
const GOES_ON: Duration = Duration::from_micros(500);
/// How long such a guest goes without a call that it wants, and how many buffers it gets back meanwhile: two super-frames
/// have more, and a ring of 256 eight times as many, so that it has not to wait for them.
const DELAY: Duration = Duration::from_micros(150);
const BUFFERS: usize = 32;

/// What a guest was not called about yet.
#[derive(Debug)]
pub(super) struct Completion {
    /// Buffers given back since it was last looked at, and those before of which the guest wants to hear.
    given: usize,
    owed: usize,
    /// When it hears of them.
    due: Time,
    /// When there were any last.
    last: Time,
}

impl Default for Completion {
    fn default() -> Self {
        Self { given: 0, owed: 0, due: Time::NEVER, last: Time::ZERO }
    }
}

impl Completion {
    /// So many buffers were given back.
    #[inline]
    pub(super) const fn give(&mut self, buffers: usize) {
        self.given += buffers;
    }

    /// When to look at it again, whether any were given back or not.
    pub(super) const fn due(&self) -> Time {
        self.due
    }

    /// Whether to call the guest. What it wants is asked only where something is owed.
    #[inline]
    pub(super) fn calls(&mut self, now: Time, wanted: impl FnOnce() -> bool) -> bool {
        if self.given == 0 && now < self.due {
            return false;
        }
        if !wanted() {
            self.settle(); // it has seen them by itself, or has gone
            return false;
        }
        let goes_on = now.since(self.last) < GOES_ON;
        if self.given > 0 {
            self.last = now;
        }
        self.owed += std::mem::take(&mut self.given);
        if !goes_on || now >= self.due || self.owed >= BUFFERS {
            self.settle();
            return true;
        }
        self.due = self.due.min(now + DELAY);
        false
    }

    /// Nothing is owed.
    const fn settle(&mut self) {
        (self.given, self.owed, self.due) = (0, 0, Time::NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(n: u64) -> Time {
        Time(n * 1000)
    }

    /// Buffers given back at these times, us, each looked at then, and again whenever it is due; when the guest is called.
    fn called(given: impl IntoIterator<Item = u64>, wanted: bool) -> Vec<u64> {
        let mut completion = Completion::default();
        let mut calls = Vec::new();
        for at in given.into_iter().chain([1 << 40]) {
            while completion.due() < us(at) {
                let due = completion.due();
                assert!(completion.calls(due, || wanted), "it was put off again");
                calls.push(due.0 / 1000);
            }
            completion.give(1);
            if completion.calls(us(at), || wanted) {
                calls.push(at);
            }
        }
        calls.retain(|at| *at < 1 << 40);
        calls
    }

    #[test]
    fn who_sends_now_and_then_is_called_at_once() {
        assert_eq!(called([1000, 2000, 3000], true), [1000, 2000, 3000]);
    }

    #[test]
    fn who_goes_on_is_called_now_and_then() {
        assert_eq!(called((0..10).map(|n| 1000 + n * 20), true), [1000, 1170, 1330]);
        assert_eq!(called((0..4).map(|n| 1000 + n * 200), true), [1000, 1350, 1550, 1750]);
    }

    #[test]
    fn who_sends_much_is_called_before_it_runs_short() {
        let calls = called((0..100).map(|n| 1000 + n), true);
        assert_eq!(calls, [1000, 1032, 1064, 1096, 1247]);
    }

    #[test]
    fn who_wants_no_call_is_not_called() {
        assert!(called((0..100).map(|n| 1000 + n), false).is_empty());
    }

    #[test]
    fn what_the_guest_has_seen_by_itself_is_not_told() {
        let mut completion = Completion::default();
        completion.give(1);
        assert!(completion.calls(us(1000), || true));
        completion.give(1);
        assert!(!completion.calls(us(1100), || true));
        assert_eq!(completion.due(), us(1250));
        assert!(!completion.calls(us(1250), || false));
        assert_eq!(completion.due(), Time::NEVER);
    }

    #[test]
    fn nothing_is_asked_where_nothing_is_owed() {
        let mut completion = Completion::default();
        assert!(!completion.calls(us(1000), || unreachable!()));
        completion.give(1);
        completion.settle();
        assert!(!completion.calls(us(2000), || unreachable!()));
    }
}
