//! A load made such that its egress takes it, as far as the scratch memory goes.

use arrayvec::ArrayVec;
use ports::{BURST, Capabilities, Frame, Offload, Reason};

use super::checksum::complete;
use super::segment::SuperFrame;
use crate::load::Load;

/// A frame of the load and a segment of it.
pub(super) type Place = (usize, u16);

/// What can be handed to the egress in one go.
pub(super) struct Rendered<'s> {
    pub(super) frames: ArrayVec<Frame<'s>, BURST>,
    /// Where in the load each of them comes from.
    pub(super) places: ArrayVec<Place, BURST>,
    /// Why there are no more.
    pub(super) end: End,
    free: &'s mut [u8],
}

/// Where rendering ended.
pub(super) enum End {
    /// Here: out of frames, or of scratch memory.
    At(usize, u16),
    /// At a frame that the egress cannot have at all.
    Refused(usize, Reason),
}

impl<'s> Rendered<'s> {
    /// Renders from a place in the load on.
    pub(super) fn new(
        load: &Load<'_, 's>,
        (first, piece): Place,
        takes: &Capabilities,
        scratch: &'s mut [u8],
    ) -> Self {
        let mut rendered = Self {
            frames: ArrayVec::new(),
            places: ArrayVec::new(),
            end: End::At(load.frames.len(), 0),
            free: scratch,
        };
        let mut start = piece;
        for (i, frame) in load.frames.iter().enumerate().skip(first) {
            match rendered.render(i, *frame, start, takes) {
                Ok(None) => {}
                Ok(Some(piece)) => {
                    rendered.end = End::At(i, piece);
                    break;
                }
                Err(reason) => {
                    rendered.end = End::Refused(i, reason);
                    break;
                }
            }
            start = load.starts.get(i + 1).copied().unwrap_or_default();
        }
        rendered
    }

    /// Renders one frame from its segment `start` on. Says at which segment there was no more room, if so.
    fn render(
        &mut self,
        i: usize,
        frame: Frame<'s>,
        start: u16,
        takes: &Capabilities,
    ) -> Result<Option<u16>, Reason> {
        let longest = Capabilities::MAX_SUPER_FRAME as usize;
        let fits = |len| len <= longest && takes.takes(len, Offload::NONE);
        let offload = frame.offload();
        if self.frames.is_full() {
            return Ok(Some(start));
        }
        if start == 0 && takes.takes(frame.len(), offload) {
            self.push((i, 0), frame);
            return Ok(None);
        }
        if offload.gso_type == 0 {
            if !fits(frame.len()) {
                return Err(Reason::Oversize);
            }
            let Some(to) = self.room(frame.len()) else { return Ok(Some(0)) };
            complete(&frame, to)?;
            self.push((i, 0), Frame::new(to));
            return Ok(None);
        }
        let mut whole = SuperFrame::read(frame)?;
        if !fits(whole.piece_len(0)) {
            return Err(Reason::Oversize);
        }
        for piece in start..whole.pieces() {
            if self.frames.is_full() {
                return Ok(Some(piece));
            }
            let Some(to) = self.room(whole.piece_len(piece)) else { return Ok(Some(piece)) };
            whole.write(piece, to);
            self.push((i, piece), Frame::new(to));
        }
        Ok(None)
    }

    fn push(&mut self, place: Place, frame: Frame<'s>) {
        self.frames.push(frame);
        self.places.push(place);
    }

    /// The next `len` bytes of scratch memory.
    fn room(&mut self, len: usize) -> Option<&'s mut [u8]> {
        let free = std::mem::take(&mut self.free);
        match free.split_at_mut_checked(len) {
            Some((to, rest)) => {
                self.free = rest;
                Some(to)
            }
            None => None, // what is left is too short for anything that follows: the round ends here
        }
    }
}
