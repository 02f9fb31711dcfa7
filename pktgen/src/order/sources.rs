//! The sources of numbered frames, each with numbers of its own.

use ports::Mac;

use super::sequence::Sequence;
use super::{Arrival, Order};

/// Sources, told apart by their station. They have their memory from the start.
pub(crate) struct Sources {
    known: Vec<(Mac, Sequence)>,
    /// The one that was heard last: frames come in bursts.
    last: usize,
    /// Frames of sources that found no place.
    untracked: u64,
}

impl Sources {
    /// How many are followed.
    pub(crate) const MOST: usize = 64;

    pub(crate) fn new() -> Self {
        Self { known: Vec::with_capacity(Self::MOST), last: 0, untracked: 0 }
    }

    /// The first frame of each source is in order, whatever its number.
    pub(crate) fn arrive(&mut self, source: Mac, number: u32) -> Arrival {
        if self.known.get(self.last).is_none_or(|(mac, _)| *mac != source) {
            self.last = self.known.iter().position(|(mac, _)| *mac == source).unwrap_or(self.known.len());
        }
        if self.last == self.known.len() {
            if self.last == Self::MOST {
                self.untracked += 1;
                return Arrival::InOrder;
            }
            self.known.push((source, Sequence::new(number)));
        }
        self.known[self.last].1.arrive(number)
    }

    /// Of all sources together.
    pub(crate) fn order(&self) -> Order {
        let mut order = Order { untracked: self.untracked, ..Order::default() };
        self.known.iter().for_each(|(_, sequence)| order += sequence.order());
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_numbers_of_its_own() {
        let mut sources = Sources::new();
        for n in 0..100 {
            for source in 1..=64 {
                let number = n + 1000 * source;
                assert_eq!(sources.arrive(Mac::from_bits(source.into()), number), Arrival::InOrder);
            }
        }
        assert_eq!(sources.order(), Order::default());
        assert_eq!(sources.arrive(Mac::from_bits(2), 2105), Arrival::Gap { expected: 2100 });
        assert_eq!(sources.arrive(Mac::from_bits(65), 9), Arrival::InOrder);
        assert_eq!(sources.order(), Order { lost: 5, untracked: 1, ..Order::default() });
        assert_eq!(sources.arrive(Mac::from_bits(64), 64_100), Arrival::InOrder);
    }
}
