//! The frames of a mixed burst by destination: one chain each, in order, as VALE's forwarding table has.

use std::ops::Range;

use ports::BURST;

use crate::PortIndex;
use crate::classify::{Destination, FLOOD, NOWHERE};
use crate::port_index::PortSet;

/// A chain of frames for every destination, those of frames to all and to nobody included.
pub(crate) struct Chains {
    ends: Box<[Ends; Destination::MAX as usize + 1]>,
    /// The next frame of the same destination, by frame.
    next: Box<[u8; BURST]>,
    /// Ports with a chain.
    ports: PortSet,
}

const _: () = assert!(BURST == u8::MAX as usize + 1, "a frame's place in a burst is a byte");

/// One chain: its first frame, its last, and how many there are.
#[derive(Clone, Copy, Default)]
struct Ends {
    first: u8,
    last: u8,
    len: u16,
}

impl Chains {
    pub(crate) fn new() -> Self {
        Self {
            ends: Box::new([Ends::default(); Destination::MAX as usize + 1]),
            next: Box::new([0; BURST]),
            ports: PortSet::default(),
        }
    }

    /// Makes the chains of a burst, of which this says where each frame goes.
    pub(crate) fn fill(&mut self, burst: &[Destination]) {
        for port in std::mem::take(&mut self.ports) {
            self.ends[port.slot()] = Ends::default();
        }
        for other in [FLOOD, NOWHERE] {
            self.ends[usize::from(other)] = Ends::default();
        }
        for (i, to) in (0..=u8::MAX).zip(burst) {
            let ends = &mut self.ends[usize::from(*to)];
            if ends.len == 0 {
                ends.first = i;
                PortIndex::new(usize::from(*to)).into_iter().for_each(|port| self.ports.insert(port));
            } else {
                self.next[usize::from(ends.last)] = i;
            }
            (ends.last, ends.len) = (i, ends.len + 1);
        }
    }

    /// The ports that unicast frames go to.
    pub(crate) const fn ports(&self) -> PortSet {
        self.ports
    }

    /// Whether frames go to all.
    pub(crate) fn floods(&self) -> bool {
        self.ends[usize::from(FLOOD)].len > 0
    }

    /// How many frames go to one port.
    pub(crate) fn len(&self, to: PortIndex) -> usize {
        usize::from(self.ends[to.slot()].len + self.ends[usize::from(FLOOD)].len)
    }

    /// The frames for one port, if they are neighbours in the burst and none is for all.
    pub(crate) fn run(&self, to: PortIndex) -> Option<Range<usize>> {
        let Ends { first, last, len } = self.ends[to.slot()];
        let (first, end) = (usize::from(first), usize::from(last) + 1);
        (end - first == usize::from(len) && !self.floods()).then_some(first..end)
    }

    /// The frames for one port alone, in order.
    pub(crate) fn own(&self, to: PortIndex) -> Chain<'_> {
        self.chain(to.number())
    }

    /// The frames for one port, its own and those for all, and whether they are for all; in order.
    pub(crate) fn merged(&self, to: PortIndex) -> impl Iterator<Item = (usize, bool)> + Clone + '_ {
        let (mut own, mut all) = (self.own(to).peekable(), self.chain(FLOOD).peekable());
        std::iter::from_fn(move || match (own.peek(), all.peek()) {
            (Some(one), Some(other)) if other < one => Some((all.next()?, true)),
            (Some(_), _) => Some((own.next()?, false)),
            (None, _) => Some((all.next()?, true)),
        })
    }

    fn chain(&self, to: Destination) -> Chain<'_> {
        let Ends { first, len, .. } = self.ends[usize::from(to)];
        Chain { next: &self.next, at: first, left: len }
    }
}

/// The places of a chain's frames, in order.
#[derive(Clone)]
pub(crate) struct Chain<'c> {
    next: &'c [u8; BURST],
    at: u8,
    left: u16,
}

impl Iterator for Chain<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = usize::from(self.at);
        self.at = self.next[place];
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_merge_in_order() {
        let [a, b, c] = [0, 253, 7].map(|n| PortIndex::new(n).unwrap());
        let mut chains = Chains::new();
        for _ in 0..2 {
            chains.fill(&[FLOOD, 0, NOWHERE, 253, FLOOD, 0]);
            let merged = |to| chains.merged(to).collect::<Vec<_>>();
            assert_eq!(merged(a), [(0, true), (1, false), (4, true), (5, false)]);
            assert_eq!(merged(b), [(0, true), (3, false), (4, true)]);
            assert_eq!(merged(c), [(0, true), (4, true)]);
            assert_eq!([a, b, c].map(|to| chains.len(to)), [4, 3, 2]);
            assert!(chains.floods() && chains.run(a).is_none());
            chains.fill(&[]);
            assert!(!chains.floods() && chains.ports().is_empty());
            assert_eq!(chains.merged(a).count(), 0);
        }
    }

    #[test]
    fn neighbours_are_a_run() {
        let [a, b, c] = [1, 2, 3].map(|n| PortIndex::new(n).unwrap());
        let mut chains = Chains::new();
        chains.fill(&[1, 1, 2, 3, 2, 3, 3]);
        assert_eq!([a, b, c].map(|to| chains.run(to)), [Some(0..2), None, None]);
        chains.fill(&[NOWHERE, 3, 3, 3]);
        assert_eq!(chains.run(c), Some(1..4));
    }
}
