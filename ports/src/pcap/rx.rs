//! Frames out of a capture.

use super::{Broken, Capture};
use crate::{Burst, End, Frame, Rx};

/// The frames of a capture, one after the other.
pub(super) struct PcapRx {
    capture: Option<Capture>,
    /// The first that was not released.
    next: usize,
    /// Why the other half does not write any more.
    broken: Broken,
}

impl PcapRx {
    pub(super) const fn new(capture: Option<Capture>, broken: Broken) -> Self {
        Self { capture, next: 0, broken }
    }

    fn left(&self) -> usize {
        self.capture.as_ref().map_or(0, |capture| capture.len() - self.next)
    }
}

impl Rx for PcapRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let waiting = burst.remaining_capacity().min(self.left());
        if let Some(capture) = &self.capture {
            burst.extend((self.next..self.next + waiting).map(|number| Frame::new(capture.frame(number))));
        }
    }

    fn release(&mut self, n: usize) {
        self.next += n.min(self.left());
    }

    fn arm(&mut self) -> bool {
        self.left() > 0
    }

    fn end(&self) -> Option<End<'_>> {
        if let Some(why) = self.broken.get() {
            return Some(End::Broken(why));
        }
        let capture = self.capture.as_ref().filter(|_| self.left() == 0)?;
        Some(capture.broken().map_or(End::Complete, End::Broken))
    }
}
