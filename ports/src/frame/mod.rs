//! A frame, where its port has it, and the burst that carries frames through one pass.

use std::marker::PhantomData;

use arrayvec::ArrayVec;

use crate::piece::{Piece, copy, gather};
use crate::prefetch::prefetch;
use crate::{Flow, Mac, Offload};

/// Most frames that one pass takes from one port.
pub const BURST: usize = 256;

/// The frames of one pass, in order of arrival. Lives on the worker's stack; holds no bytes.
pub type Burst<'a> = ArrayVec<Frame<'a>, BURST>;

/// One frame in its port's memory, with its offload metadata.
///
/// A frame is a view: it borrows the port half it came from, so that the port cannot be asked to release or
/// reuse the memory while the view is alive. Contents are copied out, never judged in place twice: memory
/// behind a frame may be foreign, that is, belong to a guest or a peer process, which can change it at any moment.
/// Most frames are one run of bytes; those of a guest may be several.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The first byte, or of a frame in pieces the first [`Piece`].
    start: *const u8,
    len: u32,
    offload: Offload,
    /// Number of pieces, zero for one run; [`FOREIGN`].
    shape: u16,
    memory: PhantomData<&'a [u8]>,
}

const _: () = assert!(size_of::<Frame<'_>>() == 24);

/// In [`Frame::shape`]: others can write the bytes while we look.
const FOREIGN: u16 = 1 << 15;

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
        Self { start: bytes.as_ptr(), len, offload, shape: 0, memory: PhantomData }
    }

    /// A frame of `len` bytes at `start`, which are private to this process.
    ///
    /// # Safety
    /// The bytes are readable, and not written by anyone, for `'a`.
    pub(crate) const unsafe fn from_raw(start: *const u8, len: u32, offload: Offload) -> Self {
        Self { start, len, offload, shape: 0, memory: PhantomData }
    }

    /// A frame of `len` bytes at `start`, which others may write.
    ///
    /// # Safety
    /// The bytes are readable, and not written by this process, for `'a`.
    pub(crate) const unsafe fn from_foreign(start: *const u8, len: u32, offload: Offload) -> Self {
        Self { start, len, offload, shape: FOREIGN, memory: PhantomData }
    }

    /// A frame of these pieces, in order; others may write its bytes, but not the pieces. `None` if there are no
    /// pieces, or more than 32767, or more than 4 GiB of bytes.
    ///
    /// # Safety
    /// Each piece is readable, and not written by this process, for `'a`.
    pub(crate) unsafe fn from_pieces(pieces: &'a [Piece], offload: Offload) -> Option<Self> {
        let len = pieces.iter().try_fold(0, |len: u32, piece| len.checked_add(piece.len))?;
        let count = u16::try_from(pieces.len()).ok().filter(|count| (1..FOREIGN).contains(count))?;
        let start = pieces.as_ptr().cast();
        Some(Self { start, len, offload, shape: FOREIGN | count, memory: PhantomData })
    }

    /// The pieces of a frame that has several.
    const fn pieces(&self) -> Option<&'a [Piece]> {
        match self.shape & !FOREIGN {
            0 => None,
            // SAFETY: `from_pieces` was given a slice that is this long and lives for `'a`.
            count => Some(unsafe { std::slice::from_raw_parts(self.start.cast(), count as usize) }),
        }
    }

    /// The runs of bytes that make up the frame, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Piece> + use<'a> {
        let whole = Piece { start: self.start, len: self.len };
        let pieces = self.pieces();
        let lone = pieces.is_none().then_some(whole);
        lone.into_iter().chain(pieces.into_iter().flatten().copied())
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
        if self.pieces().is_some() {
            return Some(self.flow_of_pieces());
        }
        // SAFETY: 14 bytes are readable at `start`; unaligned reads are asked for.
        let start = unsafe { self.start.cast::<u64>().read_unaligned() };
        // SAFETY: 8 + 4 = 12 bytes are readable at `start`.
        let rest = unsafe { self.start.wrapping_add(8).cast::<u32>().read_unaligned() };
        Some(Flow::new(start, rest))
    }

    /// The flow of a frame in pieces, which is no runt.
    #[cold]
    fn flow_of_pieces(&self) -> Flow {
        let mut head = [0; Self::HEADER];
        self.copy_at(0, &mut head);
        let (start, rest) = head.split_at(size_of::<u64>());
        let start = start.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        Flow::new(start, rest.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes)))
    }

    /// Copies the first bytes of the frame into `to`, and says how many there were.
    #[inline]
    pub fn head(&self, to: &mut [u8]) -> usize {
        self.copy_at(0, to)
    }

    /// Copies the bytes of the frame from `at` on into `to`, as many as there are and fit, and says how many.
    #[inline]
    pub fn copy_at(&self, at: usize, to: &mut [u8]) -> usize {
        if let Some(pieces) = self.pieces() {
            return gather(pieces, at, to);
        }
        Piece { start: self.start, len: self.len }.copy_at(at, to)
    }

    /// The rest of a frame that is read from `at` on in many calls, and where byte `at` is in it: pieces that lie before are
    /// left out, so that no call looks at them again. The offload metadata stay those of the whole frame.
    #[must_use]
    #[inline]
    pub fn from_piece_at(self, at: usize) -> (Self, usize) {
        match self.pieces() {
            None => (self, at),
            Some(pieces) => self.without_pieces_before(pieces, at),
        }
    }

    #[cold]
    fn without_pieces_before(self, mut pieces: &'a [Piece], mut at: usize) -> (Self, usize) {
        let mut len = self.len;
        while let [first, rest @ ..] = pieces
            && !rest.is_empty()
            && at >= first.len as usize
        {
            at -= first.len as usize;
            len -= first.len;
            pieces = rest;
        }
        #[expect(clippy::cast_possible_truncation, reason = "no more than the frame has")]
        let shape = FOREIGN | pieces.len() as u16;
        (Self { start: pieces.as_ptr().cast(), len, shape, ..self }, at)
    }

    /// A copy of the frame's bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.copy_at(0, &mut bytes);
        bytes
    }

    /// Copies the frame to `to`.
    ///
    /// # Safety
    /// `to` is writable for [`len`](Self::len) bytes and does not overlap the frame.
    #[inline]
    pub(crate) unsafe fn copy_to(&self, to: *mut u8) {
        if self.pieces().is_some() {
            // SAFETY: the caller's promise.
            return unsafe { self.gather_to(to) };
        }
        // SAFETY: the frame's own bytes are readable by construction; the caller answers for `to`.
        unsafe { copy(self.start, to, self.len as usize) };
    }

    /// [`Self::copy_to`] of a frame in pieces.
    ///
    /// # Safety
    /// As there.
    #[cold]
    unsafe fn gather_to(&self, to: *mut u8) {
        let mut at = 0;
        for piece in self.runs() {
            // SAFETY: the pieces are readable, and as long together as the frame, for which the caller answers.
            unsafe { std::ptr::copy_nonoverlapping(piece.start, to.wrapping_add(at), piece.len as usize) };
            at += piece.len as usize;
        }
    }

    /// The frame in place, if it is one run of memory that no other process can write. What an app receives always is:
    /// its ports are rings of this process, or descriptors of the kernel's.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> Option<&'a [u8]> {
        if self.shape != 0 {
            return None;
        }
        // SAFETY: readable and unwritten for `'a` by construction.
        Some(unsafe { std::slice::from_raw_parts(self.start, self.len as usize) })
    }

    /// Asks the processor for the first line of the frame, which will be read soon.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.start);
    }
}

/// A burst whose frames are all going to be looked at: asks the processor for the first line of each, which takes no
/// longer than to wait for one. The app's end of a virtual port leaves that to the app; ports of a switch do it themselves.
#[inline]
pub fn prefetched<'b, 'a>(burst: &'b [Frame<'a>]) -> &'b [Frame<'a>] {
    burst.iter().for_each(Frame::prefetch);
    burst
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
mod tests;
