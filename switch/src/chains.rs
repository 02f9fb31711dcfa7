//! The frames of a mixed burst by destination: one chain each, in order, as VALE's forwarding table has.

use ports::BURST;

use crate::port_index::PortSet;
use crate::{MAX_PORTS, PortIndex};

const END: u16 = u16::MAX;

/// A chain of frames for every port, and one for frames to all of them.
pub(crate) struct Chains {
    /// First and last frame by destination.
    ends: Box<[(u16, u16); MAX_PORTS + 1]>,
    /// The next frame of the same destination, by frame.
    next: Box<[u16; BURST]>,
    /// Destinations with a chain.
    ports: PortSet,
}

const ALL: usize = MAX_PORTS;

impl Chains {
    pub(crate) fn new() -> Self {
        Self {
            ends: Box::new([(END, END); MAX_PORTS + 1]),
            next: Box::new([END; BURST]),
            ports: PortSet::default(),
        }
    }

    /// Appends frame `i` to the chain of a port.
    pub(crate) fn unicast(&mut self, i: u16, to: PortIndex) {
        self.ports.insert(to);
        self.append(i, to.slot());
    }

    /// Appends frame `i` to the chain of all.
    pub(crate) fn flood(&mut self, i: u16) {
        self.append(i, ALL);
    }

    /// The ports that unicast frames go to.
    pub(crate) const fn ports(&self) -> PortSet {
        self.ports
    }

    /// Whether frames go to all.
    pub(crate) fn floods(&self) -> bool {
        self.ends[ALL].0 != END
    }

    /// The frames for one port, its own and those for all, in order.
    pub(crate) fn merged(&self, to: PortIndex) -> impl Iterator<Item = (usize, bool)> + '_ {
        let (mut own, mut all) = (self.ends[to.slot()].0, self.ends[ALL].0);
        std::iter::from_fn(move || {
            let (i, flooded) = if all < own { (all, true) } else { (own, false) };
            let next = *self.next.get(usize::from(i))?; // END is beyond
            *(if flooded { &mut all } else { &mut own }) = next;
            Some((usize::from(i), flooded))
        })
    }

    /// Empties all chains.
    pub(crate) fn clear(&mut self) {
        for port in std::mem::take(&mut self.ports) {
            self.ends[port.slot()] = (END, END);
        }
        self.ends[ALL] = (END, END);
    }

    fn append(&mut self, i: u16, chain: usize) {
        let (first, last) = &mut self.ends[chain];
        match self.next.get_mut(usize::from(*last)) {
            Some(next) => *next = i,
            None => *first = i,
        }
        *last = i;
        self.next[usize::from(i)] = END;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_merge_in_order() {
        let (a, b) = (PortIndex::new(0).unwrap(), PortIndex::new(253).unwrap());
        let mut chains = Chains::new();
        for _ in 0..2 {
            chains.flood(0);
            chains.unicast(1, a);
            chains.unicast(2, b);
            chains.flood(3);
            chains.unicast(255, a);
            let merged = |to| chains.merged(to).collect::<Vec<_>>();
            assert_eq!(merged(a), [(0, true), (1, false), (3, true), (255, false)]);
            assert_eq!(merged(b), [(0, true), (2, false), (3, true)]);
            assert_eq!(merged(PortIndex::new(7).unwrap()), [(0, true), (3, true)]);
            assert!(chains.floods());
            chains.clear();
            assert!(!chains.floods() && chains.ports().is_empty());
            assert_eq!(chains.merged(a).count(), 0);
        }
    }
}
