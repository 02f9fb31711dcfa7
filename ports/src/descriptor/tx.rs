//! Frames into a descriptor.

use std::io::IoSlice;
use std::sync::Arc;

use rustix::io::{Errno, writev};

use super::Descriptor;
use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent, Tx};

/// Frames written to a descriptor straight from the memory of the port they come from: the kernel's own copy
/// is the one copy.
pub(crate) struct DescriptorTx<D> {
    descriptor: Arc<D>,
    counters: Arc<Counters>,
    capabilities: Capabilities,
    /// The slot that `reserve` gives out.
    slot: Vec<u8>,
    /// Bytes of the slot that are reserved.
    reserved: Option<usize>,
    /// Bytes of the slot that were committed and found no room yet, and their metadata.
    pending: Option<(usize, Offload)>,
}

/// What became of one frame.
enum Written {
    Delivered,
    NoRoom,
    Failed,
}

impl<D: Descriptor> DescriptorTx<D> {
    pub(super) fn new(descriptor: Arc<D>, capabilities: Capabilities, counters: Arc<Counters>) -> Self {
        let slot = vec![0; Capabilities::MAX_SUPER_FRAME as usize];
        Self { descriptor, counters, capabilities, slot, reserved: None, pending: None }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.slot.len() as u64
    }

    fn write(&self, frame: &[u8], offload: Offload) -> Written {
        if frame.len() < Frame::HEADER || !self.capabilities.takes(frame.len(), offload) {
            return Written::Failed;
        }
        let header = offload.to_bytes();
        match writev(&*self.descriptor, &[IoSlice::new(&header), IoSlice::new(frame)]) {
            Ok(_) => Written::Delivered,
            // ENOBUFS: the driver's or the peer's queue is full (net_xmit_errno in linux/netdevice.h).
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => Written::NoRoom,
            Err(_) => Written::Failed,
        }
    }

    /// Whether the slot is free: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        let Some((len, offload)) = self.pending else { return true };
        match self.write(&self.slot[..len], offload) {
            Written::NoRoom => return false,
            Written::Delivered => {}
            Written::Failed => self.counters.add_drops(Reason::Error, 1),
        }
        self.pending = None;
        true
    }
}

impl<D: Descriptor> Tx for DescriptorTx<D> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.reserved = None;
        let mut sent = Sent::default();
        if !self.settle() {
            return sent;
        }
        for frame in frames {
            match self.write(frame.bytes(), frame.offload()) {
                Written::NoRoom => break,
                Written::Failed => {}
                Written::Delivered => {
                    sent.frames += 1;
                    sent.bytes += frame.len() as u64;
                }
            }
            sent.taken += 1;
        }
        sent
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.reserved = None;
        if len > self.slot.len() || !self.settle() {
            return None;
        }
        self.reserved = Some(len);
        self.slot.get_mut(..len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            self.pending = Some((len, offload));
            self.settle();
        }
    }

    fn flush(&mut self) -> bool {
        self.settle()
    }
}
