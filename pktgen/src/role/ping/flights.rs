//! Pings under way, and what becomes of them.

use std::time::Duration;

use ports::Time;

/// The latest pings by their sequence numbers, which count from any start and wrap.
///
/// A ping is waited for until it is answered, or until its timeout: then it is lost, though its answer may still come
/// late. Further answers to it are duplicates.
pub(super) struct Flights {
    /// A power of two of them; a ping has the one that its sequence number ends in.
    slots: Box<[Flight]>,
    /// Sequence number of the next one to depart.
    next: u32,
    departed: u64,
    /// None before this one is waited for.
    oldest: u32,
    waiting: usize,
    timeout: Duration,
}

#[derive(Clone, Copy)]
struct Flight {
    at: Time,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Answered, or never sent.
    Landed,
    Waiting,
    Lost,
}

/// What an answer turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The answer to a ping sent so long ago.
    InTime(Duration),
    /// The answer to a ping that counts as lost.
    Late,
    /// Another answer to the same ping.
    Duplicate,
    /// No answer to any ping of this run.
    Stray,
}

impl Flights {
    /// Answers are remembered for this many pings at least, to tell what is late from what is twice.
    const MEMORY: usize = 4096;
    /// Most pings under way at a time.
    pub(super) const MOST: usize = 1 << 20;

    /// Room for `most` pings under way, up to [`Self::MOST`], numbered from `first`.
    pub(super) fn new(first: u32, most: usize, timeout: Duration) -> Self {
        let len = most.clamp(Self::MEMORY, Self::MOST).next_power_of_two();
        let slots = vec![Flight { at: Time::ZERO, state: State::Landed }; len].into_boxed_slice();
        Self { slots, next: first, departed: 0, oldest: first, waiting: 0, timeout }
    }

    /// Pings that are waited for.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// When the oldest of them will be lost.
    pub(super) fn deadline(&self) -> Time {
        if self.waiting == 0 { Time::NEVER } else { self.slots[self.slot(self.oldest)].at + self.timeout }
    }

    /// The sequence number of the next ping; `None` while there is no room for another.
    pub(super) fn next(&self) -> Option<u32> {
        (self.slots[self.slot(self.next)].state != State::Waiting).then_some(self.next)
    }

    /// The next ping is sent.
    pub(super) fn depart(&mut self, now: Time) {
        let slot = self.slot(self.next);
        self.slots[slot] = Flight { at: now, state: State::Waiting };
        self.next = self.next.wrapping_add(1);
        self.departed += 1;
        self.waiting += 1;
    }

    /// An answer has come.
    pub(super) fn arrive(&mut self, sequence: u32, sent: Time, now: Time) -> Arrival {
        let age = self.next.wrapping_sub(sequence) as usize;
        if age == 0 || age as u64 > self.departed {
            return Arrival::Stray;
        }
        if age > self.slots.len() {
            return Arrival::Late; // and perhaps twice: it is too long ago
        }
        let slot = self.slot(sequence);
        let flight = &mut self.slots[slot];
        if flight.at != sent {
            return Arrival::Stray; // of another run, which counted the same numbers
        }
        match std::mem::replace(&mut flight.state, State::Landed) {
            State::Landed => Arrival::Duplicate,
            State::Lost => Arrival::Late,
            State::Waiting => {
                let took = now.since(flight.at);
                self.waiting -= 1;
                self.pass_landed();
                Arrival::InTime(took)
            }
        }
    }

    /// Gives up pings whose time is over; how many.
    pub(super) fn expire(&mut self, now: Time) -> u64 {
        let mut lost = 0;
        while self.deadline() <= now {
            lost += 1;
            self.lose_oldest();
        }
        lost
    }

    /// Gives up all pings; how many were waited for.
    pub(super) fn abandon(&mut self) -> u64 {
        let lost = self.waiting as u64;
        while self.waiting > 0 {
            self.lose_oldest();
        }
        lost
    }

    fn lose_oldest(&mut self) {
        let slot = self.slot(self.oldest);
        self.slots[slot].state = State::Lost;
        self.waiting -= 1;
        self.pass_landed();
    }

    /// Moves on to the oldest ping that is waited for.
    fn pass_landed(&mut self) {
        while self.oldest != self.next && self.slots[self.slot(self.oldest)].state != State::Waiting {
            self.oldest = self.oldest.wrapping_add(1);
        }
    }

    const fn slot(&self, sequence: u32) -> usize {
        sequence as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const TIMEOUT: Duration = Duration::from_nanos(1000);

    fn flights(first: u32) -> Flights {
        Flights::new(first, 1, TIMEOUT)
    }

    #[test]
    fn answers_are_in_time_late_twice_or_strays() {
        for first in [0, 7, u32::MAX, u32::MAX - 1] {
            let mut f = flights(first);
            let (a, b) = (first, first.wrapping_add(1));
            assert_eq!(f.arrive(a, Time(10), Time(11)), Arrival::Stray, "nothing was sent");
            f.depart(Time(10));
            f.depart(Time(20));
            assert_eq!((f.waiting(), f.deadline()), (2, Time(1010)));
            assert_eq!(f.arrive(b, Time(20), Time(70)), Arrival::InTime(Duration::from_nanos(50)));
            assert_eq!(f.arrive(b, Time(20), Time(71)), Arrival::Duplicate);
            assert_eq!(f.arrive(a, Time(11), Time(72)), Arrival::Stray, "another run's");
            assert_eq!((f.expire(Time(1009)), f.expire(Time(1010)), f.waiting()), (0, 1, 0));
            assert_eq!(f.arrive(a, Time(10), Time(1011)), Arrival::Late);
            assert_eq!(f.arrive(a, Time(10), Time(1012)), Arrival::Duplicate);
            assert_eq!(f.arrive(first.wrapping_add(2), Time(30), Time(1013)), Arrival::Stray);
            assert_eq!(f.arrive(first.wrapping_sub(1), Time(5), Time(1013)), Arrival::Stray);
            assert_eq!((f.deadline(), f.abandon()), (Time::NEVER, 0));
        }
    }

    #[test]
    fn a_ping_that_is_waited_for_keeps_its_place() {
        let mut f = flights(u32::MAX - 100);
        for n in 0..Flights::MEMORY as u64 {
            assert!(f.next().is_some());
            f.depart(Time(n));
        }
        assert_eq!(f.next(), None);
        let first = u32::MAX - 100;
        assert!(matches!(f.arrive(first.wrapping_add(1), Time(1), Time(2)), Arrival::InTime(_)));
        assert_eq!(f.next(), None, "the oldest is in the way");
        assert!(matches!(f.arrive(first, Time(0), Time(2)), Arrival::InTime(_)));
        assert_eq!(f.next(), Some(first.wrapping_add(Flights::MEMORY as u32)));
        f.depart(Time(9000));
        assert_eq!(f.abandon(), Flights::MEMORY as u64 - 1);
        assert_eq!(f.arrive(first, Time(0), Time(9001)), Arrival::Late, "forgotten");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Depart,
        Answer(u32),
        Wait(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Depart),
            3 => (0u32..12).prop_map(Step::Answer),
            1 => (0u64..700).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a map of all pings ever sent.
        #[test]
        fn every_ping_is_settled_once(first in any::<u32>(), steps in proptest::collection::vec(any_step(), 1..300)) {
            let mut f = flights(first);
            let mut model = HashMap::<u32, (u64, State)>::new();
            let (mut now, mut next) = (0, first);
            for step in steps {
                now += 1;
                match step {
                    Step::Depart => {
                        prop_assert_eq!(f.next(), Some(next));
                        f.depart(Time(now));
                        model.insert(next, (now, State::Waiting));
                        next = next.wrapping_add(1);
                    }
                    Step::Answer(back) => {
                        let sequence = next.wrapping_sub(back);
                        let known = model.get_mut(&sequence);
                        let sent = known.as_ref().map_or(0, |(at, _)| *at);
                        let expected = match known {
                            None => Arrival::Stray,
                            Some((at, state)) => match std::mem::replace(state, State::Landed) {
                                State::Waiting => Arrival::InTime(Duration::from_nanos(now - *at)),
                                State::Lost => Arrival::Late,
                                State::Landed => Arrival::Duplicate,
                            },
                        };
                        prop_assert_eq!(f.arrive(sequence, Time(sent), Time(now)), expected);
                    }
                    Step::Wait(ns) => {
                        now += ns;
                        let over = |(at, state): &&mut (u64, State)| *state == State::Waiting && now >= *at + 1000;
                        let lost = model.values_mut().filter(over).map(|(_, state)| *state = State::Lost).count();
                        prop_assert_eq!(f.expire(Time(now)), lost as u64);
                    }
                }
                let waiting: Vec<_> = model.values().filter(|(_, s)| *s == State::Waiting).collect();
                prop_assert_eq!(f.waiting(), waiting.len());
                let deadline = waiting.iter().map(|(at, _)| at + 1000).min().map_or(Time::NEVER, Time);
                prop_assert_eq!(f.deadline(), deadline);
            }
        }
    }
}
