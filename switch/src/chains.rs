//! The frames of a mixed burst by destination: one chain each, in order, as VALE's forwarding table has.

use std::ops::Range;

use ports::BURST;

use crate::classify::{Destination, FLOOD};
use crate::port_index::PortSet;
use crate::{MAX_PORTS, PortIndex};

const END: u16 = u16::MAX;

/// A chain of frames for every port, and one for frames to all of them.
pub(crate) struct Chains {
    /// By destination.
    ends: Box<[Ends; MAX_PORTS + 1]>,
    /// The next frame of the same destination, by frame.
    next: Box<[u16; BURST]>,
    /// Destinations with a chain.
    ports: PortSet,
}

/// One chain: its first frame, its last, and how many there are.
#[derive(Clone, Copy)]
struct Ends {
    first: u16,
    last: u16,
    len: u16,
}

impl Ends {
    const NONE: Self = Self { first: END, last: END, len: 0 };
}

const ALL: usize = MAX_PORTS;

impl Chains {
    pub(crate) fn new() -> Self {
        Self {
            ends: Box::new([Ends::NONE; MAX_PORTS + 1]),
            next: Box::new([END; BURST]),
            ports: PortSet::default(),
        }
    }

    /// Makes the chains of a burst, of which this says where each frame goes.
    pub(crate) fn fill(&mut self, burst: &[Destination]) {
        for port in std::mem::take(&mut self.ports) {
            self.ends[port.slot()] = Ends::NONE;
        }
        self.ends[ALL] = Ends::NONE;
        for (i, to) in (0..).zip(burst) {
            match PortIndex::new(usize::from(*to)) {
                Some(to) => {
                    self.ports.insert(to);
                    self.append(i, to.slot());
                }
                None if *to == FLOOD => self.append(i, ALL),
                None => {}
            }
        }
    }

    /// The ports that unicast frames go to.
    pub(crate) const fn ports(&self) -> PortSet {
        self.ports
    }

    /// Whether frames go to all.
    pub(crate) fn floods(&self) -> bool {
        self.ends[ALL].len > 0
    }

    /// How many frames go to one port.
    pub(crate) fn len(&self, to: PortIndex) -> usize {
        usize::from(self.ends[to.slot()].len + self.ends[ALL].len)
    }

    /// The frames for one port, if they are neighbours in the burst and none is for all.
    pub(crate) fn run(&self, to: PortIndex) -> Option<Range<usize>> {
        let Ends { first, last, len } = self.ends[to.slot()];
        (last.wrapping_sub(first).wrapping_add(1) == len && !self.floods())
            .then(|| usize::from(first)..usize::from(last) + 1)
    }

    /// The frames for one port, its own and those for all, in order.
    pub(crate) fn merged(&self, to: PortIndex) -> impl Iterator<Item = (usize, bool)> + Clone + '_ {
        let (mut own, mut all) = (self.ends[to.slot()].first, self.ends[ALL].first);
        std::iter::from_fn(move || {
            let (i, flooded) = if all < own { (all, true) } else { (own, false) };
            let next = *self.next.get(usize::from(i))?; // END is beyond
            *(if flooded { &mut all } else { &mut own }) = next;
            Some((usize::from(i), flooded))
        })
    }

    fn append(&mut self, i: u16, chain: usize) {
        let Ends { first, last, len } = &mut self.ends[chain];
        match self.next.get_mut(usize::from(*last)) {
            Some(next) => *next = i,
            None => *first = i,
        }
        (*last, *len) = (i, *len + 1);
        self.next[usize::from(i)] = END;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::NOWHERE;

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
