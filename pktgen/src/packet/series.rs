//! The frames of a run, one after another.

use std::sync::atomic::{AtomicU32, Ordering};

use ports::Mac;

use super::flows::Flows;
use super::shapes::Shapes;
use super::{Odometer, Place, Size, Template};
use crate::Frames;

/// Makes frames in place, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    shapes: Shapes,
    flows: Flows,
    /// Of the next frame, where they are numbered.
    sequence: u32,
    sequenced: bool,
    rubbish: bool,
    /// Tells its frames from those of other series, in the upper bits of a label.
    number: u32,
}

/// Series made so far.
static SERIES: AtomicU32 = AtomicU32::new(0);
/// Bits of a label that the length of a frame takes.
const LEN_BITS: u32 = 17;
const _: () = assert!(*Size::LEN.end() < 1 << LEN_BITS, "any length has room in a label");

impl Series {
    /// Frames as described, of this source; numbered from zero if `sequenced`. A random size lasts for `burst` frames.
    pub(crate) fn new(frames: &Frames, src_mac: Mac, burst: u32, sequenced: bool) -> Self {
        let mut rng = frames.rng();
        let first = *Odometer::new(frames.src, frames.dst).flow();
        let [flows, sizes] = [rng.fork(), rng.fork()];
        let make = |len| {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            Template::new(frames, len, src_mac, first, sequenced, &mut rng)
        };
        Self {
            shapes: Shapes::new(frames.size, burst, make, sizes),
            flows: Flows::new(frames, flows),
            sequence: 0,
            sequenced,
            rubbish: frames.rubbish,
            number: SERIES.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The frame, if it is the same one for ever.
    #[inline]
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        let constant = self.shapes.is_fixed() && self.flows.is_single() && !self.sequenced && !self.rubbish;
        constant.then(|| self.shapes.template().bytes())
    }

    /// Where its frames can be stamped; `None` if they have no room, or are not written at all.
    pub(crate) fn place(&self) -> Option<Place> {
        if self.rubbish { None } else { Place::within(self.shapes.template().bytes()) }
    }

    /// Bytes of the next frame.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shapes.template().bytes().len()
    }

    /// Makes the next frame in a slot of its length, after which comes the one after it.
    #[inline]
    pub(crate) fn make(&mut self, slot: &mut [u8]) {
        self.make_again(slot, &mut 0);
    }

    /// As [`Self::make`], in a slot with this label: what another frame of the series left in it is not written again.
    #[inline]
    pub(crate) fn make_again(&mut self, slot: &mut [u8], label: &mut u32) {
        if !self.rubbish {
            self.write(slot, label);
        }
        self.shapes.advance();
    }

    #[inline]
    fn write(&mut self, slot: &mut [u8], label: &mut u32) {
        let template = self.shapes.template();
        let of_this = self.number << LEN_BITS | template.bytes().len() as u32; // never zero, for its length is not
        if *label != of_this {
            slot.copy_from_slice(template.bytes());
            *label = of_this;
        }
        match &mut self.flows {
            Flows::Single(_) if !self.sequenced => {}
            Flows::Single(flow) => template.patch(flow, self.sequence, slot),
            Flows::Turning(odometer) => {
                template.patch(odometer.flow(), self.sequence, slot);
                odometer.advance();
            }
            Flows::Drawn(drawn) => {
                template.patch(drawn.flow(), self.sequence, slot);
                drawn.advance();
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
    }
}
