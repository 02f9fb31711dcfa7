//! A piece of memory behind a file descriptor, so that it can be handed to another process.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::Error;

/// Bytes of a page, and of one of the kernel's large pages.
const SMALL: usize = 4096;
const LARGE: usize = 2 << 20;

/// A mapped `memfd`, zeroed at first. With `mirrored`, its bytes appear a second time right behind the first,
/// so that a run that crosses the end needs no special case.
pub(super) struct Region {
    base: NonNull<u8>,
    page: usize,
    _reservation: Reservation,
    fd: OwnedFd,
}

/// Addresses without memory, until something is mapped over them.
struct Reservation {
    start: *mut u8,
    len: usize,
}

// SAFETY: the region is plain memory; who may touch which bytes when is the ring's protocol.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `len` bytes, a multiple of 4 KiB; in pages of 2 MiB if it is a multiple of that and the kernel has some to
    /// spare (`vm.nr_hugepages`), since thousands of small ones are more than a processor knows the places of.
    pub(super) fn new(name: &str, len: usize, mirrored: bool) -> Result<Self, Error> {
        let copies = if mirrored { 2 } else { 1 };
        let large = || Self::with_pages(LARGE, name, len, copies).ok();
        let large = if len.is_multiple_of(LARGE) { large() } else { None };
        large.map_or_else(|| Self::with_pages(SMALL, name, len, copies), Ok)
    }

    fn with_pages(page: usize, name: &str, len: usize, copies: usize) -> Result<Self, Error> {
        let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
        let kind =
            if page == LARGE { MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB } else { MemfdFlags::empty() };
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | kind).map_err(failed("memfd_create"))?;
        // Memory is taken here: were it only when it is touched, want of it would be a signal then.
        fallocate(&fd, FallocateFlags::empty(), 0, len as u64).map_err(failed("fallocate"))?;
        // A page more than is needed, so that a large one finds a place it can be at.
        let reservation = Reservation::new(len * copies + page - SMALL).map_err(failed("mmap"))?;
        let base = reservation.start.wrapping_add(reservation.start.align_offset(page));
        let base = NonNull::new(base).expect("mmap gives no null");
        let region = Self { base, page, _reservation: reservation, fd };
        for copy in 0..copies {
            region.map(copy * len, len).map_err(failed("mmap"))?;
        }
        Ok(region)
    }

    /// Puts the file's bytes at `at` of the region.
    fn map(&self, at: usize, len: usize) -> rustix::io::Result<()> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        let to = self.base.as_ptr().wrapping_add(at).cast();
        // SAFETY: replaces part of this region's own reservation, to which no reference exists yet.
        unsafe { mmap(to, len, prot, flags, &self.fd, 0) }.map(|_| ())
    }

    /// The first byte. Readable and writable for the length (twice that, if mirrored) of the region.
    pub(super) const fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes of its pages.
    pub(super) const fn page_bytes(&self) -> usize {
        self.page
    }
}

impl Reservation {
    fn new(len: usize) -> rustix::io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self { start: start.cast(), len })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` reserved, and what was mapped over it; the rings that point into it hold
        // the region alive.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}
