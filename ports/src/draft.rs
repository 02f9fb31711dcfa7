//! The slot of a port that has no slots of its own to lend: a frame is made here, and copied when it is whole.

use std::sync::Arc;

use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent, Tx};

/// Where such a port's frames go.
pub(crate) trait Outlet: Send {
    /// As [`Tx::capabilities`].
    fn capabilities(&self) -> Capabilities;

    /// As [`Tx::transmit`].
    fn send(&mut self, frames: &[Frame<'_>]) -> Sent;

    /// As [`Tx::flush`]. Of what was committed, `settled` says whether none waits any more.
    fn flush(&mut self, settled: bool) -> bool {
        settled
    }
}

/// The transmitting half of such a port.
pub(crate) struct Drafting<O> {
    outlet: O,
    draft: Draft,
    /// What was committed and fails is counted here: nobody hears of it otherwise.
    counters: Arc<Counters>,
}

impl<O: Outlet> Drafting<O> {
    pub(crate) fn new(outlet: O, counters: Arc<Counters>) -> Self {
        Self { outlet, draft: Draft::new(), counters }
    }

    /// Sends what was committed, if it waits. Says whether it does no more.
    fn settle(&mut self) -> bool {
        self.draft.settle(&self.counters, |frames| self.outlet.send(frames))
    }
}

impl<O: Outlet> Tx for Drafting<O> {
    fn capabilities(&self) -> Capabilities {
        self.outlet.capabilities()
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.reserved = None;
        if self.settle() { self.outlet.send(frames) } else { Sent::default() }
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.draft.reserved = None;
        self.settle();
        self.draft.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.draft.commit(len, offload);
        self.settle();
    }

    fn flush(&mut self) -> bool {
        let settled = self.settle();
        self.outlet.flush(settled)
    }

    fn unsent(&self) -> u64 {
        self.draft.pending.is_some().into()
    }
}

/// Bytes that a port has for it.
pub(crate) const DRAFT_BYTES: u64 = Capabilities::MAX_SUPER_FRAME as u64;

/// A frame in the making, or one that was made and found no room yet. For [`Tx::reserve`] and [`Tx::commit`].
struct Draft {
    bytes: Vec<u8>,
    /// Bytes of it that are reserved.
    reserved: Option<usize>,
    /// Bytes of it that were committed and found no room yet, and their metadata.
    pending: Option<(usize, Offload)>,
}

impl Draft {
    fn new() -> Self {
        Self { bytes: vec![0; Capabilities::MAX_SUPER_FRAME as usize], reserved: None, pending: None }
    }

    /// Room for `len` bytes, unless that is more than any frame has or the frame before waits still.
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > self.bytes.len() || self.pending.is_some() {
            return None;
        }
        self.reserved = Some(len);
        self.bytes.get_mut(..len)
    }

    /// The first `len` bytes reserved are a frame; what was not reserved is none.
    fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            self.pending = Some((len, offload));
        }
    }

    /// Sends the frame that waits, if one does; one that fails is counted. Says whether none waits any more.
    fn settle(&mut self, counters: &Counters, send: impl FnOnce(&[Frame<'_>]) -> Sent) -> bool {
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
