//! Frames into a descriptor.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use arrayvec::ArrayVec;
use rustix::io::Errno;

use super::Descriptor;
use crate::draft::Outlet;
use crate::{Capabilities, Frame, Sent};

/// Frames written to a descriptor straight from the memory of the port they come from: the kernel's own copy
/// is the one copy.
pub(crate) struct DescriptorTx<D> {
    descriptor: Arc<D>,
    capabilities: Capabilities,
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
    pub(super) const fn new(descriptor: Arc<D>, capabilities: Capabilities) -> Self {
        Self { descriptor, capabilities }
    }
}

impl<D: Descriptor> Outlet for DescriptorTx<D> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Writes frames until there is no room; those that do not go fail.
    fn send(&mut self, frames: &[Frame<'_>]) -> Sent {
        let mut sent = Sent::default();
        for frame in frames {
            let (len, offload) = (frame.len(), frame.offload());
            if len >= Frame::HEADER && self.capabilities.takes(len, offload) {
                match self.descriptor.write(frame) {
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
}
