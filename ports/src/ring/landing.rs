//! Where frames for a ring land, for whoever does not hold its producer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::{Map, Shared};

/// See [`Landing::prefetch`].
const FEW: usize = 4;

/// The outside of a ring's producing end: what can be done without it, and without the lock that it is kept under.
/// For those who send to many rings in a pass.
#[derive(Clone)]
pub struct Landing {
    map: Map,
    shared: Arc<Shared>,
}

impl Landing {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { map: shared.map(), shared }
    }

    /// Asks the processor for the memory of the next slots, for a burst of `frames` that will be written soon. Only a
    /// few: those of a longer burst are asked for while the first are written.
    #[inline]
    pub fn prefetch(&self, frames: usize) {
        let mut map = self.map;
        map.shift = self.shared.shift().load(Ordering::Relaxed);
        let head = u32::from(map.head().load(Ordering::Relaxed));
        (head..).take(frames.min(FEW)).for_each(|index| map.claim_slot(index));
    }

    /// Wakes the consumer if it sleeps. Between the transmissions and this belongs one
    /// [`fence`](std::sync::atomic::fence) of [`Ordering::SeqCst`], which is good for many rings.
    #[inline]
    pub fn kick(&self) {
        if self.map.is_awaited() {
            self.shared.kick();
        }
    }
}
