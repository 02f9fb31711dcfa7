//! Frames into a descriptor.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use arrayvec::ArrayVec;
use rustix::io::Errno;

use super::Descriptor;
use crate::draft::Draft;
use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent, Tx};

/// Frames written to a descriptor straight from the memory of the port they come from: the kernel's own copy
/// is the one copy.
pub(crate) struct DescriptorTx<D> {
    descriptor: Arc<D>,
    counters: Arc<Counters>,
    capabilities: Capabilities,
    draft: Draft,
}

/// Most runs of bytes that a frame can be in, its header beside them. A guest with pages of 4 KiB uses 18 for the
/// longest frame (`MAX_SKB_FRAGS` of linux/skbuff.h, and the headers).
const RUNS: usize = 128;

/// What became of one frame.
enum Written {
    Delivered,
    NoRoom,
    Failed,
}

impl<D: Descriptor> DescriptorTx<D> {
    pub(super) fn new(descriptor: Arc<D>, capabilities: Capabilities, counters: Arc<Counters>) -> Self {
        Self { descriptor, counters, capabilities, draft: Draft::new() }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.draft.memory_bytes()
    }

    fn write(&self, frame: &Frame<'_>) -> Written {
        if frame.len() < Frame::HEADER || !self.capabilities.takes(frame.len(), frame.offload()) {
            return Written::Failed;
        }
        let header = frame.offload().to_bytes();
        let mut message = ArrayVec::<_, { RUNS + 1 }>::new();
        message.push(libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() });
        for run in frame.runs() {
            let run = libc::iovec { iov_base: run.start.cast_mut().cast(), iov_len: run.len as usize };
            if message.try_push(run).is_err() {
                return Written::Failed;
            }
        }
        match self.writev(&message) {
            Ok(()) => Written::Delivered,
            // ENOBUFS: the driver's or the peer's queue is full (net_xmit_errno in linux/netdevice.h).
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => Written::NoRoom,
            Err(_) => Written::Failed,
        }
    }

    /// Writes one message. The kernel reads the bytes where they are, even if somebody else writes them meanwhile.
    fn writev(&self, message: &[libc::iovec]) -> Result<(), Errno> {
        let count = libc::c_int::try_from(message.len()).unwrap_or(0);
        let fd = self.descriptor.as_fd().as_raw_fd();
        // SAFETY: each vector is readable memory: of a header on our caller's stack, or of a frame it has.
        let written = unsafe { libc::writev(fd, message.as_ptr(), count) };
        if written < 0 {
            let error = std::io::Error::last_os_error();
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        }
        Ok(())
    }

    /// Whether nothing waits: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        let Some(frame) = self.draft.pending() else { return true };
        match self.write(&frame) {
            Written::NoRoom => return false,
            Written::Delivered => {}
            Written::Failed => self.counters.add_drops(Reason::Error, 1),
        }
        self.draft.settled();
        true
    }
}

impl<D: Descriptor> Tx for DescriptorTx<D> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.abandon();
        let mut sent = Sent::default();
        if !self.settle() {
            return sent;
        }
        for frame in frames {
            match self.write(frame) {
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
        self.draft.abandon();
        self.settle();
        self.draft.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.draft.commit(len, offload);
        self.settle();
    }

    fn flush(&mut self) -> bool {
        self.settle()
    }
}
