//! Which port of a switch, sets of them, and where a frame goes.

use std::fmt;

/// Most ports of a switch: netmap's `NM_BDG_MAXPORTS`. The two numbers left of a byte say "all" and "nowhere".
pub const MAX_PORTS: usize = 254;

/// A port's place on its switch, below [`MAX_PORTS`]. The lowest free one is given out; one that was left may be
/// given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIndex(u8);

impl PortIndex {
    /// The index of this number, if it is one.
    #[must_use]
    pub const fn new(number: usize) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "below 254")]
        if number < MAX_PORTS { Some(Self(number as u8)) } else { None }
    }

    /// The index as a number, as `vale-ctl` prints it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    pub(crate) const fn slot(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PortIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where a frame goes: a port's number, or one of the two below.
pub(crate) type Destination = u8;
/// To every port but the one it came from.
pub(crate) const FLOOD: Destination = 254;
/// Nowhere: dropped here and counted, or through in an earlier pass.
pub(crate) const NOWHERE: Destination = 255;
const _: () = assert!(MAX_PORTS == FLOOD as usize);

/// A set of ports, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortSet([u64; 4]);

impl PortSet {
    pub(crate) const fn insert(&mut self, port: PortIndex) {
        self.0[port.slot() / 64] |= 1 << (port.slot() % 64);
    }

    pub(crate) const fn remove(&mut self, port: PortIndex) {
        self.0[port.slot() / 64] &= !(1 << (port.slot() % 64));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The set without one port.
    pub(crate) const fn without(mut self, port: PortIndex) -> Self {
        self.remove(port);
        self
    }
}

impl Iterator for PortSet {
    type Item = PortIndex;

    /// Takes the lowest port out of the set.
    #[inline]
    fn next(&mut self) -> Option<PortIndex> {
        let mut word = 0;
        while self.0[word] == 0 {
            word += 1;
            if word == self.0.len() {
                return None;
            }
        }
        let bit = self.0[word].trailing_zeros() as usize;
        self.0[word] &= self.0[word] - 1;
        PortIndex::new(word * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_its_ports_in_order() {
        let mut set = PortSet::default();
        assert!(set.is_empty());
        for n in [253, 0, 64, 63, 128] {
            set.insert(PortIndex::new(n).unwrap());
        }
        let ports: Vec<u8> = set.without(PortIndex(63)).map(PortIndex::number).collect();
        assert_eq!(ports, [0, 64, 128, 253]);
        assert_eq!(PortIndex::new(254), None);
    }
}
