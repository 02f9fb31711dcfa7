//! A run of bytes, part of a frame that is in several.

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
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), n) };
        n
    }
}

/// Copies from `at` on of these pieces, one after the other, into `to`; how many bytes there were.
#[cold]
pub(crate) fn gather(pieces: &[Piece], mut at: usize, to: &mut [u8]) -> usize {
    let mut copied = 0;
    for piece in pieces {
        copied += piece.copy_at(at, &mut to[copied..]);
        at = at.saturating_sub(piece.len as usize);
    }
    copied
}
