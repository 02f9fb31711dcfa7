//! A source of frames that are in several places, as those of guests may be.

use crate::piece::Piece;
use crate::{Burst, Frame, Offload, Rx};

/// The receiving half of a port whose frames are in pieces.
pub struct Scattered {
    frames: Vec<Waiting>,
}

struct Waiting {
    /// What the pieces are of; never written again.
    _bytes: Vec<u8>,
    pieces: Vec<Piece>,
    offload: Offload,
}

// SAFETY: the pieces are of bytes on the heap that go with them, and that nobody writes.
unsafe impl Send for Waiting {}

impl Scattered {
    /// Frames that are cut after every `length` bytes, from 1. Empty ones are left out: they are in no place.
    ///
    /// # Panics
    /// If a frame comes to more than 32767 pieces.
    #[must_use]
    pub fn new(frames: impl IntoIterator<Item = (Vec<u8>, Offload)>, length: usize) -> Self {
        let frames = frames.into_iter().filter(|(bytes, _)| !bytes.is_empty());
        Self { frames: frames.map(|(bytes, offload)| Waiting::cut(bytes, length, offload)).collect() }
    }
}

impl Waiting {
    fn cut(bytes: Vec<u8>, length: usize, offload: Offload) -> Self {
        let piece = |run: &[u8]| Piece { start: run.as_ptr(), len: u32::try_from(run.len()).unwrap_or(0) };
        let pieces = bytes.chunks(length).map(piece).collect::<Vec<_>>();
        assert!(i16::try_from(pieces.len()).is_ok(), "more pieces than a frame can have");
        Self { _bytes: bytes, pieces, offload }
    }
}

impl Rx for Scattered {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        for Waiting { pieces, offload, .. } in &self.frames {
            // SAFETY: the pieces are of `_bytes`, which lives as long and is written by nobody.
            let Some(frame) = (unsafe { Frame::from_pieces(pieces, *offload) }) else { continue };
            if burst.try_push(frame).is_err() {
                return;
            }
        }
    }

    fn release(&mut self, n: usize) {
        self.frames.drain(..n);
    }
}
