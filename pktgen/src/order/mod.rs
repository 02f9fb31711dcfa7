//! In which order numbered frames arrive, and which do not.

mod sequence;
mod sources;

pub(crate) use sequence::Arrival;
pub(crate) use sources::Sources;

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What became of numbered frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Numbers between the lowest and the highest of a source that were not seen (yet).
    pub lost: u64,
    /// Frames whose number had been seen before.
    pub duplicated: u64,
    /// Frames that came after one with a higher number (Type-P-Reordered of RFC 4737, 3), and were no duplicates.
    pub reordered: u64,
    /// Frames of sources beyond the 64 that are followed: no telling.
    pub untracked: u64,
}

impl AddAssign for Order {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.untracked += other.untracked;
    }
}
