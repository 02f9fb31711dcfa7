//! What the ports share whose other side is behind a file descriptor: one system call moves one message, which is a
//! `struct virtio_net_hdr` of ten bytes, where the kernel knows it, and the frame behind it.
//!
//! A backend says how a message is read and written and what the kernel dropped ([`Descriptor`]); the memory for frames
//! received ([`DescriptorRx`]) and the rules of sending ([`DescriptorTx`]) are here, once.

mod rx;
mod tx;

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;

pub(crate) use rx::DescriptorRx;
pub(crate) use tx::DescriptorTx;

use crate::draft::{DRAFT_BYTES, Drafting};
use crate::offload::Offloads;
use crate::{BURST, Capabilities, Counters, Frame, Offload, Port, Rings};

// TAP and AF_PACKET have the header in the host's byte order, `Offload` has it in virtio's.
const _: () = assert!(cfg!(target_endian = "little"), "the offload header is carried as it is");

/// How to open a port of this kind.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Offloads to agree on with the kernel, as far as it can; all by default. With none, a TAP's kernel segments
    /// and checksums before it hands frames to us, and either port takes only frames that could stand on a wire.
    pub offloads: Offloads,
}

impl Default for Options {
    fn default() -> Self {
        Self { offloads: Offloads::all() }
    }
}

/// Longest message worth reading: one byte more than the longest frame, so that one cut to fit is noticed.
pub(crate) const MESSAGE: usize = Offload::LEN + Capabilities::MAX_SUPER_FRAME as usize + 1;

/// One message read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Bytes of the header and the frame.
    pub(crate) len: usize,
    /// A VLAN tag (TPID and TCI as on the wire) that the kernel took out of the frame.
    pub(crate) tag: Option<[u8; 4]>,
}

/// A file descriptor that frames come from and go to, in non-blocking mode.
pub(crate) trait Descriptor: AsFd + Send + Sync + 'static {
    /// Fewest frames that the kernel's queue towards us holds: while fewer come at a time, it lost none.
    const QUEUE: usize;

    /// Reads one message.
    fn read(&self, into: &mut [u8]) -> Result<Message, Errno>;

    /// Writes one message.
    fn write(&self, frame: &Frame<'_>) -> Result<(), Errno> {
        tx::write_with_header(self, frame)
    }

    /// Frames that the kernel has dropped on their way to us since the last call.
    fn dropped(&self) -> u64;
}

/// The port of a descriptor.
pub(crate) fn port<D: Descriptor>(descriptor: Arc<D>, capabilities: Capabilities) -> Port {
    let counters = Arc::<Counters>::default();
    let rx = DescriptorRx::new(descriptor.clone(), counters.clone());
    let tx = Drafting::new(DescriptorTx::new(descriptor, capabilities), counters.clone());
    let rings = Rings {
        tx_slots: 1, // the kernel's own copy is the one copy: a slot is for frames made in place
        rx_slots: BURST as u32,
        tx_rings: 1,
        rx_rings: 1,
        memory_bytes: rx.memory_bytes() + DRAFT_BYTES,
        ..Rings::default()
    };
    Port { counters, rings, ..Port::new(rx, tx) }
}
