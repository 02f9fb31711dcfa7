//! The contract between the dataplane and a port.
//!
//! A port has two halves. The [`Rx`] half belongs to the one worker that owns the port, or there are several, each with
//! queues of its own and a worker of its own ([`Port::more_rx`]). The [`Tx`] half may be
//! used by any worker, under a lock that is taken once per burst. Every backend has the halves anyway: two
//! queues of a NIC, two rings, two directions of a file descriptor.
//!
//! One pass over one ingress port is
//!
//! ```
//! # use ports::{Burst, Port, Rx, Tx};
//! fn pass(rx: &mut dyn Rx, tx: &mut dyn Tx) {
//!     let mut burst = Burst::new();
//!     rx.receive(&mut burst); // frames stay in the port's memory ...
//!     let sent = tx.transmit(&burst); // ... are copied once, straight into the egress port's slots ...
//!     drop(burst);
//!     rx.release(sent.taken); // ... and are given back. What was not taken comes again.
//!     tx.flush(); // one kick a pass, never one a frame
//! }
//! ```
//!
//! Frames that are still in use cannot be given back,
//!
//! ```compile_fail,E0499
//! # use ports::{Burst, Rx};
//! fn too_early(rx: &mut dyn Rx) -> usize {
//!     let mut burst = Burst::new();
//!     rx.receive(&mut burst);
//!     rx.release(1);
//!     burst[0].len()
//! }
//! ```
//!
//! nor can a slot be written to that is on its way.
//!
//! ```compile_fail,E0499
//! # use ports::{Offload, Tx};
//! fn too_late(tx: &mut dyn Tx) {
//!     let Some(slot) = tx.reserve(60) else { return };
//!     tx.commit(60, Offload::NONE);
//!     slot.fill(0);
//! }
//! ```

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ring::Landing;
use crate::{Burst, Capabilities, Counters, Frame, Link, Mac, Offload, Presence, Time};

/// What became of a slice of frames handed to [`Tx::transmit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames the port is done with, a prefix of the slice. The rest found no room and is the caller's.
    pub taken: usize,
    /// Of those taken, frames delivered; the others failed for good (an I/O error) and are the caller's to
    /// count as [`Reason::Error`](crate::Reason::Error).
    pub frames: u64,
    /// Bytes of the frames delivered.
    pub bytes: u64,
}

/// Why no frame will ever come from a port again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// All that there was has been received: a file is at its end.
    Complete,
    /// The port broke: its interface vanished, its file ends in the middle or cannot be written. Says so in words
    /// for the user, who knows the port's name.
    Broken(&'a str),
}

/// The receiving half of a port: frames from the port into the dataplane.
pub trait Rx: Send {
    /// Appends waiting frames to `burst`, oldest first, as many as there are and fit. Frames that were
    /// received but not released before come first, again. Never blocks.
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>);

    /// Gives the oldest `n` frames of the last [`receive`](Self::receive) back to the port. Once per
    /// `receive`, with at most as many frames as it appended.
    fn release(&mut self, n: usize);

    /// A descriptor that becomes readable when frames arrive after [`arm`](Self::arm), if the port has one.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Asks for a wake-up through [`fd`](Self::fd) when the next frame arrives. Returns whether frames are
    /// waiting already, in which case the caller must not sleep.
    fn arm(&mut self) -> bool {
        false
    }

    /// Takes back [`arm`](Self::arm): the caller is polling again.
    fn disarm(&mut self) {}

    /// Does what follows from each [`release`](Self::release) since the last time, and what is due: a port may tell its peer
    /// of frames that it took later than at once. Says when it wants to be tended next, if nothing is released before.
    fn tend(&mut self, _now: Time) -> Time {
        Time::NEVER
    }

    /// Whether the port is at its end, and why. For apps, which end with it: a switch has other ports.
    fn end(&self) -> Option<End<'_>> {
        None
    }

    /// Slots that the other side can fill right now, if the port can tell without a system call: near zero before
    /// [`receive`](Self::receive), it is filled faster than it is drained.
    fn room(&self) -> Option<u32> {
        None
    }
}

/// A slot of a port, to make a frame in.
#[derive(Debug)]
pub struct Slot<'a> {
    /// Its bytes, as many as were asked for.
    pub bytes: &'a mut [u8],
    /// A word that stays with the slot, of ports whose slots keep their bytes: zero, or what the app last left there.
    /// Then the slot has what the app wrote into it when it did, so far as it did not write over that since without
    /// changing the word. So of a frame that differs little from others, most is written once a slot.
    pub label: Option<&'a mut u32>,
}

/// The transmitting half of a port: frames from the dataplane out of the port.
pub trait Tx: Send {
    /// What the port takes right now.
    fn capabilities(&self) -> Capabilities;

    /// Copies frames into the port's own slots, in order, as many as find room. Every frame satisfies
    /// [`Capabilities::takes`]; a frame that does not is failed, not panicked over. Never blocks.
    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent;

    /// A slot of the port to write a frame of `len` bytes into, in place; `None` when there is no room (or
    /// `len` is more than the port ever takes). Reserving again without [`commit`](Self::commit) gives the
    /// same slot; a [`transmit`](Self::transmit) ends the reservation. For apps, which make their frames; the switch copies with [`transmit`](Self::transmit).
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]>;

    /// As [`reserve`](Self::reserve), with the slot's label where it has one. All that is sent by other means (a slot
    /// reserved without its label, [`transmit`](Self::transmit), frames with metadata or longer than a slot) sets all
    /// labels to zero.
    fn reserve_labelled(&mut self, len: usize) -> Option<Slot<'_>> {
        self.reserve(len).map(|bytes| Slot { bytes, label: None })
    }

    /// Queues the first `len` bytes of the slot reserved last, with their offload metadata. Without a
    /// reservation, or with a `len` beyond it, nothing is sent.
    fn commit(&mut self, len: usize, offload: Offload);

    /// Queues the frame that [`commit`](Self::commit) queued last up to `n` times more, without its bytes being written
    /// again, and says how often: 0 where there is no room, where anything was reserved or queued since, and of ports that
    /// cannot, or not with that frame. Nothing else of the frame changes hands: what `reserve` gives next is another slot.
    fn repeat(&mut self, n: usize) -> usize {
        let _ = n;
        0
    }

    /// Makes everything queued visible to the other side: one kick a pass, never one a frame. Returns whether all of
    /// it is on its way; if not (the kernel was busy), the caller flushes again soon, whether there is traffic or not.
    fn flush(&mut self) -> bool;

    /// Frames that were queued and have not left, of ports that the kernel drains in its own time: it does not
    /// while their interface is down. They are lost when the port is closed.
    fn unsent(&self) -> u64 {
        0
    }

    /// If all that a flush does is to kick who drains the port: how to do that without the port. Whoever has it need
    /// not [`flush`](Self::flush) after [`transmit`](Self::transmit).
    fn landing(&self) -> Option<Landing> {
        None
    }
}

impl Rx for Box<dyn Rx> {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        (**self).receive(burst);
    }
    fn release(&mut self, n: usize) {
        (**self).release(n);
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        (**self).fd()
    }
    fn arm(&mut self) -> bool {
        (**self).arm()
    }
    fn disarm(&mut self) {
        (**self).disarm();
    }
    fn tend(&mut self, now: Time) -> Time {
        (**self).tend(now)
    }
    fn end(&self) -> Option<End<'_>> {
        (**self).end()
    }
    fn room(&self) -> Option<u32> {
        (**self).room()
    }
}

/// How much a port has to keep frames in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rings {
    /// Slots of a ring for frames out of the dataplane.
    pub tx_slots: u32,
    /// Slots of a ring for frames into it.
    pub rx_slots: u32,
    /// Rings for frames out of the dataplane.
    pub tx_rings: u32,
    /// Rings for frames into it.
    pub rx_rings: u32,
    /// The memory of all slots, bytes. What the kernel queues in memory of its own is not in it, nor what a peer brings
    /// ([`Presence::shared_bytes`]).
    pub memory_bytes: u64,
    /// Bytes of a page of it: 4 KiB, or 2 MiB where the kernel had some to spare.
    pub page_bytes: u64,
}

impl Default for Rings {
    /// No rings, in pages of 4 KiB.
    fn default() -> Self {
        Self { tx_slots: 0, rx_slots: 0, tx_rings: 0, rx_rings: 0, memory_bytes: 0, page_bytes: 4096 }
    }
}

/// A port: its two halves, who it is, and what it lost.
pub struct Port {
    /// Frames into the dataplane.
    pub rx: Box<dyn Rx>,
    /// Receiving halves beside `rx`, each for a worker of its own, where that was asked for: they receive from other
    /// queues of the port. Its counters allow for several then.
    pub more_rx: Vec<Box<dyn Rx>>,
    /// Frames out of it.
    pub tx: Box<dyn Tx>,
    /// The station address of the interface behind the port, where it has one of its own.
    pub mac: Option<Mac>,
    /// Frames, bytes and drops of this port. Backends count only what never reaches the dataplane (frames
    /// the kernel or the backend itself had to drop); the switch counts the rest.
    pub counters: Arc<Counters>,
    /// What it keeps frames in.
    pub rings: Rings,
    /// What a user should know of how the port came up: a fallback taken, a feature missing. One line each.
    pub notes: Vec<String>,
    /// Who is at its far side, where others come and go.
    pub peer: Option<Presence>,
    /// How its interface stands, where the port holds the far end of one.
    pub link: Option<Link>,
}

impl Port {
    /// A port of these halves, with fresh counters and nothing said of its rings.
    pub fn new(rx: impl Rx + 'static, tx: impl Tx + 'static) -> Self {
        Self {
            rx: Box::new(rx),
            more_rx: Vec::new(),
            tx: Box::new(tx),
            mac: None,
            counters: Arc::default(),
            rings: Rings::default(),
            notes: Vec::new(),
            peer: None,
            link: None,
        }
    }
}
