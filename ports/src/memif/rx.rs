//! From the peer: the rings that it fills.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::ring::{Broken, Buffer, Ring};
use super::session::{Held, Shared};
use crate::peer::Link;
use crate::piece::Piece;
use crate::ring::layout::NEXT;
use crate::{BURST, Burst, Capabilities, Counters, Frame, Offload, Reason, Rx, prefetch};

/// Pieces of the frames of one burst. When they run out, the burst ends early.
const PIECES: usize = 4096;
/// Most pieces of a frame: the longest one takes 33 buffers of 2 KiB.
const CHAIN: usize = 256;

/// A frame of the burst.
#[derive(Clone, Copy)]
enum Taken {
    /// In one slot, as nearly always.
    Lone(Buffer),
    /// In these pieces; `slots` of the burst are its own and those before.
    Pieces { first: usize, count: usize, slots: u16 },
}

/// The receiving half.
pub(super) struct MemifRx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    /// Held from `receive` to `release`: frames are in its memory.
    session: Option<Held>,
    /// The ring that the last burst came from, and the one to look at first next time.
    ring: usize,
    turn: usize,
    pieces: Vec<Piece>,
    taken: ArrayVec<Taken, BURST>,
}

// SAFETY: what was taken points into the memory of the session that is held with it.
unsafe impl Send for MemifRx {}

impl MemifRx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        let (pieces, taken) = (Vec::with_capacity(PIECES), ArrayVec::new());
        Self { shared, _link: link, counters, session: None, ring: 0, turn: 0, pieces, taken }
    }

    /// Takes frames off a ring, at most `most`.
    fn take(&mut self, ring: &Ring, most: usize) -> Result<(), Broken> {
        let available = ring.available()?;
        let mut slot = 0;
        while slot < available && self.taken.len() < most {
            let (buffer, flags) = ring.read(slot)?;
            slot += 1;
            if flags & NEXT != 0 {
                if PIECES - self.pieces.len() < CHAIN {
                    break;
                }
                slot = self.chain(ring, buffer, slot, available)?;
                continue;
            }
            if buffer.len > Capabilities::MAX_SUPER_FRAME {
                return Err(Broken::Length);
            }
            prefetch(buffer.at.as_ptr());
            self.taken.push(Taken::Lone(buffer));
        }
        Ok(())
    }

    /// Takes a frame that begins in this buffer and goes on at `slot`; says which slot is behind it.
    #[inline(never)]
    fn chain(&mut self, ring: &Ring, mut buffer: Buffer, mut slot: u16, end: u16) -> Result<u16, Broken> {
        let (first, mut bytes, mut goes_on) = (self.pieces.len(), 0, true);
        loop {
            bytes += u64::from(buffer.len);
            if bytes > Capabilities::MAX_SUPER_FRAME.into() {
                return Err(Broken::Length);
            }
            self.pieces.push(Piece { start: buffer.at.as_ptr(), len: buffer.len });
            if !goes_on {
                break;
            }
            if slot == end {
                return Err(Broken::Endless); // frames are given in whole
            }
            if self.pieces.len() - first == CHAIN {
                return Err(Broken::Small);
            }
            let (next, flags) = ring.read(slot)?;
            (buffer, goes_on, slot) = (next, flags & NEXT != 0, slot + 1);
        }
        self.taken.push(Taken::Pieces { first, count: self.pieces.len() - first, slots: slot });
        Ok(slot)
    }

    /// Slots of the first `n` frames.
    fn slots(&self, n: usize) -> u16 {
        let taken = &self.taken[..n.min(self.taken.len())];
        if self.pieces.is_empty() {
            return u16::try_from(taken.len()).unwrap_or(0);
        }
        let chain = taken.iter().enumerate().rev().find_map(|(i, taken)| match taken {
            Taken::Pieces { slots, .. } => Some((i + 1, *slots)),
            Taken::Lone(_) => None,
        });
        let (frames, slots) = chain.unwrap_or((0, 0));
        slots + u16::try_from(taken.len() - frames).unwrap_or(0)
    }

    /// The peer broke the rules: it loses its session. What cannot be read is one frame, received and dropped.
    #[cold]
    fn fail(&self, session: &Held, broken: Broken) {
        self.counters.add_rx(1, 0);
        self.counters.add_drops(Reason::Error, 1);
        self.shared.fail(session, broken);
    }
}

impl Rx for MemifRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.taken.clear();
        self.pieces.clear();
        self.session = None;
        let Some(session) = self.shared.session() else { return };
        let rings = session.receive.len();
        for turn in 0..rings {
            self.ring = (self.turn + turn) % rings;
            let taken = self.take(&session.receive[self.ring], burst.remaining_capacity());
            if let Err(broken) = taken {
                self.fail(&session, broken);
            }
            if !self.taken.is_empty() {
                self.turn = self.ring; // until all is given back
                self.session = Some(session); // else there may be no release
                break;
            }
            if taken.is_err() {
                break;
            }
        }
        let pieces = &self.pieces;
        burst.extend(self.taken.iter().map(|taken| frame(*taken, pieces)));
    }

    fn release(&mut self, n: usize) {
        let Some(session) = self.session.take() else { return };
        let Some(ring) = session.receive.get(self.ring) else { return };
        if n > 0 {
            ring.advance(self.slots(n));
        }
        if n >= self.taken.len() {
            self.turn = self.ring + 1;
        }
        self.taken.clear();
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.wakes(0).fd())
    }

    fn arm(&mut self) -> bool {
        let session = self.shared.session();
        session.iter().flat_map(|s| &s.receive).fold(false, |waiting, ring| waiting | ring.arm())
    }

    fn disarm(&mut self) {
        self.shared.wakes(0).drain();
        self.shared.session().iter().flat_map(|s| &s.receive).for_each(Ring::disarm);
    }
}

/// What was taken, as a frame. An empty one is a runt like any other.
#[inline]
fn frame(taken: Taken, pieces: &[Piece]) -> Frame<'_> {
    match taken {
        Taken::Lone(buffer) => {
            // SAFETY: a checked buffer in the memory of the session, which is held until it is released; what the peer
            // transmits, nothing in this process writes.
            unsafe { Frame::from_foreign(buffer.at.as_ptr(), buffer.len, Offload::NONE) }
        }
        Taken::Pieces { first, count, .. } => {
            // SAFETY: as above, each of them.
            let frame = unsafe { Frame::from_pieces(&pieces[first..][..count], Offload::NONE) };
            frame.unwrap_or_else(|| Frame::new(&[]))
        }
    }
}
