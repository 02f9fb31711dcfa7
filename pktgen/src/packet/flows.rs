//! The flows of a run, one after another.

use fastrand::Rng;

use super::{AddressRange, Flow, Odometer};
use crate::Frames;

/// Flows out of the ranges, or out of thin air.
#[derive(Clone, Debug)]
pub(super) struct Flows {
    odometer: Odometer,
    flow: Flow,
    random: Random,
    is_single: bool,
}

/// Which ends are drawn, in which bits of the address.
#[derive(Clone, Debug)]
struct Random {
    rng: Rng,
    src: Option<u128>,
    dst: Option<u128>,
}

/// What `-z` and `-Z` draw of an address: all of IPv4's, and the group of IPv6's that a range would vary.
fn mask(range: AddressRange) -> u128 {
    if range.is_v6() { range.step() * 0xffff } else { u32::MAX.into() }
}

impl Flows {
    pub(super) fn new(frames: &Frames, rng: Rng) -> Self {
        let Frames { src, dst, random_src, random_dst, .. } = *frames;
        let is_single = src.is_single() && dst.is_single() && !random_src && !random_dst;
        // An end that is drawn has no wheels of its own: the other one turns with every frame.
        let [wheels_src, wheels_dst] = [(src, random_src), (dst, random_dst)]
            .map(|(range, drawn)| if drawn { range.lowest() } else { range });
        let odometer = Odometer::new(wheels_src, wheels_dst);
        let random = Random { rng, src: random_src.then(|| mask(src)), dst: random_dst.then(|| mask(dst)) };
        let mut flows = Self { flow: odometer.flow(), odometer, random, is_single };
        flows.draw();
        flows
    }

    /// Whether all frames are of one flow.
    pub(super) const fn is_single(&self) -> bool {
        self.is_single
    }

    /// The flow of the next frame.
    #[inline]
    pub(super) const fn flow(&self) -> Flow {
        self.flow
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        if self.is_single {
            return;
        }
        self.odometer.advance();
        self.flow = self.odometer.flow();
        self.draw();
    }

    #[inline]
    fn draw(&mut self) {
        let Random { rng, src, dst } = &mut self.random;
        if let Some(mask) = *src {
            (self.flow.src, self.flow.src_port) = drawn(rng, self.flow.src, mask);
        }
        if let Some(mask) = *dst {
            (self.flow.dst, self.flow.dst_port) = drawn(rng, self.flow.dst, mask);
        }
    }
}

fn drawn(rng: &mut Rng, address: u128, mask: u128) -> (u128, u16) {
    (address & !mask | rng.u128(..) & mask, rng.u16(..))
}
