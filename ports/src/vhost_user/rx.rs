//! From the guest: its transmit rings.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::completion::Completion;
use super::queue::{Broken, Chain, Direction, Queue};
use super::session::{Held, Ring, Shared};
use super::{HEADER, HOST_OFFLOADS, MAX_CHAIN_BYTES};
use crate::peer::Link;
use crate::piece::Piece;
use crate::prefetch::prefetch;
use crate::{BURST, Burst, Counters, Frame, Offload, OffloadFlags, Reason, Rx, Time};

/// Pieces of the frames of one burst. When they run out, the burst ends early.
const PIECES: usize = 4096;

/// A frame of the burst.
enum Taken {
    /// Header and frame in one buffer, as nearly always; not looked at yet. The header has a meaning or not.
    Lone { at: NonNull<u8>, len: u32, header: bool },
    /// These pieces, behind a header that was read.
    Pieces { first: usize, count: usize, offload: Offload },
}

/// The receiving half.
pub(super) struct VhostRx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    /// Held from `receive` to `release`: frames are in its memory.
    session: Option<Held>,
    /// Which share of the rings it receives.
    share: usize,
    /// The ring of those that the last burst came from, and the one to look at first next time.
    ring: usize,
    turn: usize,
    /// What the guest was not called about yet.
    completion: Completion,
    /// What the guest broke is counted here.
    counters: Arc<Counters>,
    pieces: Vec<Piece>,
    taken: ArrayVec<Taken, BURST>,
}

// SAFETY: what was taken points into the memory of the session that is held with it.
unsafe impl Send for VhostRx {}

impl VhostRx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, share: usize, counters: Arc<Counters>) -> Self {
        let (pieces, taken) = (Vec::with_capacity(PIECES), ArrayVec::new());
        let completion = Completion::default();
        Self {
            shared,
            _link: link,
            session: None,
            share,
            ring: 0,
            turn: 0,
            completion,
            counters,
            pieces,
            taken,
        }
    }

    /// The guest broke the rules: it loses its port. What cannot be read is one frame, received and dropped.
    #[cold]
    fn fail(&self, session: &Held, broken: Broken) {
        self.counters.add_rx(1, 0);
        self.counters.add_drops(Reason::Error, 1);
        self.shared.fail(session, broken);
    }

    /// Takes chains off a ring, at most `most`, and says of each that it is done with, which the guest hears of when it is
    /// released. Asks the processor for all headers before it looks at any.
    ///
    /// Where no offload was agreed on, headers say nothing and are left alone (virtio 1.2, 5.1.6.2): they are in lines of
    /// their own with DPDK, which need not change hands then.
    fn take(&mut self, queue: &Queue, headers: bool, most: usize) -> Result<(), Broken> {
        let waiting = usize::from(queue.waiting()?).min(most).min(BURST);
        #[expect(clippy::cast_possible_truncation, reason = "at most a burst")]
        for n in 0..waiting as u16 {
            let chain = queue.chain(n, Direction::FromGuest)?;
            queue.complete(n, chain.head, 0);
            let taken = match chain.lone() {
                Some((at, len)) => lone(at, len, headers)?,
                None if PIECES - self.pieces.len() < PIECES / 4 => break, // a chain may need as many
                None => gathered(queue, &chain, headers, &mut self.pieces)?,
            };
            self.taken.push(taken);
        }
        Ok(())
    }

    /// Gives back what a ring has that the guest disabled: it may have been on its way (QEMU `docs/interop/vhost-user.rst`,
    /// "Ring states"). Each is a frame, received and dropped.
    #[cold]
    fn discard(&self, session: &Held, ring: &Ring) -> Result<(), Broken> {
        let Some(queue) = ring.drained() else { return Ok(()) };
        let waiting = queue.waiting()?;
        for n in 0..waiting {
            queue.complete(n, queue.chain(n, Direction::FromGuest)?.head, 0);
        }
        if waiting > 0 && !session.is_over() {
            queue.publish(waiting);
            ring.call_if_wanted();
            self.counters.add_rx(waiting.into(), 0);
            self.counters.add_drops(Reason::Error, waiting.into());
        }
        Ok(())
    }
}

/// The frame of a chain that is a single buffer.
#[inline]
fn lone(at: NonNull<u8>, len: u32, header: bool) -> Result<Taken, Broken> {
    let bytes = (len as usize).checked_sub(HEADER).ok_or(Broken::Length)?;
    if bytes as u64 > MAX_CHAIN_BYTES {
        return Err(Broken::Length);
    }
    if header {
        prefetch(at.as_ptr());
    }
    prefetch(at.as_ptr().wrapping_add(HEADER));
    Ok(Taken::Lone { at, len, header })
}

/// Reads the header of a frame in pieces and notes those behind it.
fn gathered(queue: &Queue, chain: &Chain, headers: bool, pieces: &mut Vec<Piece>) -> Result<Taken, Broken> {
    let (first, mut header, mut read, mut bytes) = (pieces.len(), [0; HEADER], 0, 0);
    queue.walk(chain, Direction::FromGuest, |at, len| {
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
    let offload = header.first_chunk().filter(|_| headers).map_or(Offload::NONE, |bytes| said(*bytes));
    Ok(Taken::Pieces { first, count: pieces.len() - first, offload })
}

impl Rx for VhostRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.taken.clear();
        self.pieces.clear();
        self.session = None;
        let Some(session) = self.shared.session() else { return };
        let rings = session.transmit_rings(self.share);
        let headers = session.features & HOST_OFFLOADS != 0;
        for turn in 0..rings.len() {
            self.ring = (self.turn + turn) % rings.len();
            let taken = match rings[self.ring].running() {
                Some(queue) => self.take(queue, headers, burst.remaining_capacity()),
                None => self.discard(&session, &rings[self.ring]),
            };
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
        burst.extend(self.taken.iter().map(|taken| frame(taken, pieces)));
    }

    fn release(&mut self, n: usize) {
        let Some(session) = self.session.take() else { return };
        let Some(ring) = session.transmit_rings(self.share).get(self.ring) else { return };
        let Some(queue) = ring.running() else { return };
        let count = u16::try_from(n.min(self.taken.len())).unwrap_or(0);
        if count > 0 && !session.is_over() {
            queue.publish(count);
            self.completion.give(usize::from(count) + self.pieces.len());
        }
        if usize::from(count) == self.taken.len() {
            self.turn = self.ring + 1;
        }
    }

    fn tend(&mut self, now: Time) -> Time {
        let mut session = None; // which costs a lock: only where something is owed
        let wanted = || {
            session = self.shared.session();
            session.iter().flat_map(|s| s.transmit_rings(self.share)).any(Ring::wants_call)
        };
        if self.completion.calls(now, wanted) {
            session.iter().flat_map(|s| s.transmit_rings(self.share)).for_each(Ring::call_if_wanted);
        }
        self.completion.due()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.wakes(self.share).fd())
    }

    fn arm(&mut self) -> bool {
        let session = self.shared.session();
        let rings = session.iter().flat_map(|s| s.transmit_rings(self.share));
        rings.filter_map(Ring::drained).fold(false, |waiting, queue| waiting | queue.arm())
    }

    fn disarm(&mut self) {
        self.shared.wakes(self.share).drain();
        let session = self.shared.session();
        let rings = session.iter().flat_map(|s| s.transmit_rings(self.share));
        rings.filter_map(Ring::drained).for_each(Queue::disarm);
    }
}

/// What a guest says of a frame. Of the flags only one is its to set (virtio 1.2, 5.1.6.2.1).
#[inline]
const fn said(header: [u8; Offload::LEN]) -> Offload {
    let offload = Offload::from_bytes(header);
    Offload { flags: offload.flags & OffloadFlags::NEEDS_CSUM.bits(), ..offload }
}

/// What was taken, as a frame. An empty one is a runt like any other.
#[inline]
fn frame<'p>(taken: &Taken, pieces: &'p [Piece]) -> Frame<'p> {
    match *taken {
        Taken::Lone { at, len, header } => {
            let offload = if header {
                // SAFETY: the buffer has at least a header, looked up in the memory of the session, which is held until it
                // is released.
                said(unsafe { at.cast::<[u8; Offload::LEN]>().read_unaligned() })
            } else {
                Offload::NONE
            };
            let start = at.as_ptr().wrapping_add(HEADER);
            // SAFETY: the rest of the same buffer; what the guest transmits, nothing in this process writes.
            unsafe { Frame::from_foreign(start, len - HEADER as u32, offload) }
        }
        Taken::Pieces { first, count, offload } => match &pieces[first..][..count] {
            // SAFETY: of a buffer that was looked up, as above.
            [piece] => unsafe { Frame::from_foreign(piece.start, piece.len, offload) },
            // SAFETY: as above, each of them.
            several => unsafe { Frame::from_pieces(several, offload) }.unwrap_or_else(|| Frame::new(&[])),
        },
    }
}
