//! The slot of a port that has no slots of its own to lend: a frame is made here, and copied when it is whole.

use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent};

/// A frame in the making, or one that was made and found no room yet. For [`Tx::reserve`](crate::Tx::reserve) and
/// [`Tx::commit`](crate::Tx::commit).
pub(crate) struct Draft {
    bytes: Vec<u8>,
    /// Bytes of it that are reserved.
    reserved: Option<usize>,
    /// Bytes of it that were committed and found no room yet, and their metadata.
    pending: Option<(usize, Offload)>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; Capabilities::MAX_SUPER_FRAME as usize], reserved: None, pending: None }
    }

    pub(crate) const fn memory_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Ends the reservation.
    pub(crate) const fn abandon(&mut self) {
        self.reserved = None;
    }

    /// Room for `len` bytes, unless that is more than any frame has or the frame before waits still.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > self.bytes.len() || self.pending.is_some() {
            return None;
        }
        self.reserved = Some(len);
        self.bytes.get_mut(..len)
    }

    /// The first `len` bytes reserved are a frame; what was not reserved is none.
    pub(crate) fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            self.pending = Some((len, offload));
        }
    }

    /// Sends the frame that waits, if one does; one that fails is counted. Says whether none waits any more.
    pub(crate) fn settle(&mut self, counters: &Counters, send: impl FnOnce(&[Frame<'_>]) -> Sent) -> bool {
        let Some((len, offload)) = self.pending else { return true };
        let sent = send(&[Frame::with_offload(&self.bytes[..len], offload)]);
        if sent.taken == 0 {
            return false;
        }
        if sent.frames == 0 {
            counters.add_drops(Reason::Error, 1);
        }
        self.pending = None;
        true
    }
}
