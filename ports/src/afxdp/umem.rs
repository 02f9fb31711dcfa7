//! The memory of one queue, which the kernel reads and writes frames in (UMEM).

use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::{Capabilities, Error};

/// Bytes that the kernel keeps before each received frame (`XDP_PACKET_HEADROOM`, linux/bpf.h).
const HEADROOM: u32 = 256;
/// An Ethernet header with a VLAN tag.
const ETHERNET: u32 = 18;
/// Chunk sizes that the kernel takes: a power of two from 2048 to its page (`xdp_umem_reg`, net/xdp/xdp_umem.c).
const CHUNKS: [u32; 2] = [2048, 4096];
/// Longest IP packet that a chunk holds, bytes: frames come one to a chunk.
pub(super) const MAX_MTU: u32 = CHUNKS[1] - HEADROOM - ETHERNET;

/// The chunk size for an interface of this MTU, in bytes.
pub(super) fn chunk_len(name: &str, mtu: u32) -> Result<u32, Error> {
    let fits = |chunk: &u32| mtu <= chunk - HEADROOM - ETHERNET;
    CHUNKS.into_iter().find(fits).ok_or_else(|| {
        let what = format!(
            "MTU {mtu} is over what a slot holds, {MAX_MTU} (try: ip link set {name} mtu {MAX_MTU}, \
                            or {name}@packet)"
        );
        Error::Unsupported { name: name.to_owned(), what }
    })
}

/// The longest frame that a port sends and takes.
pub(super) const fn longest(capabilities: Capabilities) -> usize {
    capabilities.frame as usize + 4 // a VLAN tag, see Capabilities::takes
}

/// Chunks of equal length in one mapping. Addresses within are bytes from its start.
pub(super) struct Umem {
    base: NonNull<u8>,
    len: usize,
    chunk: u32,
}

// SAFETY: plain memory. Which chunk belongs to whom (the kernel, the receiving or the transmitting half) is
// settled by the rings, and each half has its own area.
unsafe impl Send for Umem {}
// SAFETY: as above.
unsafe impl Sync for Umem {}

impl Umem {
    /// `chunks` chunks of `chunk` bytes, zeroed and present.
    pub(super) fn new(name: &str, chunks: u32, chunk: u32) -> Result<Self, Error> {
        let len = chunks as usize * chunk as usize;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len, prot, MapFlags::PRIVATE | MapFlags::POPULATE)
        }
        .map_err(|e| Error::io(name, "mmap of frame memory", e))?;
        Ok(Self { base: NonNull::new(base.cast()).expect("mmap gives no null"), len, chunk })
    }

    /// Where it starts, as the kernel wants to know.
    pub(super) fn start(&self) -> u64 {
        self.base.addr().get() as u64
    }

    /// Its length, bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len as u64
    }

    /// Bytes of a chunk.
    pub(super) const fn chunk(&self) -> u32 {
        self.chunk
    }
}

impl Drop for Umem {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped. Frames borrow the half that holds this; the kernel holds the pages
        // by itself for as long as the socket lives.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The chunks of one half of a port.
pub(super) struct Area {
    umem: Arc<Umem>,
    start: u64,
    end: u64,
}

impl Area {
    /// `chunks` chunks from the `first` on. More than there are is cut.
    pub(super) fn new(umem: Arc<Umem>, first: u32, chunks: u32) -> Self {
        let at = |chunk: u32| (u64::from(chunk) * u64::from(umem.chunk)).min(umem.len());
        let (start, end) = (at(first), at(first.saturating_add(chunks)));
        Self { umem, start, end }
    }

    /// Its length, bytes.
    pub(super) const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// The address of every chunk.
    pub(super) fn chunks(&self) -> impl Iterator<Item = u64> + use<> {
        (self.start..self.end).step_by(self.umem.chunk as usize)
    }

    /// The chunk that an address lies in; `None` if that is none of this area's.
    pub(super) fn chunk_of(&self, address: u64) -> Option<u64> {
        let inside = (self.start..self.end).contains(&address);
        inside.then_some(address & !u64::from(self.umem.chunk - 1))
    }

    /// Where `len` bytes at `address` are, if they lie within one chunk of this area.
    pub(super) fn bytes(&self, address: u64, len: u32) -> Option<*mut u8> {
        let chunk = self.chunk_of(address)?;
        let fits = address - chunk + u64::from(len) <= u64::from(self.umem.chunk);
        let offset = usize::try_from(address).ok()?;
        fits.then(|| self.umem.base.as_ptr().wrapping_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_chosen_by_mtu() {
        assert_eq!(MAX_MTU, 3822);
        assert_eq!(chunk_len("x", 1500).unwrap(), 2048);
        assert_eq!(chunk_len("x", 1775).unwrap(), 4096);
        assert_eq!(chunk_len("x", 3822).unwrap(), 4096);
        let error = chunk_len("veth0", 9000).unwrap_err().to_string();
        assert!(error.contains("MTU 9000") && error.contains("ip link set veth0 mtu 3822"), "{error}");
    }

    #[test]
    fn addresses_outside_are_refused() {
        let umem = Arc::new(Umem::new("x", 8, 2048).unwrap());
        let (rx, tx) = (Area::new(umem.clone(), 0, 4), Area::new(umem.clone(), 4, 4));
        assert_eq!(rx.chunks().collect::<Vec<_>>(), [0, 2048, 4096, 6144]);
        assert_eq!(tx.chunks().next(), Some(8192));
        assert_eq!(rx.chunk_of(2048 + 256), Some(2048));
        assert_eq!(rx.chunk_of(8192), None);
        assert_eq!(tx.chunk_of(8191), None);
        assert_eq!(tx.chunk_of(u64::MAX), None);
        assert!(rx.bytes(256, 1792).is_some());
        assert!(rx.bytes(256, 1793).is_none(), "runs into the next chunk");
        assert!(rx.bytes(6144 + 2047, 1).is_some());
        assert!(tx.bytes(16384, 0).is_none());
        assert!(tx.bytes(16383, u32::MAX).is_none());
        assert_eq!(Area::new(umem, 6, 100).chunks().count(), 2);
    }
}
