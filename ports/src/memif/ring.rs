//! One memif ring, as one of its two sides works on it.
//!
//! ```text
//!  S2M, frames from client to server:  the client fills slots and advances head; the server gives them back by tail
//!  M2S, frames from server to client:  the client gives empty slots by head; the server fills them and advances tail
//! ```
//!
//! So the client always writes head, the server tail, and the four cases differ by who is a ring's length ahead: see
//! [`Ring::available`].
//!
//! Everything here but what is ours alone can be written by the peer at any moment: indices and descriptors are read once and
//! checked, and where a client's buffers are is never read at all.

use std::mem::offset_of;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use super::memory::Memory;
use crate::peer::wake;
use crate::ring::layout::{COOKIE, Desc, Header, MASK_INT};

/// Slots of the longest ring, as a power of two (`MEMIF_MAX_LOG2_RING_SIZE`).
pub(super) const MAX_LOG2: u8 = 14;

/// What a peer did to a ring that no peer does. It loses its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// More slots than there are, or fewer than there were.
    #[error("an index of a ring jumps")]
    Index,
    /// A buffer that is in no region.
    #[error("a buffer is outside its region")]
    Address,
    /// A frame longer than its buffer, or than any frame.
    #[error("a frame is longer than its buffer, or than 64 KiB")]
    Length,
    /// A frame that goes on behind the last slot that is filled.
    #[error("a chain has no end")]
    Endless,
    /// Buffers so small that a frame takes hundreds.
    #[error("buffers are too small for frames")]
    Small,
}

/// Which side of a ring we are, and so where its buffers are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// Buffers are where descriptors say.
    Server,
    /// They are ours: in a row from this byte of region 0 on, each of [`SLOT`](crate::ring::SLOT) bytes.
    Client { buffers: u64 },
}

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The peer fills slots, we drain them.
    In,
    /// We fill them.
    Out,
}

/// Where a ring is, as it is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: u16,
    pub(super) offset: u32,
    /// Slots, as a power of two up to [`MAX_LOG2`].
    pub(super) log2: u8,
}

impl Place {
    /// Bytes of a ring with so many slots.
    pub(super) const fn bytes(log2: u8) -> u64 {
        (size_of::<Header>() + (size_of::<Desc>() << log2)) as u64
    }
}

/// The bytes of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) at: NonNull<u8>,
    /// How many: those of a frame, or of the room for one.
    pub(super) len: u32,
    region: u16,
}

// SAFETY: an address, of the memory of the ring that it came from.
unsafe impl Send for Buffer {}

/// A ring, and how far we are with it.
#[derive(Debug)]
pub(super) struct Ring {
    /// What the pointers point into.
    memory: Arc<Memory>,
    header: NonNull<u8>,
    mask: u16,
    side: Side,
    /// Where in the header our index is, and the peer's.
    ours: usize,
    theirs: usize,
    /// What is added to our next slot, and to the peer's index.
    ahead: u16,
    behind: u16,
    /// The next slot.
    next: AtomicU16,
    /// The next slot when the peer was last kicked.
    kicked: AtomicU16,
    /// By which the side that drains is kicked.
    event: Arc<OwnedFd>,
}

// SAFETY: the pointers go into memory that the ring holds; one half works on it at a time, and what is shared with the peer is
// only touched as the protocol says, by volatile or atomic accesses.
unsafe impl Send for Ring {}
// SAFETY: as above; our own state is atomic.
unsafe impl Sync for Ring {}

impl Ring {
    /// The ring at this place; `None` if it is not all there, or not aligned, or there is none.
    pub(super) fn new(
        memory: Arc<Memory>,
        place: Place,
        side: Side,
        way: Way,
        event: Arc<OwnedFd>,
    ) -> Option<Self> {
        if place.log2 > MAX_LOG2 {
            return None;
        }
        let header = memory.find(place.region, place.offset.into(), Place::bytes(place.log2))?;
        let cookie = header.as_ptr().cast::<u32>(); // the first field
        if !header.as_ptr().addr().is_multiple_of(align_of::<Desc>()) {
            return None;
        }
        // SAFETY: within the region, aligned; the peer may write it, so it is read once.
        if unsafe { cookie.read_volatile() } != COOKIE {
            return None;
        }
        let slots = 1 << place.log2;
        let (ours, theirs, ahead, behind) = match (side, way) {
            (Side::Server, _) => (offset_of!(Header, tail), offset_of!(Header, head), 0, 0),
            (Side::Client { .. }, Way::In) => (offset_of!(Header, head), offset_of!(Header, tail), slots, 0),
            (Side::Client { .. }, Way::Out) => (offset_of!(Header, head), offset_of!(Header, tail), 0, slots),
        };
        let mask = slots - 1;
        let (next, kicked) = (AtomicU16::new(0), AtomicU16::new(0));
        let ring = Self { memory, header, mask, side, ours, theirs, ahead, behind, next, kicked, event };
        if way == Way::In {
            ring.disarm();
        }
        Some(ring)
    }

    /// Begins to work: as a client, gives the server empty slots.
    pub(super) fn start(&self) {
        self.advance(0);
    }

    /// The eventfd of the ring.
    pub(super) const fn event(&self) -> &Arc<OwnedFd> {
        &self.event
    }

    /// Number of slots.
    pub(super) const fn slots(&self) -> u16 {
        self.mask + 1
    }

    /// A word of the header.
    #[inline]
    fn word(&self, at: usize) -> &AtomicU16 {
        let at = self.header.as_ptr().wrapping_add(at).cast();
        // SAFETY: a field of the header, whose place and alignment `new` has checked, in memory that lives as long as `self`;
        // the peer writes it too, so it is only ever accessed as an atomic.
        unsafe { AtomicU16::from_ptr(at) }
    }

    /// Slots from the next on that are ours: filled ones to drain, or empty ones to fill.
    #[inline]
    pub(super) fn available(&self) -> Result<u16, Broken> {
        let theirs = self.word(self.theirs).load(Ordering::Acquire).wrapping_add(self.behind);
        let available = theirs.wrapping_sub(self.next.load(Ordering::Relaxed));
        if available > self.slots() { Err(Broken::Index) } else { Ok(available) }
    }

    /// The descriptor of the `n`th slot from the next.
    #[inline]
    fn desc(&self, n: u16) -> *mut u64 {
        let index = self.next.load(Ordering::Relaxed).wrapping_add(n) & self.mask;
        let at = size_of::<Header>() + usize::from(index) * size_of::<Desc>();
        self.header.as_ptr().wrapping_add(at).cast()
    }

    /// The bytes of the `n`th slot from the next, which is ours, and the flags of its descriptor. Read once.
    #[inline]
    pub(super) fn read(&self, n: u16) -> Result<(Buffer, u16), Broken> {
        let at = self.desc(n);
        // SAFETY: a descriptor of the ring, aligned, as `new` has checked; any bits are one.
        let what = unsafe { at.read_volatile() };
        // SAFETY: as above; the second word of the same descriptor.
        let place = unsafe { at.wrapping_add(1).read_volatile() };
        let desc = Desc { what, place };
        #[expect(clippy::cast_possible_truncation, reason = "32 bits of a word")]
        let len = desc.len() as u32;
        let at = match self.side {
            Side::Server => self.memory.find(desc.region(), desc.offset() as u64, len.into()),
            Side::Client { .. } if len as usize > crate::ring::SLOT => return Err(Broken::Length),
            Side::Client { buffers } => self.own(buffers, n),
        };
        Ok((Buffer { at: at.ok_or(Broken::Address)?, len, region: desc.region() }, desc.flags()))
    }

    /// The room in the `n`th slot from the next, which is to be filled.
    #[inline]
    pub(super) fn room(&self, n: u16) -> Result<Buffer, Broken> {
        let Side::Client { buffers } = self.side else { return self.read(n).map(|(buffer, _)| buffer) };
        let at = self.own(buffers, n).ok_or(Broken::Address)?;
        Ok(Buffer { at, len: crate::ring::SLOT as u32, region: 0 })
    }

    /// A client's own buffer.
    #[inline]
    fn own(&self, buffers: u64, n: u16) -> Option<NonNull<u8>> {
        let index = self.next.load(Ordering::Relaxed).wrapping_add(n) & self.mask;
        self.memory.find(0, buffers + u64::from(index) * crate::ring::SLOT as u64, crate::ring::SLOT as u64)
    }

    /// Describes the frame, or part of one, in the `n`th slot from the next, which has been filled.
    #[inline]
    pub(super) fn fill(&self, n: u16, flags: u16, buffer: Buffer, len: u32) {
        // SAFETY: the first word of a descriptor of the ring, aligned, as `new` has checked; the peer does not look at it
        // before `advance`, or looks at its own risk.
        unsafe { self.desc(n).write_volatile(Desc::what(flags, buffer.region, len)) };
    }

    /// Gives the peer the first `n` slots that were ours.
    #[inline]
    pub(super) fn advance(&self, n: u16) {
        let next = self.next.load(Ordering::Relaxed).wrapping_add(n);
        self.next.store(next, Ordering::Relaxed);
        self.word(self.ours).store(next.wrapping_add(self.ahead), Ordering::Release);
    }

    /// Wakes the peer about what was filled since this was asked last, if it sleeps.
    pub(super) fn kick_if_wanted(&self) {
        let next = self.next.load(Ordering::Relaxed);
        if self.kicked.swap(next, Ordering::Relaxed) == next {
            return;
        }
        fence(Ordering::SeqCst); // the peer says what it wants and looks at the index; we, the other way round
        if self.word(offset_of!(Header, flags)).load(Ordering::Relaxed) & MASK_INT == 0 {
            wake(&self.event);
        }
    }

    /// Asks to be kicked; says whether frames wait already.
    pub(super) fn arm(&self) -> bool {
        self.word(offset_of!(Header, flags)).store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst); // see `kick_if_wanted`: here we are the ones who go to sleep
        self.available() != Ok(0)
    }

    /// Wants no kicks: we look by ourselves.
    pub(super) fn disarm(&self) {
        self.word(offset_of!(Header, flags)).store(MASK_INT, Ordering::Relaxed);
    }
}

/// Writes rings of ours into fresh memory, as a client has to: cookies, and where the buffers are.
pub(super) fn lay_out(memory: &Memory, place: Place, buffers: u64) -> Option<()> {
    let header = memory.find(place.region, place.offset.into(), Place::bytes(place.log2))?.as_ptr();
    // SAFETY: within the region and aligned to a line by the caller's arithmetic; nobody else knows of it yet.
    unsafe { header.cast::<u32>().write(COOKIE) };
    for slot in 0..1usize << place.log2 {
        let at = header.wrapping_add(size_of::<Header>() + slot * size_of::<Desc>()).cast::<u64>();
        let offset = buffers + (slot * crate::ring::SLOT) as u64;
        // SAFETY: as above; the descriptor of a slot of the ring.
        unsafe { at.write(Desc::what(0, 0, crate::ring::SLOT as u32)) };
        // SAFETY: as above; its second word.
        unsafe { at.wrapping_add(1).write(offset) };
    }
    Some(())
}
