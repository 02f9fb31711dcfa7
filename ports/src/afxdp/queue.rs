//! One queue of an interface: its frame memory and its socket, until its halves go their ways.

use std::sync::Arc;

use bpf::XdpProgram;
use std::os::fd::AsFd;

use super::ring::Producer;
use super::rx::RxQueue;
use super::socket::{Rings, Socket};
use super::tx::AfXdpTx;
use super::umem::{Area, Umem, chunk_len};
use crate::interface::Interface;
use crate::{Capabilities, Counters, Error};

pub(super) struct Queue {
    index: u32,
    rings: Rings, // before the socket: a queue is free again when both are gone
    socket: Socket,
    rx: Area,
    tx: Area,
}

impl Queue {
    /// Memory and a socket for queue `index`, which is not taken yet. A queue that is not sent by has no chunks to send.
    pub(super) fn open(
        interface: &Interface,
        index: u32,
        slots: u32,
        sends: bool,
        counters: &Arc<Counters>,
    ) -> Result<Self, Error> {
        let name = &interface.name;
        let tx_slots = if sends { slots } else { 0 };
        let umem = Arc::new(Umem::new(name, slots + tx_slots, chunk_len(name, interface.mtu)?)?);
        let (rx, tx) = (Area::new(umem.clone(), 0, slots), Area::new(umem.clone(), slots, tx_slots));
        let (socket, mut rings) = Socket::open(name, umem, slots, counters.clone())?;
        fill(&mut rings.fill, &rx);
        Ok(Self { index, rings, socket, rx, tx })
    }

    /// Takes the queue, and has its frames from now on.
    pub(super) fn bind(
        &mut self,
        interface: &Interface,
        program: &XdpProgram,
        copy: bool,
    ) -> Result<(), Error> {
        self.socket.bind(interface, self.index, copy)?;
        program
            .set_socket(self.index, self.socket.as_fd())
            .map_err(|e| Error::io(&interface.name, "socket map of the XDP program", e))
    }

    /// What all chunks take.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.rx.len() + self.tx.len()
    }

    /// Whether the driver uses the frame memory itself.
    pub(super) const fn is_zero_copy(&self) -> bool {
        self.socket.is_zero_copy()
    }

    /// The two halves, which share nothing but the socket.
    pub(super) fn split(self, capabilities: Capabilities, counters: &Arc<Counters>) -> (RxQueue, AfXdpTx) {
        let socket = Arc::new(self.socket);
        let rx = RxQueue::new(self.rings.fill, self.rings.rx, self.rx, socket.clone());
        let rings = (self.rings.tx, self.rings.completion);
        (rx, AfXdpTx::new(rings, self.tx, capabilities, counters.clone(), socket))
    }
}

/// Lets the kernel fill every chunk of the area.
fn fill(ring: &mut Producer<u64>, area: &Area) {
    for chunk in area.chunks() {
        let _ = ring.push(chunk); // there is an entry for every chunk
    }
    ring.publish();
}
