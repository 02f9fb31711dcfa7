//! A piece of memory behind a file descriptor, so that it can be handed to another process.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::Error;

/// A mapped `memfd`, zeroed at first. With `mirrored`, its bytes appear a second time right behind the first,
/// so that a run that crosses the end needs no special case.
pub(super) struct Region {
    base: NonNull<u8>,
    mapped: usize,
    _fd: OwnedFd,
}

// SAFETY: the region is plain memory; who may touch which bytes when is the ring's protocol.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `len` bytes, a multiple of the page size.
    pub(super) fn new(name: &str, len: usize, mirrored: bool) -> Result<Self, Error> {
        let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
        let fd = memfd_create(name, MemfdFlags::CLOEXEC).map_err(failed("memfd_create"))?;
        ftruncate(&fd, len as u64).map_err(failed("ftruncate"))?;
        let copies = if mirrored { 2 } else { 1 };
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len * copies, ProtFlags::empty(), MapFlags::PRIVATE)
        }
        .map_err(failed("mmap"))?;
        let region = Self {
            base: NonNull::new(base.cast()).expect("mmap gives no null"),
            mapped: len * copies,
            _fd: fd,
        };
        for copy in 0..copies {
            region.map(copy * len, len).map_err(failed("mmap"))?;
        }
        Ok(region)
    }

    /// Puts the file's bytes at `at` of the reservation.
    fn map(&self, at: usize, len: usize) -> rustix::io::Result<()> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        let to = self.base.as_ptr().wrapping_add(at).cast();
        // SAFETY: replaces part of this region's own reservation, to which no reference exists yet.
        unsafe { mmap(to, len, prot, flags, &self._fd, 0) }.map(|_| ())
    }

    /// The first byte. Readable and writable for the length (twice that, if mirrored) of the region.
    pub(super) const fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: maps exactly what `new` reserved; the rings that point into it hold the region alive.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}
