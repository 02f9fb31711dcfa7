//! What the two ends of a ring share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::layout::{COOKIE, Desc, Header, MASK_INT, ONE_SLOT, SLOT, start};
use super::region::Region;
use crate::Error;
use crate::prefetch::{claim, prefetch};

/// Fewest slots of a ring: one super-frame takes 33, and there is to be room for it while others are drained.
pub const MIN_SLOTS: u16 = 64;
/// Most slots of a ring (`MEMIF_MAX_LOG2_RING_SIZE` is 14).
pub const MAX_SLOTS: u16 = 1 << 14;

/// A ring's memory and its wake-up descriptor.
pub(super) struct Shared {
    rings: Region,
    buffers: Region,
    slots: u16,
    wake: OwnedFd,
    /// Where the producer's next buffer is, as a [`Map`] has it, for [`Landing`](super::Landing): a hint.
    shift: AtomicU32,
    /// Rings fill up in step when frames are dealt out to many ports. Where each begins differs, or the lines that
    /// they are at would all compete for the same few sets of the caches: their addresses end alike.
    colour: u32,
    /// Where the header is, bytes from the first of the region.
    start: usize,
}

/// Bytes of a page, the distance at which addresses compete for a first-level cache.
const PAGE: usize = 4096;
/// Rings made so far.
static RINGS: AtomicU32 = AtomicU32::new(0);

impl Shared {
    pub(super) fn new(name: &str, slots: u16) -> Result<Self, Error> {
        if !slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&slots) {
            let what = format!("{slots} slots: a ring has a power of two of {MIN_SLOTS} to {MAX_SLOTS}");
            return Err(Error::Invalid { name: name.to_owned(), what });
        }
        let ring_bytes = size_of::<Header>() + usize::from(slots) * size_of::<Desc>();
        let colour = RINGS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1) >> 16;
        let shared = Self {
            rings: Region::new(name, (ring_bytes + PAGE).next_multiple_of(PAGE), false)?,
            buffers: Region::new(name, usize::from(slots) * SLOT, true)?,
            slots,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
                .map_err(|e| Error::io(name, "eventfd", e))?,
            shift: AtomicU32::new(colour),
            start: colour as usize * size_of::<Header>() % PAGE,
            colour,
        };
        let cookie = shared.base().cast::<u32>(); // the first field of the header
        // SAFETY: the region is large enough and nobody else knows of it yet.
        unsafe { cookie.write(COOKIE) };
        shared.map().header().flags.store(MASK_INT, Ordering::Relaxed);
        Ok(shared)
    }

    /// The first byte of the header.
    fn base(&self) -> *mut u8 {
        self.rings.base().wrapping_add(self.start)
    }

    /// The number of the first buffer, from the first byte of the buffers.
    pub(super) const fn colour(&self) -> u32 {
        self.colour
    }

    pub(super) const fn shift(&self) -> &AtomicU32 {
        &self.shift
    }

    /// Wakes the consumer.
    #[cold]
    pub(super) fn kick(&self) {
        // Fails only when the counter is full, and then the consumer is being woken already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Where everything is. Good while `self` is alive.
    pub(super) fn map(&self) -> Map {
        Map {
            ring: self.base().cast(),
            buffers: self.buffers.base(),
            mask: u32::from(self.slots) - 1,
            shift: self.colour,
        }
    }

    /// Bytes of a page of the buffers.
    pub(super) const fn page_bytes(&self) -> usize {
        self.buffers.page_bytes()
    }

    /// The descriptor that wakes the consumer.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Where a ring's header, descriptors and buffers are. Good while its [`Shared`] is alive, which whoever works on many
/// rings in a pass need not look at: it is one more line for each that is in no near cache.
///
/// Indices are of 32 bits here, though 16 of them are what the ends tell each other: a half of a word that is written
/// and then read with its other half stalls the processor.
#[derive(Clone, Copy)]
pub(super) struct Map {
    /// The header; the descriptors are behind it.
    ring: *mut Header,
    /// The first buffer byte; readable and writable for twice [`Self::buffer_len`].
    pub(super) buffers: *mut u8,
    mask: u32,
    /// From the index of a slot to that of its buffer.
    pub(super) shift: u32,
}

// SAFETY: as for the `Region`s that it points into; whoever has a map has their `Shared`.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    pub(super) const fn header(&self) -> &Header {
        // SAFETY: the region starts with a header, is aligned to a line and zeroed, and lives as long as the `Shared` that
        // whoever has a map has; what changes after `Shared::new` are atomics.
        unsafe { &*self.ring }
    }

    pub(super) const fn head(&self) -> &AtomicU16 {
        &self.header().head
    }

    pub(super) const fn tail(&self) -> &AtomicU16 {
        &self.header().tail
    }

    /// Says what the slot before `head` describes, to a consumer that waits for nothing else.
    #[inline]
    pub(super) fn announce(&self, head: u32) {
        let index = head.wrapping_sub(1);
        let word = u64::from(index) << 48 | self.read(index).brief();
        self.header().newest.store(word, Ordering::Relaxed);
    }

    /// The offset and length of the frame in this slot, if it is the one published last and nothing special.
    #[inline]
    pub(super) fn newest(&self, index: u32) -> Option<(usize, usize)> {
        let word = self.header().newest.load(Ordering::Relaxed);
        let len = (word >> 32) as usize & 0xffff;
        (word >> 48 == u64::from(index) & 0xffff && len > 0).then_some((word as usize & 0xffff_ffff, len))
    }

    /// Whether the consumer sleeps, or is about to, and wants to be kicked.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        self.header().flags.load(Ordering::Relaxed) & MASK_INT == 0
    }

    /// Number of slots, a power of two.
    #[inline]
    pub(super) const fn slots(self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "at most `MAX_SLOTS`")]
        let last = self.mask as u16;
        last + 1
    }

    /// The descriptor of a slot; any index is taken modulo the ring's size.
    fn desc(self, index: u32) -> *mut u64 {
        self.ring.wrapping_add(1).cast::<Desc>().wrapping_add((index & self.mask) as usize).cast()
    }

    /// Reads the descriptor of a slot: each word once, since the other end may be another process.
    #[inline]
    pub(super) fn read(self, index: u32) -> Desc {
        let at = self.desc(index);
        // SAFETY: in bounds by construction of `desc`. The reader's own, or published, so that the producer leaves it
        // alone; any bits are a descriptor.
        let what = unsafe { at.read_volatile() };
        // SAFETY: as above; the second word of the same descriptor.
        let place = unsafe { at.wrapping_add(1).read_volatile() };
        Desc { what, place }
    }

    /// Writes the descriptor of a slot, which is the producer's.
    #[inline]
    pub(super) fn write(self, index: u32, desc: Desc) {
        let at = self.desc(index);
        // SAFETY: in bounds by construction of `desc`, and the producer's until it publishes `index`.
        unsafe { at.write(desc.what) };
        // SAFETY: as above; the second word of the same descriptor.
        unsafe { at.wrapping_add(1).write(desc.place) };
    }

    /// Asks the processor for a slot's descriptor and for the first line of a frame in it, to be written soon.
    #[inline]
    pub(super) fn claim_slot(self, index: u32) {
        claim(self.desc(index));
        claim(self.buffers.wrapping_add(self.start(index)));
    }

    /// Where a frame that begins at this slot starts, bytes from the first buffer byte.
    #[inline]
    pub(super) fn start(self, index: u32) -> usize {
        self.buffer(index) * SLOT + start(index.wrapping_add(self.shift))
    }

    /// Slots that a frame of `len` bytes, at most [`MAX_FRAME`](super::layout::MAX_FRAME), takes if it begins at this one.
    #[inline]
    pub(super) fn slots_for(self, index: u32, len: usize) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "`len` is at most MAX_FRAME")]
        if len <= ONE_SLOT { 1 } else { (self.start(index) % SLOT + len).div_ceil(SLOT) as u32 }
    }

    /// The number of the buffer in which a frame that begins at this slot is.
    #[inline]
    pub(super) fn buffer(self, index: u32) -> usize {
        (index.wrapping_add(self.shift) & self.mask) as usize
    }

    /// Asks the processor for the line at this offset, up to twice [`Self::buffer_len`], to be written soon: it is
    /// likely to be in the other core's cache, which is to give it up.
    #[inline]
    pub(super) fn claim(self, offset: usize) {
        claim(self.buffers.wrapping_add(offset));
    }

    /// Where a frame starts that begins in the buffer after the one with this offset.
    #[inline]
    pub(super) fn after(self, offset: usize) -> usize {
        let next = (offset / SLOT + 1) & self.mask as usize;
        next * SLOT + start(next as u32)
    }

    /// Asks for the line at this offset, in which the next frame is likely to be: it comes together with `head`, not after it.
    #[inline]
    pub(super) fn await_at(self, offset: usize) {
        prefetch(self.buffers.wrapping_add(offset));
    }

    /// Bytes of all slots.
    #[inline]
    pub(super) fn buffer_len(self) -> usize {
        (self.mask as usize + 1) * SLOT
    }
}
