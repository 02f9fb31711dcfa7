//! A frame, where its port has it, and the burst that carries frames through one pass.

use std::marker::PhantomData;

use arrayvec::ArrayVec;

use crate::prefetch::prefetch;
use crate::{Mac, Offload};

/// Most frames that one pass takes from one port.
pub const BURST: usize = 256;

/// The frames of one pass, in order of arrival. Lives on the worker's stack; holds no bytes.
pub type Burst<'a> = ArrayVec<Frame<'a>, BURST>;

/// One frame in its port's memory, with its offload metadata.
///
/// A frame is a view: it borrows the port half it came from, so that the port cannot be asked to release or
/// reuse the memory while the view is alive. Contents are copied out, never judged in place twice: memory
/// behind a frame may later belong to a guest or a peer process, which can change it at any moment.
/// [`Frame::bytes`] is for memory that is private to this process, which all of today's backends have.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    start: *const u8,
    len: u32,
    offload: Offload,
    memory: PhantomData<&'a [u8]>,
}

const _: () = assert!(size_of::<Frame<'_>>() == 24);

// SAFETY: a frame is a shared borrow of bytes, as `&[u8]` is.
unsafe impl Send for Frame<'_> {}

impl<'a> Frame<'a> {
    /// Length of an Ethernet header without tags.
    pub const HEADER: usize = 14;

    /// A plain frame of these bytes.
    ///
    /// Frames are at most 64 KiB and headers long; anything beyond `u32::MAX` is cut.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_offload(bytes, Offload::NONE)
    }

    /// A frame of these bytes with offload metadata.
    #[must_use]
    pub fn with_offload(bytes: &'a [u8], offload: Offload) -> Self {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { start: bytes.as_ptr(), len, offload, memory: PhantomData }
    }

    /// A frame of `len` bytes at `start`.
    ///
    /// # Safety
    /// The bytes are readable, and not written by this process, for `'a`.
    pub(crate) const unsafe fn from_raw(start: *const u8, len: u32, offload: Offload) -> Self {
        Self { start, len, offload, memory: PhantomData }
    }

    /// Bytes of the frame, Ethernet header included, FCS not.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty frame is a runt like any other")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Offload metadata.
    #[must_use]
    pub const fn offload(&self) -> Offload {
        self.offload
    }

    /// Destination and source station, or `None` for a runt (shorter than an Ethernet header).
    #[must_use]
    #[inline]
    pub fn stations(&self) -> Option<(Mac, Mac)> {
        self.flow().map(|flow| (flow.dst(), flow.src()))
    }

    /// Destination and source station in one, or `None` for a runt (shorter than an Ethernet header).
    #[must_use]
    #[inline]
    pub fn flow(&self) -> Option<Flow> {
        if self.len() < Self::HEADER {
            return None;
        }
        // SAFETY: 14 bytes are readable at `start`; unaligned reads are asked for.
        let start = unsafe { self.start.cast::<u64>().read_unaligned() };
        // SAFETY: 4 + 8 = 12 bytes are readable at `start`.
        let end = unsafe { self.start.wrapping_add(4).cast::<u64>().read_unaligned() };
        Some(Flow { start, end })
    }

    /// Copies the first bytes of the frame into `to`, and says how many there were.
    #[inline]
    pub fn head(&self, to: &mut [u8]) -> usize {
        self.copy_at(0, to)
    }

    /// Copies the bytes of the frame from `at` on into `to`, as many as there are and fit, and says how many.
    #[inline]
    pub fn copy_at(&self, at: usize, to: &mut [u8]) -> usize {
        let at = at.min(self.len());
        let n = to.len().min(self.len() - at);
        let from = self.start.wrapping_add(at);
        // SAFETY: `at + n` is within the frame and `n` within `to`, a unique borrow, so the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), n) };
        n
    }

    /// Copies the frame to `to`.
    ///
    /// # Safety
    /// `to` is writable for [`len`](Self::len) bytes and does not overlap the frame.
    #[inline]
    pub(crate) const unsafe fn copy_to(&self, to: *mut u8) {
        // SAFETY: the frame's own bytes are readable by construction; the caller answers for `to`.
        unsafe { copy(self.start, to, self.len as usize) };
    }

    /// The frame in place. Only for memory that no other process can write.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        // SAFETY: readable and unwritten for `'a` by construction.
        unsafe { std::slice::from_raw_parts(self.start, self.len as usize) }
    }

    /// Asks the processor for the first line of the frame, which will be read soon.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.start);
    }
}

/// Who a frame is from and to, as it says: quick to compare with that of the frame before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Bytes 0 to 7 of the frame.
    start: u64,
    /// Bytes 4 to 11.
    end: u64,
}

impl Flow {
    /// What no frame says: the bytes that it holds twice differ.
    pub const NONE: Self = Self { start: 0, end: u64::MAX };

    /// The destination station.
    #[must_use]
    #[inline]
    pub const fn dst(self) -> Mac {
        Mac::from_bits(u64::from_be(self.start) >> 16)
    }

    /// The source station.
    #[must_use]
    #[inline]
    pub const fn src(self) -> Mac {
        Mac::from_bits(u64::from_be(self.end))
    }
}

/// Copies `len` bytes. Short frames in line: a call of `memcpy` costs as much as 64 bytes do.
///
/// # Safety
/// `from` is readable, `to` writable for `len` bytes, and the two do not overlap.
#[inline]
const unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    const PIECE: usize = 32;
    if len < PIECE || len > 4 * PIECE {
        // SAFETY: the caller's promise.
        return unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
    }
    let end = len - PIECE;
    // SAFETY: at least one piece is there, by the caller's promise; this is the first ...
    unsafe { std::ptr::copy_nonoverlapping(from, to, PIECE) };
    // SAFETY: ... and this the last, which may cover bytes of the first again.
    unsafe { std::ptr::copy_nonoverlapping(from.wrapping_add(end), to.wrapping_add(end), PIECE) };
    if len > 2 * PIECE {
        let end = end - PIECE;
        // SAFETY: more than two pieces are there; this is the second ...
        unsafe { std::ptr::copy_nonoverlapping(from.wrapping_add(PIECE), to.wrapping_add(PIECE), PIECE) };
        // SAFETY: ... and this the last but one. Four cover all there is.
        unsafe { std::ptr::copy_nonoverlapping(from.wrapping_add(end), to.wrapping_add(end), PIECE) };
    }
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("len", &self.len)
            .field("offload", &self.offload)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stations_are_read_in_wire_order() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 0];
        let (dst, src) = Frame::new(&bytes).stations().unwrap();
        assert_eq!(dst, Mac::BROADCAST);
        assert_eq!(src, Mac::new([2, 0, 0, 0, 0, 7]));
        assert_eq!(Frame::new(&bytes).flow(), Frame::new(&bytes.clone()).flow());
        assert_ne!(Frame::new(&bytes).flow(), Some(Flow::NONE));
        for at in 0..12 {
            let mut other = bytes;
            other[at] ^= 1;
            assert_ne!(Frame::new(&bytes).flow(), Frame::new(&other).flow(), "byte {at}");
        }
        assert!(Frame::new(&bytes[..13]).stations().is_none());
        assert!(Frame::new(&[]).stations().is_none());
    }

    #[test]
    fn head_is_cut_at_the_frame() {
        let bytes = [1, 2, 3];
        let mut to = [0; 5];
        assert_eq!(Frame::new(&bytes).head(&mut to), 3);
        assert_eq!(to, [1, 2, 3, 0, 0]);
    }

    #[test]
    fn every_length_is_copied_whole_and_no_more() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let mut to = [0xaa; 260];
            // SAFETY: `to` is longer than any of these frames.
            unsafe { Frame::new(&bytes[..len]).copy_to(to.as_mut_ptr()) };
            assert_eq!(to[..len], bytes[..len]);
            assert!(to[len..].iter().all(|b| *b == 0xaa), "{len}");
        }
    }

    #[test]
    fn parts_are_cut_at_the_frame() {
        let bytes = [1, 2, 3];
        let mut to = [0; 2];
        assert_eq!(Frame::new(&bytes).copy_at(1, &mut to), 2);
        assert_eq!(to, [2, 3]);
        assert_eq!(Frame::new(&bytes).copy_at(2, &mut to), 1);
        assert_eq!(to, [3, 3]);
        assert_eq!(Frame::new(&bytes).copy_at(4, &mut to), 0);
    }
}
