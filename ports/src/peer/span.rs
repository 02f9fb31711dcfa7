//! A region's bytes as an address range, in which every buffer is looked up.

use std::ptr::NonNull;

/// The bytes of a mapped region. Who looks up in it holds the region alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    at: NonNull<u8>,
    len: u64,
}

// SAFETY: an address, of a region that is held beside it.
unsafe impl Send for Span {}
// SAFETY: as above.
unsafe impl Sync for Span {}

impl Span {
    /// `len` bytes that are mapped at `at`.
    pub(crate) const fn new(at: NonNull<u8>, len: u64) -> Self {
        Self { at, len }
    }

    /// Where `len` bytes are at this offset, if all of them are inside. The rule is that of slices: no bytes are inside at
    /// the end, too, and are found where nobody may read or write one.
    #[inline]
    pub(crate) fn find(&self, offset: u64, len: u64) -> Option<NonNull<u8>> {
        let inside = offset <= self.len && len <= self.len - offset;
        let at = self.at.as_ptr().wrapping_add(usize::try_from(offset).ok()?);
        if inside { NonNull::new(at) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..100_u64, any::<u64>(), u64::MAX - 100..=u64::MAX]
    }

    proptest! {
        #[test]
        fn the_rule_is_that_of_slices(bytes in 0..100_usize, offset in number(), len in number()) {
            let bytes = vec![0_u8; bytes];
            let span = Span::new(NonNull::from(&bytes[..]).cast(), bytes.len() as u64);
            let end = usize::try_from(u128::from(offset) + u128::from(len)).unwrap_or(usize::MAX);
            let slice = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..end));
            let found = span.find(offset, len).map(|at| at.as_ptr().cast_const());
            prop_assert_eq!(found, slice.map(<[u8]>::as_ptr));
        }
    }

    #[test]
    fn no_bytes_are_inside_at_the_end_too() {
        let span = Span::new(NonNull::from(&[0_u8; 8]).cast(), 8);
        assert!(span.find(8, 0).is_some() && span.find(7, 1).is_some());
        assert!(span.find(9, 0).is_none() && span.find(8, 1).is_none());
    }
}
