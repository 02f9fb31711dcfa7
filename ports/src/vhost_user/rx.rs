//! From the guest: its transmit rings.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::queue::{Broken, Queue};
use super::session::{Held, Shared};
use super::{HEADER, MAX_CHAIN_BYTES};
use crate::peer::Link;
use crate::piece::Piece;
use crate::{BURST, Burst, Frame, Offload, Rx};

/// Pieces of the frames of one burst. When they run out, the burst ends early.
const PIECES: usize = 4096;

/// A frame of the burst: its ring, the head of its chain, its pieces.
struct Taken {
    head: u16,
    first: usize,
    pieces: usize,
    offload: Offload,
}

/// The receiving half.
pub(super) struct VhostRx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    /// Held from `receive` to `release`: frames are in its memory.
    session: Option<Held>,
    /// The ring that the last burst came from, and the one to look at first next time.
    ring: usize,
    turn: usize,
    pieces: Vec<Piece>,
    taken: ArrayVec<Taken, BURST>,
}

// SAFETY: pieces point into the memory of the session that is held with them.
unsafe impl Send for VhostRx {}

impl VhostRx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        let (pieces, taken) = (Vec::with_capacity(PIECES), ArrayVec::new());
        Self { shared, _link: link, session: None, ring: 0, turn: 0, pieces, taken }
    }

    /// Takes chains off a ring, at most `most`.
    fn take(&mut self, queue: &Queue, most: usize) -> Result<(), Broken> {
        let waiting = usize::from(queue.waiting()?).min(most);
        for n in 0..waiting {
            #[expect(clippy::cast_possible_truncation, reason = "at most a burst")]
            let head = queue.head(n as u16);
            if PIECES - self.pieces.len() < PIECES / 4 {
                break; // a chain may need as many
            }
            let taken = chain(queue, head, &mut self.pieces)?;
            self.taken.push(taken);
        }
        Ok(())
    }
}

/// Reads the header of a frame and notes the pieces behind it.
#[inline]
fn chain(queue: &Queue, head: u16, pieces: &mut Vec<Piece>) -> Result<Taken, Broken> {
    let (first, mut header, mut read, mut bytes) = (pieces.len(), [0; HEADER], 0, 0);
    queue.walk(head, false, |at, len| {
        let piece = Piece { start: at.as_ptr(), len };
        let skip = piece.copy_at(0, &mut header[read..]);
        read += skip;
        bytes += u64::from(len) - skip as u64;
        if (skip as u64) < u64::from(len) {
            #[expect(clippy::cast_possible_truncation, reason = "at most a header")]
            pieces.push(Piece { start: at.as_ptr().wrapping_add(skip), len: len - skip as u32 });
        }
        bytes <= MAX_CHAIN_BYTES
    })?;
    if read < HEADER || bytes > MAX_CHAIN_BYTES {
        return Err(Broken::Length);
    }
    let offload = header.first_chunk().map_or(Offload::NONE, |bytes| Offload::from_bytes(*bytes));
    Ok(Taken { head, first, pieces: pieces.len() - first, offload })
}

impl Rx for VhostRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.taken.clear();
        self.pieces.clear();
        self.session = self.shared.session();
        let Some(session) = self.session.clone() else { return };
        let rings = session.transmit_rings();
        for turn in 0..rings.len() {
            self.ring = (self.turn + turn) % rings.len();
            let Some(queue) = rings[self.ring].running() else { continue };
            if let Err(broken) = self.take(queue, burst.remaining_capacity()) {
                self.shared.fail(&session, broken);
            }
            if !self.taken.is_empty() {
                self.turn = self.ring; // until all is given back
                break;
            }
        }
        if self.taken.is_empty() {
            self.session = None; // there may be no release
        }
        let pieces = &self.pieces;
        burst.extend(
            self.taken.iter().map(|taken| frame(&pieces[taken.first..][..taken.pieces], taken.offload)),
        );
    }

    fn release(&mut self, n: usize) {
        let session = self.session.take();
        let taken = std::mem::take(&mut self.taken);
        let Some(ring) = session.as_ref().and_then(|s| s.transmit_rings().get(self.ring)) else { return };
        let Some(queue) = ring.running() else { return };
        let mut count = 0;
        for chain in taken.iter().take(n) {
            queue.complete(count, chain.head, 0);
            count += 1;
        }
        if count > 0 && !session.as_ref().is_some_and(|session| session.is_over()) {
            queue.publish(count);
            ring.call_if_wanted();
        }
        if usize::from(count) == taken.len() {
            self.turn = self.ring + 1;
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.wake_fd())
    }

    fn arm(&mut self) -> bool {
        let session = self.shared.session();
        let rings = session.iter().flat_map(|s| s.transmit_rings());
        rings.filter_map(|ring| ring.running()).fold(false, |waiting, queue| waiting | queue.arm())
    }

    fn disarm(&mut self) {
        self.shared.drain_wakes();
        let session = self.shared.session();
        let rings = session.iter().flat_map(|s| s.transmit_rings());
        rings.filter_map(|ring| ring.running()).for_each(Queue::disarm);
    }
}

/// The frame of these pieces. An empty one is a runt like any other.
fn frame(pieces: &[Piece], offload: Offload) -> Frame<'_> {
    if let [lone] = pieces {
        // SAFETY: a checked buffer in the memory of the session, which is held until it is released; what the guest
        // transmits, nothing in this process writes.
        return unsafe { Frame::from_foreign(lone.start, lone.len, offload) };
    }
    // SAFETY: as above, each of them.
    unsafe { Frame::from_pieces(pieces, offload) }.unwrap_or_else(|| Frame::new(&[]))
}
