//! The numbers of one source.

use super::Order;

/// How late a frame may be and still be told from a duplicate, in numbers; a power of two.
pub(super) const WINDOW: u32 = 4096;
const WORDS: usize = WINDOW as usize / 64;

/// So many frames in a row out of order, but in order among themselves, tell that their source has begun anew (as
/// RFC 3550, A.1, which makes do with two): if they begin with number zero, or are all later than the window.
const RESTART: u32 = 16;

/// How a frame arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    /// Numbers before it were left out.
    Gap {
        expected: u32,
    },
    /// Its number is lower than one that was seen before.
    OutOfOrder {
        expected: u32,
    },
}

/// Follows the 32-bit numbers of one source, which wrap. They are compared as RFC 1982 says: of two, the higher one is
/// that which is reached from the other in less than 2^31 steps.
///
/// Later than the window, a frame cannot be told from a duplicate: it counts as reordered, and its number stays among
/// those that are lost (a loss threshold, as RFC 4737, 2.2, has it).
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// One more than the highest number seen.
    next: u32,
    /// How many numbers there are from the lowest to the highest.
    span: u64,
    /// How many of those were seen, and a frame of each was in time.
    distinct: u64,
    duplicated: u64,
    reordered: u64,
    /// Which of the window's numbers before `next` were seen, at their remainder.
    seen: [u64; WORDS],
    run: Run,
    /// Lost before the last restart.
    lost_before: u64,
}

/// Frames in a row that are out of order, but in order among themselves.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    first: u32,
    len: u32,
    /// All of them came later than the window.
    beyond: bool,
    /// What had become of the frames before it.
    before: Order,
}

const fn place(number: u32) -> (usize, u64) {
    ((number % WINDOW / 64) as usize, 1 << (number % 64))
}

impl Sequence {
    /// Whatever comes first is expected: it may have been sent long before.
    pub(super) const fn new(first: u32) -> Self {
        let before = Order { lost: 0, duplicated: 0, reordered: 0, untracked: 0 };
        Self {
            next: first,
            span: 0,
            distinct: 0,
            duplicated: 0,
            reordered: 0,
            seen: [0; WORDS],
            run: Run { first: 0, len: 0, beyond: false, before },
            lost_before: 0,
        }
    }

    pub(super) const fn order(&self) -> Order {
        let lost = self.lost_before + self.span - self.distinct;
        Order { lost, duplicated: self.duplicated, reordered: self.reordered, untracked: 0 }
    }

    pub(super) fn arrive(&mut self, number: u32) -> Arrival {
        let expected = self.next;
        let ahead = number.wrapping_sub(expected);
        let behind = expected.wrapping_sub(number);
        if ahead < 1 << 31 {
            self.run.len = 0;
            self.advance(number, ahead);
            return if ahead == 0 { Arrival::InOrder } else { Arrival::Gap { expected } };
        }
        self.run(number, behind > WINDOW);
        if behind > WINDOW {
            self.reordered += 1;
        } else {
            self.late(number, behind);
        }
        if self.run.len == RESTART && (self.run.beyond || self.run.first == 0) {
            self.restart();
        }
        Arrival::OutOfOrder { expected }
    }

    fn advance(&mut self, number: u32, ahead: u32) {
        if ahead >= WINDOW {
            self.seen.fill(0);
        } else {
            for skipped in 0..ahead {
                let (word, bit) = place(self.next.wrapping_add(skipped));
                self.seen[word] &= !bit;
            }
        }
        self.mark(number);
        self.span += u64::from(ahead) + 1;
        self.next = number.wrapping_add(1);
    }

    fn late(&mut self, number: u32, behind: u32) {
        let (word, bit) = place(number);
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
        } else {
            self.reordered += 1;
            self.span = self.span.max(behind.into());
            self.mark(number);
        }
    }

    /// A number that was not seen before.
    fn mark(&mut self, number: u32) {
        let (word, bit) = place(number);
        self.seen[word] |= bit;
        self.distinct += 1;
    }

    /// A frame that is out of order, and not counted yet.
    fn run(&mut self, number: u32, beyond: bool) {
        let Run { first, len, .. } = self.run;
        if len == 0 || number != first.wrapping_add(len) {
            self.run = Run { first: number, len: 0, beyond: true, before: self.order() };
        }
        self.run.len += 1;
        self.run.beyond &= beyond;
    }

    /// The run was no disorder.
    fn restart(&mut self) {
        let Run { first, len, before, .. } = self.run;
        let Order { lost, duplicated, reordered, .. } = before;
        *self = Self { lost_before: lost, duplicated, reordered, ..Self::new(first) };
        (0..len).for_each(|n| self.advance(first.wrapping_add(n), 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn follow(numbers: impl IntoIterator<Item = u32>) -> Sequence {
        let mut numbers = numbers.into_iter().peekable();
        let mut sequence = Sequence::new(*numbers.peek().unwrap());
        for number in numbers {
            sequence.arrive(number);
        }
        sequence
    }

    fn order(numbers: impl IntoIterator<Item = u32>) -> [u64; 3] {
        let Order { lost, duplicated, reordered, .. } = follow(numbers).order();
        [lost, duplicated, reordered]
    }

    #[test]
    fn losses_duplicates_and_reordering_are_told_apart() {
        for (numbers, expected) in [
            (&[5, 6, 7][..], [0, 0, 0]),
            (&[5, 8], [2, 0, 0]),
            (&[5, 5, 6, 5], [0, 2, 0]),
            (&[5, 7, 6], [0, 0, 1]),
            (&[5, 7, 6, 6], [0, 1, 1]),
            (&[5, 9, 8, 7], [1, 0, 2]),
            (&[5, 3, 4], [0, 0, 2]),
            (&[5, 2], [2, 0, 1]),
            (&[u32::MAX - 1, u32::MAX, 0, 1], [0, 0, 0]),
            (&[u32::MAX, 2, 0, 1, u32::MAX], [0, 1, 2]),
            (&[0, u32::MAX], [0, 0, 1]),
        ] {
            assert_eq!(order(numbers.iter().copied()), expected, "{numbers:?}");
        }
    }

    #[test]
    fn arrivals_are_named_as_netmap_does() {
        let mut sequence = Sequence::new(7);
        assert_eq!(sequence.arrive(7), Arrival::InOrder);
        assert_eq!(sequence.arrive(10), Arrival::Gap { expected: 8 });
        assert_eq!(sequence.arrive(9), Arrival::OutOfOrder { expected: 11 });
        assert_eq!(sequence.arrive(10), Arrival::OutOfOrder { expected: 11 });
        assert_eq!(sequence.arrive(11), Arrival::InOrder);
    }

    #[test]
    fn what_is_later_than_the_window_stays_lost() {
        let late = |by| order((0..100).filter(|n| *n != 50).chain(100..=50 + by).chain([50]));
        assert_eq!(late(WINDOW - 1), [0, 0, 1]);
        assert_eq!(late(WINDOW), [1, 0, 1]);
        assert_eq!(order([0, WINDOW * 9, WINDOW * 9 - 1, 3]), [u64::from(WINDOW) * 9 - 2, 0, 2]);
    }

    #[test]
    fn a_source_that_begins_anew_loses_nothing_by_it() {
        assert_eq!(order((0..10_000).chain(0..10_000)), [0, 0, 0]);
        assert_eq!(order((0..1000).chain(0..1000)), [0, 0, 0], "within the window");
        assert_eq!(order((0..1000).chain(0..15)), [0, 15, 0], "not sure yet");
        assert_eq!(order((0..1000).chain(1..1000)), [0, 999, 0], "all twice");
        assert_eq!(order((0..30).chain([33]).chain(0..1000)), [3, 0, 0]);
        assert_eq!(order((0..10_000).chain([20_000]).chain(7..22)), [10_000, 0, 15], "not sure yet");
        assert_eq!(order((0..10_000).chain([20_000]).chain(7..23)), [10_000, 0, 0]);
        assert_eq!(order((0..10_000).chain([20_000]).chain(0..16).chain([18])), [10_002, 0, 0]);
        let now_and_then = (0..100u32).flat_map(|n| [20_000 + n, n]);
        assert_eq!(order((0..20_000).chain(now_and_then)), [0, 0, 100], "no restart: in between others came");
    }

    /// What the definitions say, with the memory of an elephant.
    fn model(numbers: &[u64]) -> [u64; 3] {
        let (mut seen, mut highest, mut reordered, mut duplicated) = (HashSet::new(), 0, 0, 0);
        for n in numbers {
            if !seen.insert(*n) {
                duplicated += 1;
            } else if *n < highest {
                reordered += 1;
            }
            highest = highest.max(*n);
        }
        let span = highest - numbers.iter().min().unwrap() + 1;
        [span - seen.len() as u64, duplicated, reordered]
    }

    #[expect(clippy::cast_possible_truncation, reason = "that is how they wrap")]
    const fn wrap(number: u64) -> u32 {
        number as u32
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_model_within_its_window(
            first in prop_oneof![Just(u64::from(u32::MAX) - 300), 0u64..1 << 32],
            steps in proptest::collection::vec((0u64..700, 0u64..600, 1usize..4), 1..400),
        ) {
            // Each step goes on by 0 or 1 mostly, by 100 now and then; each frame is late by its own delay, and some
            // come several times. All within the window: 400 x 3.. is bounded by the delays.
            let base = first + (1 << 33);
            let mut at = base;
            let mut numbers = Vec::new();
            for (stride, back, copies) in steps {
                at += match stride { 0..600 => 1, 600..690 => 2, _ => 100 };
                let late = if back < 300 { 0 } else { back };
                let times = if copies == 3 { 2 } else { 1 };
                numbers.extend(std::iter::repeat_n((at - late.min(at - base + 500)).max(base - 500), times));
            }
            let tracked = order(numbers.iter().map(|n| wrap(*n)));
            prop_assert_eq!(tracked, model(&numbers));
        }

        #[test]
        fn nothing_trips_it(numbers in proptest::collection::vec(prop_oneof![any::<u32>(), 0u32..64], 1..300)) {
            let total = numbers.len() as u64;
            let [_, duplicated, reordered] = order(numbers);
            prop_assert!(duplicated + reordered < total);
        }
    }
}
