//! The transmitting half: queue 0 of the interface, which keeps frames in order.
//!
//! While the interface is down the kernel leaves the ring as it is, and frames in it cannot be taken back. Those that come
//! before a kick has found it down, a burst or two, stay there and go when it is up again; later ones fail at once.

use std::sync::Arc;

use rustix::net::xdp::{XdpDesc, XdpDescOptions};

use super::ring::{Consumer, Producer};
use super::socket::Socket;
use super::umem::{Area, longest};
use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent, Tx};

pub(super) struct AfXdpTx {
    ring: Producer<XdpDesc>,
    completion: Consumer<u64>,
    area: Area,
    /// Chunks that hold no frame on its way.
    free: Vec<u64>,
    reserved: Option<Reservation>,
    capabilities: Capabilities,
    counters: Arc<Counters>,
    socket: Arc<Socket>, // after the rings: a queue is free again when it closes
}

#[derive(Clone, Copy)]
struct Reservation {
    chunk: u64,
    len: usize,
}

impl AfXdpTx {
    pub(super) fn new(
        (ring, completion): (Producer<XdpDesc>, Consumer<u64>),
        area: Area,
        capabilities: Capabilities,
        counters: Arc<Counters>,
        socket: Arc<Socket>,
    ) -> Self {
        let free = area.chunks().collect();
        Self { ring, completion, area, free, reserved: None, capabilities, counters, socket }
    }

    /// Takes a free chunk, looking for chunks that the kernel is done with when there is none.
    fn chunk(&mut self) -> Option<u64> {
        if self.free.is_empty() {
            self.reap();
        }
        self.free.pop()
    }

    /// Gives up what `reserve` gave out.
    fn abandon(&mut self) {
        self.free.extend(self.reserved.take().map(|reservation| reservation.chunk));
    }

    /// Takes back the chunks of frames that were sent.
    fn reap(&mut self) {
        while let Some(address) = self.completion.pop() {
            // The list has room for every chunk: it must neither grow nor take what is not ours.
            if self.free.len() < self.free.capacity() {
                self.free.extend(self.area.chunk_of(address));
            }
        }
        self.completion.release();
    }

    /// In copy mode the sending happens in here, a budget of frames a call: calls until the kernel has taken
    /// everything, or makes no progress: then the next flush has to go on, soon, if that may help.
    fn kick(&self) -> bool {
        let mut pending = self.ring.pending();
        while pending > 0 && self.ring.needs_wakeup() {
            let again = self.socket.kick_tx();
            let left = self.ring.pending();
            if self.socket.is_zero_copy() {
                return true; // the driver takes it from here
            }
            if left >= pending {
                return !again;
            }
            pending = left;
        }
        true
    }

    /// Whether the wire takes a frame: not too long, no offload left to do, and no runt.
    fn takes(&self, len: usize, offload: Offload) -> bool {
        len >= Frame::HEADER && self.capabilities.takes(len, offload)
    }

    /// Where the chunk's frame stands, if it has room for `len` bytes.
    fn place(&self, chunk: u64, len: usize) -> Option<*mut u8> {
        self.area.bytes(chunk, u32::try_from(len).ok()?)
    }

    /// Queues the frame at the start of a chunk; says whether it could.
    fn queue(&mut self, chunk: u64, len: usize) -> bool {
        // The length is written anew every time: completions bring addresses only.
        let len = u32::try_from(len).unwrap_or(0);
        let queued = self.ring.push(XdpDesc { addr: chunk, len, options: XdpDescOptions::empty() });
        if !queued {
            self.free.push(chunk);
        }
        queued
    }

    /// Copies one frame and queues it; says whether there was room.
    fn send(&mut self, frame: &Frame<'_>) -> bool {
        let Some(chunk) = self.chunk() else { return false };
        let Some(to) = self.place(chunk, frame.len()) else {
            self.free.push(chunk);
            return false;
        };
        // SAFETY: `place` gave room for the frame in a chunk that neither the kernel nor anybody else touches;
        // the frame lives in another port's memory, or in the receiving half's, which is a different area.
        unsafe { frame.copy_to(to) };
        self.queue(chunk, frame.len())
    }
}

impl Tx for AfXdpTx {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.abandon();
        let down = self.socket.is_down();
        let mut sent = Sent::default();
        for frame in frames {
            if !down && self.takes(frame.len(), frame.offload()) {
                if !self.send(frame) {
                    break;
                }
                sent.frames += 1;
                sent.bytes += frame.len() as u64;
            }
            sent.taken += 1;
        }
        sent
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.abandon(); // to the end of the list, where the next chunk is taken from
        if len > longest(self.capabilities) {
            return None;
        }
        let chunk = self.chunk()?;
        self.reserved = Some(Reservation { chunk, len });
        let at = self.place(chunk, len)?;
        // SAFETY: `len` bytes in a chunk that is neither free nor queued, until `commit` queues it.
        Some(unsafe { std::slice::from_raw_parts_mut(at, len) })
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        let Some(reservation) = self.reserved.take() else { return };
        if len > reservation.len {
            self.free.push(reservation.chunk);
        } else if !self.takes(len, offload) || self.socket.is_down() {
            self.free.push(reservation.chunk);
            self.counters.add_drops(Reason::Error, 1);
        } else if !self.queue(reservation.chunk, len) {
            self.counters.add_drops(Reason::Full, 1);
        }
    }

    fn flush(&mut self) -> bool {
        self.ring.publish();
        let done = self.kick();
        // What was just sent is still in the cache, and what is taken next is what came back last: in copy mode
        // the chunks in use are as many as a pass sends, and not all there are.
        self.reap();
        done
    }

    fn unsent(&self) -> u64 {
        u64::from(self.ring.unpublished()) + u64::from(self.ring.pending())
    }
}
