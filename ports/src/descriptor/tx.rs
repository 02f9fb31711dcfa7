//! Frames into a descriptor.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use arrayvec::ArrayVec;
use rustix::io::Errno;

use super::Descriptor;
use crate::draft::Draft;
use crate::{Capabilities, Counters, Frame, Offload, Sent, Tx};

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

/// Writes one message, the metadata of the frame and its bytes. The kernel reads them where they are, even if somebody
/// else writes them meanwhile.
pub(super) fn write_with_header(fd: impl AsFd, frame: &Frame<'_>) -> Result<(), Errno> {
    let header = frame.offload().to_bytes();
    let mut message = ArrayVec::<_, { RUNS + 1 }>::new();
    message.push(libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() });
    for run in frame.runs() {
        let run = libc::iovec { iov_base: run.start.cast_mut().cast(), iov_len: run.len as usize };
        message.try_push(run).map_err(|_| Errno::MSGSIZE)?;
    }
    let count = libc::c_int::try_from(message.len()).unwrap_or(0);
    // SAFETY: each vector is readable memory: of the header here, or of a frame that our caller has.
    let written = unsafe { libc::writev(fd.as_fd().as_raw_fd(), message.as_ptr(), count) };
    if written < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(())
}

impl<D: Descriptor> DescriptorTx<D> {
    pub(super) fn new(descriptor: Arc<D>, capabilities: Capabilities, counters: Arc<Counters>) -> Self {
        Self { descriptor, counters, capabilities, draft: Draft::new() }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.draft.memory_bytes()
    }

    /// Writes frames until there is no room; those that do not go fail.
    fn send(descriptor: &D, capabilities: &Capabilities, frames: &[Frame<'_>]) -> Sent {
        let mut sent = Sent::default();
        for frame in frames {
            let (len, offload) = (frame.len(), frame.offload());
            if len >= Frame::HEADER && capabilities.takes(len, offload) {
                match descriptor.write(frame) {
                    Ok(()) => {
                        sent.frames += 1;
                        sent.bytes += len as u64;
                    }
                    // ENOBUFS: the driver's or the peer's queue is full (net_xmit_errno in linux/netdevice.h).
                    Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => break,
                    Err(_) => {}
                }
            }
            sent.taken += 1;
        }
        sent
    }

    /// Whether nothing waits: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        let Self { descriptor, counters, capabilities, draft } = self;
        draft.settle(counters, |frames| Self::send(descriptor, capabilities, frames))
    }
}

impl<D: Descriptor> Tx for DescriptorTx<D> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.abandon();
        if self.settle() { Self::send(&self.descriptor, &self.capabilities, frames) } else { Sent::default() }
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
