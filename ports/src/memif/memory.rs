//! Memory that the two sides share: regions of files, mapped, and where in them a descriptor's bytes are.

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs,
    memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::Error;
use crate::peer::Span;

/// Most regions of a peer: DPDK has one, or with `zero-copy` one and one for each of its memory segments.
pub(super) const REGIONS: u16 = 256;
/// Most bytes of a region: more than that, no descriptor can name.
const LONGEST: u64 = 1 << 32;
/// `TMPFS_MAGIC` of linux/magic.h: what a `memfd` of ordinary pages is on.
const TMPFS: u64 = 0x0102_1994;

/// Why a region is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No bytes, or more than a descriptor can name.
    #[error("a region of {0} bytes: 1 to 4294967296")]
    Size(u64),
    /// Larger than its file.
    #[error("a region is larger than its file")]
    Short,
    /// Touching its memory could end us, or keep us.
    #[error("a region is no memfd of ordinary pages, sealed against shrinking (F_SEAL_SHRINK)")]
    Unsealed,
    /// The kernel does not map it.
    #[error("a region cannot be mapped")]
    Unmappable,
}

/// One mapped region. Other processes write it at any time: nobody makes a reference to it.
#[derive(Debug)]
struct Region {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is an address range; who reads or writes what in it is a matter of the rings.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `size` bytes of a file that stays as large as it is: were it cut under us, touching what is gone would be a
    /// signal. Nor may its pages come from somebody who takes their time (FUSE), or run out (hugepages).
    fn map(file: impl AsFd, size: u64) -> Result<Self, Refusal> {
        let len = usize::try_from(size).ok().filter(|_| (1..=LONGEST).contains(&size));
        let len = len.ok_or(Refusal::Size(size))?;
        let sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        let ordinary = fstatfs(&file).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(TMPFS));
        if !sealed || !ordinary {
            return Err(Refusal::Unsealed);
        }
        let there = fstat(&file).ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0);
        if there < size {
            return Err(Refusal::Short);
        }
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, &file, 0) };
        let at = at.ok().and_then(|at| NonNull::new(at.cast())).ok_or(Refusal::Unmappable)?;
        Ok(Self { at, len })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `map` mapped; whoever found an address in it holds the memory alive.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// All regions of a session, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    regions: Vec<Arc<Region>>,
    /// The same: every buffer is looked up here.
    spans: Vec<Span>,
}

impl Memory {
    /// Adds a region, whose number is the next.
    pub(super) fn add(&mut self, file: impl AsFd, size: u64) -> Result<(), Refusal> {
        let region = Region::map(file, size)?;
        self.spans.push(Span::new(region.at, size));
        self.regions.push(Arc::new(region));
        Ok(())
    }

    /// Number of regions.
    pub(super) fn regions(&self) -> u16 {
        u16::try_from(self.spans.len()).unwrap_or(u16::MAX)
    }

    /// Where `len` bytes are at this offset into a region, if it has them all. What is found is good while this memory is
    /// alive.
    #[inline]
    pub(super) fn find(&self, region: u16, offset: u64, len: u64) -> Option<NonNull<u8>> {
        self.spans.get(usize::from(region))?.find(offset, len)
    }
}

/// Memory of ours to give to a peer: its pages are taken here, and nobody can take them away again.
///
/// # Errors
/// If there is none to be had.
pub(super) fn file(name: &str, size: u64) -> Result<OwnedFd, Error> {
    let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("memif", flags).map_err(failed("memfd_create"))?;
    fallocate(&file, FallocateFlags::empty(), 0, size).map_err(failed("fallocate"))?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).map_err(failed("F_ADD_SEALS"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustix::fs::ftruncate;

    use super::*;

    #[test]
    fn only_what_stays_is_mapped() {
        let sealed = file("test", 0x10_000).unwrap();
        let refused = |fd: &OwnedFd, size| Memory::default().add(fd, size).err();
        assert_eq!(refused(&sealed, 0), Some(Refusal::Size(0)));
        assert_eq!(refused(&sealed, LONGEST + 1), Some(Refusal::Size(LONGEST + 1)));
        assert_eq!(refused(&sealed, u64::MAX), Some(Refusal::Size(u64::MAX)));
        assert_eq!(refused(&sealed, 0x10_001), Some(Refusal::Short));
        assert_eq!(refused(&sealed, 0x10_000), None);
        assert!(ftruncate(&sealed, 0x1000).is_err(), "it can be cut");
        for flags in [MemfdFlags::CLOEXEC, MemfdFlags::ALLOW_SEALING] {
            let unsealed = memfd_create("test", flags).unwrap();
            ftruncate(&unsealed, 0x10_000).unwrap();
            assert_eq!(refused(&unsealed, 0x10_000), Some(Refusal::Unsealed));
        }
        let socket = OwnedFd::from(std::os::unix::net::UnixStream::pair().unwrap().0);
        assert_eq!(refused(&socket, 0x1000), Some(Refusal::Unsealed));
        let zero = OwnedFd::from(std::fs::File::open("/dev/zero").unwrap());
        assert_eq!(refused(&zero, 0x1000), Some(Refusal::Unsealed));
    }

    proptest! {
        #[test]
        fn only_what_is_inside_is_found(
            region in 0..4u16,
            offset in prop_oneof![0..0x3000_u32, any::<u32>()],
            len in prop_oneof![0..0x3000_u32, any::<u32>()],
        ) {
            let mut memory = Memory::default();
            for size in [0x1000, 0x1801] {
                memory.add(file("test", size).unwrap(), size).unwrap();
            }
            let size = [0x1000, 0x1801].get(usize::from(region));
            let (offset, len) = (u64::from(offset), u64::from(len));
            let inside = size.is_some_and(|size| offset + len <= *size);
            prop_assert_eq!(memory.find(region, offset, len).is_some(), inside);
        }
    }
}
