//! To the peer: the rings that we fill.

use std::ptr::NonNull;

use arrayvec::ArrayVec;

use super::ring::{Broken, Buffer, Ring};
use super::session::Session;
use crate::peer::{Ahead, Filling, PeerTx, Put, Room, Taking};
use crate::piece::scatter;
use crate::prefetch::claim;
use crate::ring::layout::NEXT;
use crate::{Capabilities, Frame};

/// Most buffers that one frame is spread over.
const BUFFERS: usize = 256;

/// The transmitting half.
pub(super) type MemifTx = PeerTx<Session>;

impl Room for Ring {
    type Slot = Buffer;
    type Broken = Broken;
    const BACKWARDS: Broken = Broken::Index;

    #[inline]
    fn there(&self) -> Result<u16, Broken> {
        self.available()
    }

    #[inline]
    fn look(&self, n: u16) -> Result<Buffer, Broken> {
        let buffer = self.room(n)?;
        claim(buffer.at.as_ptr());
        Ok(buffer)
    }
}

/// A burst on its way into one ring.
pub(super) struct Filled<'r> {
    ring: &'r Ring,
    filled: u16,
    /// The slots from `filled` on.
    ahead: &'r mut Ahead<Buffer>,
}

impl Filling for Filled<'_> {
    type Broken = Broken;

    /// Into as many slots as it takes.
    #[inline]
    fn put(&mut self, frame: &Frame<'_>, want: usize) -> Result<Put, Broken> {
        let Some(buffer) = self.ahead.next(self.ring, want)? else { return Ok(Put::NoRoom) };
        if frame.len() > buffer.len as usize {
            return self.spread(frame, buffer);
        }
        // SAFETY: the buffer has room for the frame, which is in another port's memory; no other half of ours touches it.
        unsafe { frame.copy_to(buffer.at.as_ptr()) };
        #[expect(clippy::cast_possible_truncation, reason = "not longer than the buffer")]
        self.ring.fill(self.filled, 0, buffer, frame.len() as u32);
        self.filled += 1;
        Ok(Put::Delivered)
    }

    #[inline]
    fn publish(&self) {
        if self.filled > 0 {
            self.ring.advance(self.filled);
        }
    }
}

impl<'r> Filled<'r> {
    fn new(ring: &'r Ring, ahead: &'r mut Ahead<Buffer>) -> Self {
        ahead.begin();
        Self { ring, filled: 0, ahead }
    }

    /// Copies a frame into a chain of slots of which the first has not room for all of it.
    #[inline(never)]
    fn spread(&mut self, frame: &Frame<'_>, first: Buffer) -> Result<Put, Broken> {
        let mut chain = ArrayVec::<Buffer, BUFFERS>::new();
        let (mut room, mut next) = (0, Some(first));
        while let Some(buffer) = next {
            room += buffer.len as usize;
            chain.push(buffer);
            if room >= frame.len() {
                self.link(frame, &chain);
                return Ok(Put::Delivered);
            }
            if chain.is_full() || chain.len() == usize::from(self.ring.slots()) {
                return Err(Broken::Small);
            }
            next = self.ahead.next(self.ring, 1)?;
        }
        self.ahead.rewind(self.filled);
        Ok(Put::NoRoom)
    }

    /// Fills a chain of slots that have room for the frame.
    fn link(&mut self, frame: &Frame<'_>, chain: &[Buffer]) {
        let places: ArrayVec<(NonNull<u8>, u32), BUFFERS> = chain.iter().map(|b| (b.at, b.len)).collect();
        // SAFETY: the runs of a frame are readable, and each buffer was looked up; no other half of ours touches them.
        unsafe { scatter(frame.runs(), &places) };
        let mut left = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for buffer in chain {
            let len = left.min(buffer.len);
            left -= len;
            self.ring.fill(self.filled, if left > 0 { NEXT } else { 0 }, *buffer, len);
            self.filled += 1;
        }
    }
}

impl Taking for Session {
    type Slot = Buffer;
    type Broken = Broken;
    type Ring<'r> = Filled<'r>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    #[inline]
    fn rings<'r>(&'r self, ahead: &'r mut [Ahead<Buffer>]) -> impl Iterator<Item = Filled<'r>> {
        self.transmit.iter().zip(ahead).map(|(ring, ahead)| Filled::new(ring, ahead))
    }

    fn kick(&self) {
        self.transmit.iter().for_each(Ring::kick_if_wanted);
    }
}
