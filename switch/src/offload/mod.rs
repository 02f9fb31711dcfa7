//! The offload stage: frames for an egress that cannot take them as they are.
//!
//! Checksums left open are completed and super-frames cut into segments, into scratch memory, and what comes out is
//! transmitted as plain frames among those that needed nothing, in order. A frame is read from its port's memory
//! once: headers are copied before they are judged, and payload is summed where it was copied to.

mod checksum;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
mod render;
mod segment;

use ports::{Capabilities, Reason, Sent, Tx};

use crate::load::Load;
use render::{End, Rendered};

/// Memory for rendered frames: room for the longest of all, which is also room for 43 of full Ethernet length.
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(vec![0; Capabilities::MAX_SUPER_FRAME as usize + segment::MAX_HEADERS].into())
    }
}

/// What an egress did with a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transmitted {
    /// Of the pieces that were handed to the egress: a frame counts one, a super-frame as many as it has segments.
    pub(crate) sent: Sent,
    /// Frames dropped as [`Reason::NoOffload`].
    pub(crate) no_offload: u64,
    /// Frames dropped as [`Reason::Oversize`].
    pub(crate) oversize: u64,
    /// Frames done with, a prefix of the load.
    pub(crate) done: usize,
    /// Segments of the next one done with.
    pub(crate) pieces: u16,
}

impl Transmitted {
    /// Frames that cannot be had by the egress.
    pub(crate) const fn refused(&self) -> u64 {
        self.no_offload + self.oversize
    }

    const fn add(&mut self, sent: Sent) {
        self.sent.taken += sent.taken;
        self.sent.frames += sent.frames;
        self.sent.bytes += sent.bytes;
    }

    const fn refuse(&mut self, reason: Reason) {
        match reason {
            Reason::Oversize => self.oversize += 1,
            _ => self.no_offload += 1,
        }
    }
}

/// Transmits a load to an egress that takes only `takes`, until it has no more room.
#[inline(never)]
pub(crate) fn transmit(
    tx: &mut dyn Tx,
    takes: &Capabilities,
    load: &Load<'_, '_>,
    scratch: &mut Scratch,
) -> Transmitted {
    let start = |frame: usize| load.starts.get(frame).copied().unwrap_or_default();
    let mut all = Transmitted { pieces: start(0), ..Transmitted::default() };
    while all.done < load.frames.len() {
        let rendered = Rendered::new(load, (all.done, all.pieces), takes, &mut scratch.0);
        let mut sent = Sent::default();
        if !rendered.frames.is_empty() {
            sent = tx.transmit(&rendered.frames);
        }
        all.add(sent);
        if let Some(place) = rendered.places.get(sent.taken) {
            (all.done, all.pieces) = *place;
            break;
        }
        match rendered.end {
            End::At(frame, piece) => (all.done, all.pieces) = (frame, piece),
            End::Refused(frame, reason) => {
                all.refuse(reason);
                (all.done, all.pieces) = (frame + 1, start(frame + 1));
            }
        }
    }
    all
}
