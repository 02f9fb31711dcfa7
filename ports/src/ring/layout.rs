//! The bytes of a memif ring, as `memif.h` of libmemif 4.0 (protocol 2.0) lays them out.

use std::sync::atomic::{AtomicU16, AtomicU64};

/// `MEMIF_COOKIE`: what the first word of a ring must say.
pub(crate) const COOKIE: u32 = 0x03E3_1F20;
/// `MEMIF_RING_FLAG_MASK_INT`: the consumer polls and wants no wake-up.
pub(crate) const MASK_INT: u16 = 1;
/// `MEMIF_DESC_FLAG_NEXT`: the frame goes on in the next descriptor.
pub(crate) const NEXT: u16 = 1;
/// Ours, never set towards a memif peer: offload metadata stands in the ten bytes before the frame.
pub(super) const OFFLOAD: u16 = 1 << 15;

/// Bytes of a slot.
pub const SLOT: usize = 2048;
/// Room before a frame for its offload metadata; one cache line, so that frames start on a line.
pub(super) const HEADROOM: usize = 64;
/// Bytes that a chain starting anywhere can lose to headroom and stagger.
pub(super) const MAX_START: usize = HEADROOM + 7 * 64;
/// Bytes that fit into any one slot.
pub(super) const ONE_SLOT: usize = SLOT - MAX_START;
const _: () = assert!(ONE_SLOT >= 1518, "a full Ethernet frame must");

/// Longest frame; a chain that adds up to more is broken.
pub(super) const MAX_FRAME: usize = crate::Capabilities::MAX_SUPER_FRAME as usize;
const _: () = assert!(MAX_FRAME <= super::MIN_SLOTS as usize * SLOT, "it fits into any region");

/// Where in its slot a frame starts. Slots are 2 KiB apart, so frames at one offset would all compete for the
/// same few sets of the first-level cache: eight staggered starts spread them.
pub(super) const fn start(index: u32) -> usize {
    HEADROOM + (index as usize & 7) * 64
}

/// `memif_ring_t` without its descriptors.
#[repr(C, align(64))]
pub(crate) struct Header {
    pub(crate) cookie: u32,
    pub(crate) flags: AtomicU16,
    /// Written by the producer: slots filled so far.
    pub(crate) head: AtomicU16,
    /// Ours, memif has nothing here: what the producer published last, [`Desc::brief`] with the index of its slot above.
    /// A consumer that is awaiting it gets it with `head`, and waits for one line less.
    pub(super) newest: AtomicU64,
    _line1: [u8; 48],
    /// Written by the consumer: slots given back so far.
    pub(crate) tail: AtomicU16,
    _line2: [u8; 62],
}

const _: () = assert!(size_of::<Header>() == 128);
const _: () = assert!(std::mem::offset_of!(Header, flags) == 4);
const _: () = assert!(std::mem::offset_of!(Header, head) == 6);
const _: () = assert!(std::mem::offset_of!(Header, newest) == 8);
const _: () = assert!(std::mem::offset_of!(Header, tail) == 64);

/// `memif_desc_t`: flags, region, length, offset and metadata, in two words, each of which is read or written at once.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desc {
    /// Flags, 16 bits; region, 16 bits; length, 32 bits.
    pub(crate) what: u64,
    /// Offset, 32 bits; metadata, 32 bits.
    pub(crate) place: u64,
}

const _: () = assert!(size_of::<Desc>() == 16);
const _: () = assert!(cfg!(target_endian = "little"), "the words of a descriptor are put together so");

impl Desc {
    /// A descriptor of bytes in the buffer region. Lengths and offsets are below 2^32, as regions are.
    pub(super) const fn new(flags: u16, length: usize, offset: usize) -> Self {
        const REGION: u16 = 1;
        #[expect(clippy::cast_possible_truncation, reason = "as said")]
        Self { what: Self::what(flags, REGION, length as u32), place: offset as u64 }
    }

    /// The first word.
    pub(crate) const fn what(flags: u16, region: u16, length: u32) -> u64 {
        flags as u64 | (region as u64) << 16 | (length as u64) << 32
    }

    /// The region that the bytes are in, whatever the other end says.
    #[expect(clippy::cast_possible_truncation, reason = "this part is asked for")]
    pub(crate) const fn region(self) -> u16 {
        (self.what >> 16) as u16
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower part is asked for")]
    pub(crate) const fn flags(self) -> u16 {
        self.what as u16
    }

    /// Bytes, whatever the other end says.
    pub(crate) const fn len(self) -> usize {
        (self.what >> 32) as usize
    }

    /// Bytes from the start of the region, whatever the other end says.
    pub(crate) const fn offset(self) -> usize {
        (self.place & 0xffff_ffff) as usize
    }

    /// Length, 16 bits, and offset, 32 bits, of a frame that this alone describes; zero if it does not, or is too long.
    #[inline]
    pub(super) const fn brief(self) -> u64 {
        match self.plain_len() {
            Some(len) if len <= ONE_SLOT => (len as u64) << 32 | self.place & 0xffff_ffff,
            _ => 0,
        }
    }

    /// The length of a frame that this alone describes and that has no metadata, if it is not too long.
    #[inline]
    pub(super) const fn plain_len(self) -> Option<usize> {
        // Length below, flags above: one comparison says all.
        let both = self.what.rotate_left(32) & (0xffff_ffff | ((NEXT | OFFLOAD) as u64) << 32);
        if both <= MAX_FRAME as u64 { Some(both as usize) } else { None }
    }
}
