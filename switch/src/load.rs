//! What is handed to an egress in one go, and what becomes of it.

use ports::{Capabilities, Frame, Offload};

/// Frames for one destination, in order.
#[derive(Clone, Copy)]
pub(crate) struct Load<'l, 'f> {
    pub(crate) frames: &'l [Frame<'f>],
    /// For each frame, how many of its segments are through already. Empty if none has any.
    pub(crate) starts: &'l [u16],
    /// If none has offload metadata to honour, the length of the longest.
    pub(crate) plain: Option<usize>,
}

impl Load<'_, '_> {
    /// Whether an egress of these capabilities takes all of it as it is.
    pub(crate) fn fits(&self, takes: &Capabilities) -> bool {
        let as_is = |f: &Frame<'_>| takes.takes(f.len(), f.offload());
        self.plain.is_some_and(|longest| takes.takes(longest, Offload::NONE))
            || (self.starts.is_empty() && self.frames.iter().all(as_is))
    }
}

/// What became of a [`Load`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// Frames the egress is done with, a prefix of the load.
    pub(crate) done: usize,
    /// Segments of the next frame that it is done with.
    pub(crate) pieces: u16,
    /// Everything that was counted, on whatever counter.
    pub(crate) outcomes: u64,
    /// The egress has accepted nothing for longer than [`PATIENCE`](crate::PATIENCE).
    pub(crate) stopped: bool,
}
