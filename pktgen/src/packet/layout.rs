//! Where the headers of a frame stand.

use super::Tag;

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Offsets of the headers of a UDP frame, bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) family: Family,
    /// The IP header, behind the Ethernet header and its VLAN tags.
    pub(crate) l3: usize,
}

impl Layout {
    pub(crate) const fn new(family: Family, tags: &[Tag]) -> Self {
        Self { family, l3: 14 + 4 * tags.len() }
    }

    /// The UDP header.
    pub(crate) const fn l4(self) -> usize {
        self.l3
            + match self.family {
                Family::V4 => 20,
                Family::V6 => 40,
            }
    }

    /// The payload, where a sequence number stands.
    pub(crate) const fn body(self) -> usize {
        self.l4() + 8
    }

    /// Bytes of the longest frame that the length fields can tell of: IPv4's counts its own header (RFC 791, 3.1),
    /// IPv6's does not (RFC 8200, 3).
    pub(crate) const fn longest(self) -> usize {
        0xffff
            + match self.family {
                Family::V4 => self.l3,
                Family::V6 => self.l4(),
            }
    }
}
