//! The memory of a peer that tests play: mapped, and read and written by offsets.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU16;

use rustix::fs::fstat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// All of a file.
pub(crate) struct Memory {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is the peer's, and is shared only as its protocol says.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps a file.
    ///
    /// # Panics
    /// If it cannot be mapped.
    pub(crate) fn map(file: &OwnedFd) -> Self {
        let len = usize::try_from(fstat(file).expect("fstat").st_size).expect("a length");
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { mmap(std::ptr::null_mut(), len, prot, MapFlags::SHARED, file, 0) };
        Self { at: NonNull::new(at.expect("mmap").cast()).expect("mmap gives no null"), len }
    }

    /// Where so many bytes are.
    ///
    /// # Panics
    /// If they are not inside.
    fn run(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.len && len <= self.len - offset, "outside the memory");
        self.at.as_ptr().wrapping_add(offset)
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// If they are not inside.
    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) {
        let to = self.run(offset, bytes.len());
        // SAFETY: within the memory, at which nobody looks before it is given to them.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Reads bytes.
    ///
    /// # Panics
    /// If they are not inside.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.run(offset, to.len());
        // SAFETY: within the memory, written and given back by the port, or never given to it.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// A copy of bytes.
    ///
    /// # Panics
    /// If they are not inside.
    pub(crate) fn get(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read(offset, &mut bytes);
        bytes
    }

    /// A word that both sides look at.
    ///
    /// # Panics
    /// If it is not inside, or at an odd offset.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU16 {
        assert!(offset.is_multiple_of(2), "an odd offset");
        let at = self.run(offset, 2).cast();
        // SAFETY: within the memory and aligned; only ever accessed as an atomic while the port runs.
        unsafe { AtomicU16::from_ptr(at) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `map` mapped, to which no reference is left.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}
