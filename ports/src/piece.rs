//! A run of bytes, part of a frame that is in several.

use std::ptr::NonNull;

/// A run of bytes in a port's memory.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    /// The first byte.
    pub(crate) start: *const u8,
    /// Number of bytes.
    pub(crate) len: u32,
}

impl Piece {
    /// Copies from `at` on into `to`, as many bytes as there are and fit; how many there were.
    #[inline]
    pub(crate) fn copy_at(self, at: usize, to: &mut [u8]) -> usize {
        let len = self.len as usize;
        let at = at.min(len);
        let n = to.len().min(len - at);
        let from = self.start.wrapping_add(at);
        // SAFETY: `at + n` is within the piece, readable by the promise of whoever made the frame, and `n` within
        // `to`, a unique borrow, so the two do not overlap.
        unsafe { copy(from, to.as_mut_ptr(), n) };
        n
    }
}

/// Copies `len` bytes. Those of short frames in line: a call of `memcpy` costs as much as 64 bytes do.
///
/// # Safety
/// `from` is readable, `to` writable for `len` bytes, and the two do not overlap.
#[inline]
pub(crate) const unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
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

/// Copies runs of bytes into buffers, one after the other, as far as there is room.
///
/// # Safety
/// The runs are readable, and the buffers writable for their lengths, in memory of another port.
pub(crate) unsafe fn scatter(runs: impl Iterator<Item = Piece>, buffers: &[(NonNull<u8>, u32)]) {
    let mut buffers = buffers.iter().copied();
    let (mut to, mut room) = (std::ptr::null_mut::<u8>(), 0);
    for Piece { mut start, mut len } in runs {
        while len > 0 {
            if room == 0 {
                let Some((next, length)) = buffers.next() else { return };
                (to, room) = (next.as_ptr(), length);
                continue;
            }
            let n = len.min(room);
            // SAFETY: `n` bytes are left of both the run and the buffer; the caller answers for the rest.
            unsafe { std::ptr::copy_nonoverlapping(start, to, n as usize) };
            (start, to) = (start.wrapping_add(n as usize), to.wrapping_add(n as usize));
            (len, room) = (len - n, room - n);
        }
    }
}

/// Copies from `at` on of these pieces, one after the other, into `to`; how many bytes there were.
#[cold]
pub(crate) fn gather(pieces: &[Piece], mut at: usize, to: &mut [u8]) -> usize {
    let mut copied = 0;
    for piece in pieces {
        if copied == to.len() {
            break; // a frame may have a thousand, and be cut into as many segments
        }
        copied += piece.copy_at(at, &mut to[copied..]);
        at = at.saturating_sub(piece.len as usize);
    }
    copied
}
