//! Frames that wait in their port for room at their destination.
//!
//! A port gives frames back in order of arrival only, but destinations fill up one by one: behind a frame that
//! waits, others may be through already. Which those are is remembered here, so that each frame is delivered
//! exactly once, and a full destination holds up no other within the frames of a burst.

use arrayvec::ArrayVec;
use ports::BURST;

/// A frame behind a waiting one that is through.
pub(crate) const THROUGH: u16 = u16::MAX;

/// State of the frames that a port was left with, oldest first: the number of segments that are through, or
/// [`THROUGH`]. The oldest always waits. Empty if none waits.
#[derive(Default)]
pub(crate) struct Backlog {
    frames: ArrayVec<u16, BURST>,
    waiting: usize,
}

impl Backlog {
    /// The states at the start of a pass over `n` frames. The backlog is empty then, to be filled by
    /// [`Self::hold`].
    pub(crate) fn take(&mut self, n: usize) -> ArrayVec<u16, BURST> {
        if self.frames.is_empty() {
            return ArrayVec::new();
        }
        let mut frames = std::mem::take(self).frames;
        frames.truncate(n); // a port that gives fewer frames back than it was left with is broken, but only for itself
        frames
    }

    /// Leaves frame `i` of `n` waiting, with this many of its segments through.
    pub(crate) fn hold(&mut self, i: usize, n: usize, pieces: u16) {
        if self.frames.is_empty() {
            self.frames.extend((0..n.min(BURST)).map(|_| THROUGH));
        }
        if let Some(frame) = self.frames.get_mut(i) {
            self.waiting += usize::from(*frame == THROUGH);
            *frame = pieces;
        }
    }

    /// Frames that wait.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether frame `i` of the pass waits.
    pub(crate) fn holds(&self, i: usize) -> bool {
        self.frames.get(i).is_some_and(|f| *f != THROUGH)
    }

    /// At the end of a pass over `n` frames: how many can be given back to the port.
    pub(crate) fn settle(&mut self, n: usize) -> usize {
        let Some(first) = self.frames.iter().position(|f| *f != THROUGH) else { return n };
        self.frames.drain(..first);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_precedes_a_waiting_frame_is_given_back() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.settle(8), 8);
        backlog.hold(3, 8, 0);
        backlog.hold(5, 8, 7);
        assert_eq!(backlog.waiting(), 2);
        assert!(backlog.holds(3) && !backlog.holds(4));
        assert_eq!(backlog.settle(8), 3);
        assert_eq!(backlog.take(9).as_slice(), [0, THROUGH, 7, THROUGH, THROUGH]);
        assert_eq!(backlog.settle(9), 9);
    }
}
