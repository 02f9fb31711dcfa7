//! A piece of memory behind a file descriptor, so that it can be handed to another process.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::io::Errno;
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

/// What a region's pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    /// Of 4 KiB.
    Small,
    /// Of 2 MiB, which the kernel joins out of memory that it has in one piece (`MADV_COLLAPSE`, Linux 6.1).
    Joined,
    /// Of 2 MiB, which somebody has set aside for such purposes (`vm.nr_hugepages`).
    SetAside,
}

impl Region {
    /// `len` bytes, a multiple of 4 KiB; in pages of 2 MiB if it is a multiple of that and the kernel has some to
    /// spare, since thousands of small ones are more than a processor knows the places of.
    pub(super) fn new(name: &str, len: usize, mirrored: bool) -> Result<Self, Error> {
        let copies = if mirrored { 2 } else { 1 };
        let with = |pages| Self::with_pages(pages, name, len, copies);
        let large = [Pages::Joined, Pages::SetAside].into_iter().filter(|_| len.is_multiple_of(LARGE));
        large.map(with).find_map(Result::ok).map_or_else(|| with(Pages::Small), Ok)
    }

    fn with_pages(pages: Pages, name: &str, len: usize, copies: usize) -> Result<Self, Error> {
        let failed = |call| move |e: Errno| Error::io(name, call, e);
        let page = if pages == Pages::Small { SMALL } else { LARGE };
        let mut flags = MemfdFlags::CLOEXEC;
        flags.set(MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB, pages == Pages::SetAside);
        let fd = memfd_create(name, flags).map_err(failed("memfd_create"))?;
        ftruncate(&fd, len as u64).map_err(failed("ftruncate"))?;
        // Memory is taken here: were it only when it is touched, want of it would be a signal then. Of what is to be
        // joined the first page only: the joining takes the rest, and has nothing to move.
        let taken = if pages == Pages::Joined { SMALL } else { len };
        fallocate(&fd, FallocateFlags::empty(), 0, taken as u64).map_err(failed("fallocate"))?;
        // A page more than is needed, so that a large one finds a place it can be at.
        let reservation = Reservation::new(len * copies + page - SMALL).map_err(failed("mmap"))?;
        let base = reservation.start.wrapping_add(reservation.start.align_offset(page));
        let base = NonNull::new(base).expect("mmap gives no null");
        let region = Self { base, page, _reservation: reservation, fd };
        for copy in 0..copies {
            region.map(copy * len, len, pages).map_err(failed("mmap"))?;
        }
        Ok(region)
    }

    /// Puts the file's bytes at `at` of the region.
    fn map(&self, at: usize, len: usize, pages: Pages) -> rustix::io::Result<()> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let mut flags = MapFlags::SHARED | MapFlags::FIXED;
        flags.set(MapFlags::POPULATE, pages != Pages::Joined);
        let to = self.base.as_ptr().wrapping_add(at).cast();
        // SAFETY: replaces part of this region's own reservation, to which no reference exists yet.
        unsafe { mmap(to, len, prot, flags, &self.fd, 0) }?;
        if pages == Pages::Joined { join(to, len) } else { Ok(()) }
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

/// Has the kernel put what is mapped here into large pages. Fails where it knows no such thing, or has none to spare.
fn join(at: *mut libc::c_void, len: usize) -> rustix::io::Result<()> {
    // SAFETY: whatever is there, its bytes stay as they are; only the pages that hold them change.
    let failed = unsafe { libc::madvise(at, len, libc::MADV_COLLAPSE) } != 0;
    if failed {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOMEM))
    } else {
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of the mapping that begins at an address: kilobytes of it in large pages.
    fn in_large_pages(at: *const u8) -> Option<usize> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let from = maps.find(&format!("\n{:x}-", at.addr()))?;
        let value = |name: &str| maps[from..].split_once(name)?.1.split_whitespace().next()?.parse().ok();
        value("ShmemPmdMapped:")
    }

    #[test]
    fn joined_pages_are_large_mirrored_and_empty() {
        let Ok(region) = Region::with_pages(Pages::Joined, "joined", 2 * LARGE, 2) else {
            Region::new("other", 2 * LARGE, true).unwrap(); // no such pages here: others do
            return;
        };
        assert_eq!((region.page_bytes(), region.base().align_offset(LARGE)), (LARGE, 0));
        let mirror = region.base().wrapping_add(2 * LARGE);
        assert_eq!([region.base(), mirror].map(|at| in_large_pages(at)), [Some((2 * LARGE) >> 10); 2]);
        for at in [0, SMALL, 2 * LARGE - 1] {
            let [one, other] = [at, at + 2 * LARGE].map(|at| region.base().wrapping_add(at));
            // SAFETY: within the region, which nobody else knows of.
            let before = unsafe { other.read_volatile() };
            // SAFETY: as above.
            unsafe { one.write_volatile(7) };
            // SAFETY: as above.
            let after = unsafe { other.read_volatile() };
            assert_eq!((before, after), (0, 7), "{at}");
        }
    }
}
