//! The flows of a run, one after another.

use fastrand::Rng;

use super::{AddressRange, Flow, Odometer};
use crate::Frames;

/// Flows out of the ranges, or out of thin air.
#[derive(Clone, Debug)]
pub(super) enum Flows {
    /// One and the same.
    Single(Flow),
    /// One after another.
    Turning(Odometer),
    /// At least one end is drawn.
    Drawn(Box<Drawn>),
}

#[derive(Clone, Debug)]
pub(super) struct Drawn {
    rng: Rng,
    /// Bits of the source address to draw, if that end is drawn.
    src: Option<u128>,
    dst: Option<u128>,
    /// Of the other end. An end that is drawn has no wheels: the other one turns with every frame.
    odometer: Odometer,
    flow: Flow,
}

/// What `-z` and `-Z` draw of an address: all of IPv4's, and the group of IPv6's that a range would vary.
fn mask(range: AddressRange) -> u128 {
    if range.is_v6() { range.step() * 0xffff } else { u32::MAX.into() }
}

impl Flows {
    pub(super) fn new(frames: &Frames, rng: Rng) -> Self {
        let Frames { src, dst, random_src, random_dst, .. } = *frames;
        if !random_src && !random_dst {
            let odometer = Odometer::new(src, dst);
            let single = src.is_single() && dst.is_single();
            return if single { Self::Single(*odometer.flow()) } else { Self::Turning(odometer) };
        }
        let wheels = |range: AddressRange, drawn| if drawn { range.lowest() } else { range };
        let odometer = Odometer::new(wheels(src, random_src), wheels(dst, random_dst));
        let bits = |range, drawn: bool| drawn.then(|| mask(range));
        let (src, dst) = (bits(src, random_src), bits(dst, random_dst));
        let mut drawn = Drawn { rng, src, dst, flow: *odometer.flow(), odometer };
        drawn.draw();
        Self::Drawn(Box::new(drawn))
    }

    /// Whether all frames are of one flow.
    pub(super) const fn is_single(&self) -> bool {
        matches!(self, Self::Single(_))
    }
}

impl Drawn {
    /// The flow of the next frame.
    pub(super) const fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) fn advance(&mut self) {
        self.odometer.advance();
        self.flow = *self.odometer.flow();
        self.draw();
    }

    fn draw(&mut self) {
        let Self { rng, src, dst, flow, .. } = self;
        if let Some(mask) = *src {
            (flow.src, flow.src_port) = drawn(rng, flow.src, mask);
        }
        if let Some(mask) = *dst {
            (flow.dst, flow.dst_port) = drawn(rng, flow.dst, mask);
        }
    }
}

fn drawn(rng: &mut Rng, address: u128, mask: u128) -> (u128, u16) {
    (address & !mask | rng.u128(..) & mask, rng.u16(..))
}
