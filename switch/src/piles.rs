//! The frames of a mixed burst by destination: one pile each, in order, where VALE's forwarding table has chains.

use std::ops::Range;

use ports::BURST;

use crate::PortIndex;
use crate::port_index::{Destination, FLOOD, NOWHERE, PortSet};

/// A pile of frames for every destination, those of frames to all and to nobody included.
pub(crate) struct Piles {
    piles: Box<[Pile; Destination::MAX as usize + 1]>,
    /// The places in the burst of all frames, pile by pile, ports first.
    places: Box<[u8; BURST]>,
    /// Ports with a pile.
    ports: PortSet,
}

const _: () = assert!(BURST == u8::MAX as usize + 1, "a frame's place in a burst is a byte");

/// One pile: where it ends among all places, and how many frames it has.
#[derive(Clone, Copy, Default)]
struct Pile {
    end: u16,
    len: u16,
}

impl Pile {
    fn range(self) -> Range<usize> {
        usize::from(self.end - self.len)..usize::from(self.end)
    }
}

impl Piles {
    pub(crate) fn new() -> Self {
        Self {
            piles: Box::new([Pile::default(); Destination::MAX as usize + 1]),
            places: Box::new([0; BURST]),
            ports: PortSet::default(),
        }
    }

    /// Makes the piles of a burst, of which this says where each frame goes: counts, gives each pile its part, and deals
    /// the frames out. No frame waits for what became of the one before, as in chains each does.
    pub(crate) fn fill(&mut self, burst: &[Destination]) {
        for port in std::mem::take(&mut self.ports) {
            self.piles[port.slot()] = Pile::default();
        }
        for other in [FLOOD, NOWHERE] {
            self.piles[usize::from(other)] = Pile::default();
        }
        for to in burst {
            let pile = &mut self.piles[usize::from(*to)];
            pile.len += 1;
            if pile.len == 1 {
                self.open(*to);
            }
        }
        let mut end = 0;
        for to in self.ports.map(PortIndex::number).chain([FLOOD, NOWHERE]) {
            let pile = &mut self.piles[usize::from(to)];
            pile.end = end; // of an empty one, so far
            end += pile.len;
        }
        for (place, to) in burst.iter().enumerate() {
            let pile = &mut self.piles[usize::from(*to)];
            #[expect(clippy::cast_possible_truncation, reason = "see above")]
            let place = place as u8;
            self.places[usize::from(pile.end)] = place;
            pile.end += 1;
        }
    }

    /// Notes that this destination has a pile.
    #[inline(never)]
    fn open(&mut self, to: Destination) {
        PortIndex::new(usize::from(to)).into_iter().for_each(|port| self.ports.insert(port));
    }

    /// The ports that unicast frames go to.
    pub(crate) const fn ports(&self) -> PortSet {
        self.ports
    }

    /// Whether frames go to all.
    pub(crate) fn floods(&self) -> bool {
        self.piles[usize::from(FLOOD)].len > 0
    }

    /// How many frames go to one port.
    pub(crate) fn len(&self, to: PortIndex) -> usize {
        usize::from(self.piles[to.slot()].len + self.piles[usize::from(FLOOD)].len)
    }

    /// Where the frames for one port alone are among [`Self::unicast`].
    pub(crate) fn range(&self, to: PortIndex) -> Range<usize> {
        self.piles[to.slot()].range()
    }

    /// The places of all frames for one port alone, port by port.
    pub(crate) fn unicast(&self) -> impl Iterator<Item = usize> + '_ {
        self.places[..self.piles[usize::from(FLOOD)].range().start].iter().copied().map(usize::from)
    }

    /// The places of the frames for one port, its own and those for all, and whether they are for all; in order.
    pub(crate) fn merged(&self, to: PortIndex) -> impl Iterator<Item = (usize, bool)> + Clone + '_ {
        let places = |range: Range<usize>| self.places[range].iter().copied().map(usize::from).peekable();
        let mut own = places(self.range(to));
        let mut all = places(self.piles[usize::from(FLOOD)].range());
        std::iter::from_fn(move || match (own.peek(), all.peek()) {
            (Some(one), Some(other)) if other < one => Some((all.next()?, true)),
            (Some(_), _) => Some((own.next()?, false)),
            (None, _) => Some((all.next()?, true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piles_merge_in_order() {
        let [a, b, c] = [0, 253, 7].map(|n| PortIndex::new(n).unwrap());
        let mut piles = Piles::new();
        for _ in 0..2 {
            piles.fill(&[FLOOD, 0, NOWHERE, 253, FLOOD, 0]);
            let merged = |to| piles.merged(to).collect::<Vec<_>>();
            assert_eq!(merged(a), [(0, true), (1, false), (4, true), (5, false)]);
            assert_eq!(merged(b), [(0, true), (3, false), (4, true)]);
            assert_eq!(merged(c), [(0, true), (4, true)]);
            assert_eq!([a, b, c].map(|to| piles.len(to)), [4, 3, 2]);
            assert!(piles.floods());
            piles.fill(&[]);
            assert!(!piles.floods() && piles.ports().is_empty());
            assert_eq!(piles.merged(a).count(), 0);
        }
    }

    #[test]
    fn each_port_has_its_part_of_all_unicast() {
        let [a, b, c] = [1, 2, 3].map(|n| PortIndex::new(n).unwrap());
        let mut piles = Piles::new();
        for (burst, parts) in [
            (&[3, 1, NOWHERE, 2, 3, FLOOD, 3, 2][..], [&[1][..], &[3, 7], &[0, 4, 6]]),
            (&[NOWHERE, 3, 3], [&[], &[], &[1, 2]]),
            (&[2; BURST], [&[], &std::array::from_fn::<_, BURST, _>(|n| n), &[]]),
        ] {
            piles.fill(burst);
            let all: Vec<_> = piles.unicast().collect();
            assert_eq!(all, parts.concat());
            for (to, part) in [a, b, c].into_iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
                assert_eq!(&all[piles.range(to)], part);
            }
        }
    }
}
