//! The memory that a guest shares with us: regions of files, mapped, and the look-up of what the guest calls them.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::fs::fstat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::message::Region as Claim;
use crate::peer::Span;

/// Most regions that a guest may have, in slots that come one by one: a guest of QEMU needs one for each piece of
/// memory that was plugged in later.
pub(super) const SLOTS: usize = 32;

/// Most bytes that are mapped of all of them: addresses are few (2^47 of x86-64's), and for all ports.
const MOST: u64 = 4 << 40;

/// Why a region is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A region has no bytes, or its addresses wrap.
    #[error("a memory region is empty or wraps around")]
    Shape,
    /// A region is larger than the file behind it.
    #[error("a memory region is larger than its file")]
    Short,
    /// Two regions claim the same addresses.
    #[error("two memory regions overlap")]
    Overlap,
    /// More than [`SLOTS`].
    #[error("more than {SLOTS} memory regions")]
    Many,
    /// More than [`MOST`].
    #[error("more than 4 TiB of memory, with what comes before it in its files")]
    Large,
    /// A region without a descriptor, or one that cannot be mapped.
    #[error("a memory region cannot be mapped (is guest memory shared? share=on)")]
    Unmappable,
}

/// One mapped region. Other processes write it at any time: nobody makes a reference to it.
#[derive(Debug)]
struct Region {
    claim: Claim,
    /// The first byte of the region; `claim.len` are readable and writable.
    at: NonNull<u8>,
    mapping: NonNull<u8>,
    mapped: usize,
}

// SAFETY: a region is an address range; who reads or writes what in it is a matter of the rings.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps it, if that takes at most `room` bytes.
    fn map(claim: Claim, fd: &OwnedFd, room: u64) -> Result<Self, Refusal> {
        let whole = claim.offset.checked_add(claim.len).ok_or(Refusal::Shape)?;
        let wraps =
            claim.guest.checked_add(claim.len).is_none() || claim.user.checked_add(claim.len).is_none();
        if claim.len == 0 || wraps {
            return Err(Refusal::Shape);
        }
        if whole > room {
            return Err(Refusal::Large);
        }
        let file = fstat(fd).map_err(|_| Refusal::Unmappable)?;
        if u64::try_from(file.st_size).unwrap_or(0) < whole {
            return Err(Refusal::Short);
        }
        // From the start of the file, since offsets need not be on a page; in whole pages of the file, which may be huge.
        let page = u64::try_from(file.st_blksize).unwrap_or(0).max(4096);
        let mapped = whole.checked_next_multiple_of(page).and_then(|n| usize::try_from(n).ok());
        let mapped = mapped.ok_or(Refusal::Shape)?;
        let offset = usize::try_from(claim.offset).map_err(|_| Refusal::Shape)?;
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapping = unsafe { mmap(std::ptr::null_mut(), mapped, prot, flags, fd, 0) };
        let mapping = NonNull::new(mapping.map_err(|_| Refusal::Unmappable)?.cast::<u8>());
        let mapping = mapping.ok_or(Refusal::Unmappable)?;
        let at = NonNull::new(mapping.as_ptr().wrapping_add(offset)).ok_or(Refusal::Shape)?;
        Ok(Self { claim, at, mapping, mapped })
    }

    fn overlaps(&self, other: &Claim) -> bool {
        let meet = |a: u64, b: u64, a_len: u64, b_len: u64| a < b + b_len && b < a + a_len;
        let (ours, theirs) = (&self.claim, other);
        meet(ours.guest, theirs.guest, ours.len, theirs.len)
            || meet(ours.user, theirs.user, ours.len, theirs.len)
    }

    /// Its bytes, by addresses of which this is the first.
    const fn named(&self, first: u64) -> Named {
        Named { first, span: Span::new(self.at, self.claim.len) }
    }
}

/// A region's bytes by the addresses of the guest's descriptors, or of its front-end.
#[derive(Clone, Copy, Debug)]
struct Named {
    first: u64,
    span: Span,
}

impl Named {
    /// Where `len` bytes are that are called `address`, if all of them are here.
    #[inline]
    fn find(&self, address: u64, len: u64) -> Option<NonNull<u8>> {
        self.span.find(address.wrapping_sub(self.first), len) // one before the first is far behind the last
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `map` mapped; whoever found an address in it holds the memory alive.
        let _ = unsafe { munmap(self.mapping.as_ptr().cast(), self.mapped) };
    }
}

/// All that a guest shares. Never changed: a table that changes is a new one, of which old regions are part.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    regions: Vec<Arc<Region>>,
    /// The same as descriptors have them: every buffer is looked up here.
    spans: Vec<Named>,
}

impl Memory {
    /// The regions of a whole table.
    pub(super) fn of(table: &[Claim], fds: &[OwnedFd]) -> Result<Self, Refusal> {
        if table.len() != fds.len() {
            return Err(Refusal::Unmappable);
        }
        table.iter().zip(fds).try_fold(Self::default(), |memory, (claim, fd)| memory.with(*claim, fd))
    }

    /// The same and one more region, or one of them anew: QEMU 7.2 adds, and removes, each once for each pair of queues.
    pub(super) fn with(&self, claim: Claim, fd: &OwnedFd) -> Result<Self, Refusal> {
        let Self { regions, .. } = self.without(&claim);
        if regions.len() >= SLOTS {
            return Err(Refusal::Many);
        }
        let mapped =
            regions.iter().fold(0, |mapped: u64, region| mapped.saturating_add(region.mapped as u64));
        let region = Region::map(claim, fd, MOST.saturating_sub(mapped))?;
        if regions.iter().any(|other| other.overlaps(&claim)) {
            return Err(Refusal::Overlap);
        }
        Ok(regions.into_iter().chain([Arc::new(region)]).collect())
    }

    /// The same without one region, which is known by its addresses and length, if it is there.
    pub(super) fn without(&self, claim: &Claim) -> Self {
        let known = |r: &Claim| (r.guest, r.user, r.len) == (claim.guest, claim.user, claim.len);
        self.regions.iter().filter(|region| !known(&region.claim)).cloned().collect()
    }

    /// Bytes of all regions together.
    pub(super) fn bytes(&self) -> u64 {
        self.regions.iter().fold(0, |bytes, region| bytes.saturating_add(region.claim.len))
    }

    /// Where `len` bytes are that the guest's descriptors call `address`, if one region has them all. What is found is
    /// good while this memory is alive.
    #[inline]
    pub(super) fn guest(&self, address: u64, len: u32) -> Option<NonNull<u8>> {
        self.spans.iter().find_map(|region| region.find(address, len.into()))
    }

    /// The same for what the front-end calls `address`, as in the addresses of rings.
    pub(super) fn user(&self, address: u64, len: usize) -> Option<NonNull<u8>> {
        let len = u64::try_from(len).ok()?;
        self.regions.iter().find_map(|region| region.named(region.claim.user).find(address, len))
    }
}

impl FromIterator<Arc<Region>> for Memory {
    fn from_iter<I: IntoIterator<Item = Arc<Region>>>(regions: I) -> Self {
        let regions: Vec<_> = regions.into_iter().collect();
        let spans = regions.iter().map(|region| region.named(region.claim.guest)).collect();
        Self { regions, spans }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    fn file(len: u64) -> OwnedFd {
        let fd = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, len).unwrap();
        fd
    }

    fn claim(guest: u64, len: u64, user: u64, offset: u64) -> Claim {
        Claim { guest, len, user, offset }
    }

    #[test]
    fn what_lies_about_itself_is_refused() {
        let fd = file(0x10_000);
        let refused = |c: Claim| Memory::default().with(c, &fd).err();
        assert_eq!(refused(claim(0, 0, 0, 0)), Some(Refusal::Shape));
        assert_eq!(refused(claim(u64::MAX, 0x1000, 0, 0)), Some(Refusal::Shape));
        assert_eq!(refused(claim(0, 0x1000, u64::MAX, 0)), Some(Refusal::Shape));
        assert_eq!(refused(claim(0, 0x1000, 0, u64::MAX)), Some(Refusal::Shape));
        assert_eq!(refused(claim(0, 0x10_001, 0, 0)), Some(Refusal::Short));
        assert_eq!(refused(claim(0, 0x1000, 0, 0xf001)), Some(Refusal::Short));
        assert_eq!(refused(claim(0, 0x1000, 0, 0xf000)), None);
        let socket = OwnedFd::from(std::os::unix::net::UnixStream::pair().unwrap().0);
        assert!(Memory::default().with(claim(0, 0x1000, 0, 0), &socket).is_err());
        assert_eq!(Memory::of(&[claim(0, 1, 0, 0)], &[]).err(), Some(Refusal::Unmappable));
    }

    #[test]
    fn regions_do_not_overlap() {
        let fd = file(0x10_000);
        let one = Memory::default().with(claim(0x1000, 0x1000, 0x7000_0000, 0), &fd).unwrap();
        assert_eq!(one.with(claim(0x1fff, 0x1000, 0, 0), &fd).err(), Some(Refusal::Overlap));
        assert_eq!(one.with(claim(0x8000, 0x1000, 0x7000_0fff, 0), &fd).err(), Some(Refusal::Overlap));
        let two = one.with(claim(0x2000, 0x1000, 0x7000_1000, 0x1000), &fd).unwrap();
        assert!(two.guest(0x1fff, 1).is_some() && two.guest(0x1fff, 2).is_none(), "no run crosses regions");
        let rest = two.without(&claim(0x1000, 0x1000, 0x7000_0000, 0));
        assert!(rest.guest(0x1000, 1).is_none() && rest.guest(0x2000, 1).is_some());
    }

    /// QEMU 7.2 says all of it once for each pair of queues.
    #[test]
    fn regions_may_be_added_and_removed_again() {
        let fd = file(0x10_000);
        let one = Memory::default().with(claim(0x1000, 0x1000, 0x7000_0000, 0), &fd).unwrap();
        let again = one.with(claim(0x1000, 0x1000, 0x7000_0000, 0), &fd).unwrap();
        assert!(again.guest(0x1000, 0x1000).is_some() && again.regions.len() == 1);
        let none = again.without(&claim(0x1000, 0x1000, 0x7000_0000, 0));
        assert!(none.guest(0x1000, 1).is_none());
        assert!(none.without(&claim(0x1000, 0x1000, 0x7000_0000, 0)).regions.is_empty());
    }

    /// A file without pages is as long as its owner says, and who maps it all has no addresses left to work with.
    #[test]
    fn addresses_are_bounded() {
        let fd = file(100 << 40);
        let refused = |memory: &Memory, c: Claim| memory.with(c, &fd).err();
        let none = Memory::default();
        assert_eq!(refused(&none, claim(0, (4 << 40) + 1, 0, 0)), Some(Refusal::Large));
        assert_eq!(
            refused(&none, claim(0, 1, 0, 4 << 40)),
            Some(Refusal::Large),
            "mapped from the first byte on"
        );
        let most = none.with(claim(0, 3 << 40, 0, 1 << 40), &fd).unwrap();
        assert_eq!(refused(&most, claim(8 << 40, 1, 8 << 40, 0)), Some(Refusal::Large));
        assert_eq!(refused(&most, claim(0, 3 << 40, 0, 1 << 40)), None, "the same anew");
    }

    #[test]
    fn slots_are_bounded() {
        let fd = file(0x1000);
        let mut memory = Memory::default();
        for slot in 0..SLOTS as u64 {
            memory = memory.with(claim(slot << 12, 0x1000, slot << 12, 0), &fd).unwrap();
        }
        assert_eq!(memory.with(claim(1 << 40, 1, 1 << 40, 0), &fd).err(), Some(Refusal::Many));
    }

    proptest! {
        #[test]
        fn only_what_is_inside_is_found(address in any::<u64>(), near in 0u64..0x3000, len in any::<u32>(), short in 0u32..0x1200) {
            let fd = file(0x4000);
            let memory = Memory::default().with(claim(0x1000, 0x1000, 0x9000, 0x800), &fd).unwrap();
            for (address, len) in [(address, len), (near, len), (near, short), (address, short)] {
                let inside = (0x1000..=0x2000).contains(&address) && address + u64::from(len) <= 0x2000;
                prop_assert_eq!(memory.guest(address, len).is_some(), inside, "{:x} {:x}", address, len);
                let inside = (0x9000..=0xa000).contains(&address) && address + u64::from(len) <= 0xa000;
                prop_assert_eq!(memory.user(address, len as usize).is_some(), inside, "{:x} {:x}", address, len);
            }
        }
    }
}
