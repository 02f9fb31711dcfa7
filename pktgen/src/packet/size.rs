//! How long frames are.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Bytes of the frames of a run, without FCS, as of [`Self::LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// All the same.
    Fixed(u32),
    /// As netmap's `-l MOST -l LEAST`: drawn anew for each burst, `least` included, `most` not, unless they are the same.
    Random {
        /// Shortest.
        least: u32,
        /// One more than the longest.
        most: u32,
    },
    /// The "simple IMIX": of twelve frames seven of 60, four of 590 and one of 1514 bytes; on the wire, with FCS, 64,
    /// 594 and 1518. Where headers take more than 60 bytes, the shortest are that long.
    Imix,
}

impl Size {
    /// Bytes of a frame, as netmap has it; one that is sent also has to hold its headers.
    pub const LEN: RangeInclusive<u32> = 16..=65_536;
    /// The frames of the IMIX, in their order: the kinds take turns, as far as that goes.
    pub(super) const IMIX: [u32; 12] = [60, 590, 60, 60, 590, 60, 60, 590, 60, 590, 60, 1514];

    /// Bytes of the shortest frame.
    #[must_use]
    pub const fn shortest(self) -> u32 {
        match self {
            Self::Fixed(len) => len,
            Self::Random { least, .. } => least,
            Self::Imix => 60,
        }
    }

    /// Bytes of the longest frame.
    #[must_use]
    pub const fn longest(self) -> u32 {
        match self {
            Self::Fixed(len) => len,
            Self::Random { least, most } if most <= least => least,
            Self::Random { most, .. } => most - 1,
            Self::Imix => 1514,
        }
    }

    /// Bytes of the mean frame, to the nearest.
    #[must_use]
    pub const fn mean(self) -> u32 {
        match self {
            Self::Fixed(len) => len,
            Self::Random { .. } => self.shortest().midpoint(self.longest()),
            Self::Imix => (7 * 60 + 4 * 590 + 1514 + 6) / 12,
        }
    }
}

impl From<u32> for Size {
    fn from(len: u32) -> Self {
        Self::Fixed(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_imix_is_seven_to_four_to_one() {
        let of = |len| Size::IMIX.iter().filter(|l| **l == len).count();
        assert_eq!([of(60), of(590), of(1514)], [7, 4, 1]);
        let wire: u32 = Size::IMIX.iter().map(|l| l + 4).sum();
        assert_eq!(wire, 7 * 64 + 4 * 594 + 1518);
        assert_eq!(Size::Imix.mean(), (wire - 12 * 4 + 6) / 12);
    }

    #[test]
    fn ends_are_netmaps() {
        let random = |least, most| Size::Random { least, most };
        let ends = |size: Size| (size.shortest(), size.longest());
        assert_eq!(ends(random(60, 1514)), (60, 1513));
        assert_eq!(ends(random(60, 61)), (60, 60));
        assert_eq!(ends(random(60, 60)), (60, 60));
        assert_eq!(ends(Size::Imix), (60, 1514));
        assert_eq!(ends(99.into()), (99, 99));
        assert_eq!([random(60, 1514).mean(), random(60, 60).mean(), Size::Fixed(9).mean()], [786, 60, 9]);
    }
}
