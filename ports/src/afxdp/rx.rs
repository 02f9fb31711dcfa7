//! The receiving half: the receive queues behind one port, all of the interface or one of several threads'.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use arrayvec::ArrayVec;
use bpf::XdpProgram;
use rustix::event::epoll;
use rustix::net::xdp::{XdpDesc, XdpDescOptions};

use super::ring::{Consumer, Producer};
use super::socket::Socket;
use super::umem::Area;
use super::unfilled::is_unfilled;
use crate::{BURST, Burst, Counters, Error, Frame, Offload, Reason, Rx};

/// Receives between two looks at the kernel's own counters, a system call (200 ns) each.
const RECEIVES_PER_LOOK: u32 = 1024;

/// What keeps frames coming to the sockets. Dropping it leaves no trace on the interface.
pub(super) struct Attachment {
    pub(super) _program: XdpProgram,
    pub(super) _promiscuous: OwnedFd,
}

pub(super) struct AfXdpRx {
    _attachment: Arc<Attachment>, // first: frames go to the stack again before the sockets close
    queues: Vec<RxQueue>,
    /// Frames received and not released, oldest first.
    held: ArrayVec<Held, BURST>,
    /// The queue that is looked at first in the next receive.
    next: usize,
    receives: u32,
    /// Readable when any of the queues has frames, while armed.
    epoll: OwnedFd,
    armed: bool,
    counters: Arc<Counters>,
}

/// One receive queue.
pub(super) struct RxQueue {
    fill: Producer<u64>,
    ring: Consumer<XdpDesc>,
    area: Area,
    /// Drops that the kernel had reported when last asked.
    dropped: u64,
    /// Descriptors that made no sense.
    broken: u64,
    socket: Arc<Socket>, // after the rings: a queue is free again when it closes
}

/// One frame that stands in a chunk of its queue.
#[derive(Clone, Copy)]
struct Held {
    start: *const u8,
    len: u32,
    queue: u32,
    chunk: u64,
}

// SAFETY: points into the area of a queue of the same half, which moves along with it.
unsafe impl Send for Held {}

impl Held {
    fn frame<'a>(&self) -> Frame<'a> {
        // SAFETY: checked against its chunk in `RxQueue::held`; the chunk stays out of the kernel's hands until it
        // goes back to the fill ring, in `judge` after its last look or in `release`, which takes the `&mut` that
        // `receive` ties `'a` to.
        unsafe { Frame::from_raw(self.start, self.len, Offload::NONE) }
    }
}

impl RxQueue {
    /// A queue whose chunks are all with the kernel.
    pub(super) const fn new(
        fill: Producer<u64>,
        ring: Consumer<XdpDesc>,
        area: Area,
        socket: Arc<Socket>,
    ) -> Self {
        Self { fill, ring, area, dropped: 0, broken: 0, socket }
    }

    /// Moves frames from the ring to `fresh`, as many as there are and fit.
    fn take(&mut self, queue: u32, room: usize, fresh: &mut ArrayVec<Held, BURST>) {
        while fresh.len() < room {
            let Some(desc) = self.ring.pop() else { break };
            match self.held(desc, queue) {
                Some(held) => {
                    held.frame().prefetch();
                    fresh.push(held);
                }
                None => self.broken += 1,
            }
        }
        self.ring.release();
    }

    /// The frame of a descriptor, which was read once; `None` if it does not lie in one chunk of ours.
    fn held(&mut self, desc: XdpDesc, queue: u32) -> Option<Held> {
        let chunk = self.area.chunk_of(desc.addr)?;
        let start = self.area.bytes(desc.addr, desc.len);
        let whole = !desc.options.contains(XdpDescOptions::XDP_PKT_CONTD);
        if let Some(start) = start.filter(|_| whole) {
            return Some(Held { start, len: desc.len, queue, chunk });
        }
        self.give_back(chunk);
        None
    }

    /// Lets the kernel fill a chunk again.
    fn give_back(&mut self, chunk: u64) {
        // There is an entry for every chunk; a kernel that hands one out twice loses the second.
        let _ = self.fill.push(chunk);
    }

    /// Drops since the last call: by the kernel, and for descriptors that made no sense.
    fn new_drops(&mut self) -> (u64, u64) {
        let dropped = self.socket.dropped().max(self.dropped);
        let new = dropped - self.dropped;
        self.dropped = dropped;
        (new, std::mem::take(&mut self.broken))
    }
}

impl AfXdpRx {
    pub(super) fn new(
        name: &str,
        attachment: Arc<Attachment>,
        queues: Vec<RxQueue>,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| Error::io(name, "epoll", e))?;
        Ok(Self {
            _attachment: attachment,
            queues,
            held: ArrayVec::new(),
            next: 0,
            receives: 0,
            epoll,
            armed: false,
            counters,
        })
    }

    /// Takes in frames from the rings, the queues in rotation, and drops those nobody could use.
    fn take_in(&mut self) {
        let mut fresh = ArrayVec::new();
        let room = self.held.remaining_capacity();
        let (before, from) = self.queues.split_at_mut(self.next);
        let split = self.next;
        let in_turn =
            from.iter_mut().enumerate().map(|(i, q)| (split + i, q)).chain(before.iter_mut().enumerate());
        for (index, queue) in in_turn {
            #[expect(clippy::cast_possible_truncation, reason = "at most bpf::MAX_QUEUES")]
            queue.take(index as u32, room, &mut fresh);
        }
        self.next = (self.next + 1) % self.queues.len().max(1);
        if fresh.is_empty() {
            self.wake_fill();
        }
        self.judge(&fresh);
    }

    /// Keeps the frames whose checksums stand.
    fn judge(&mut self, fresh: &[Held]) {
        let mut unfilled = 0;
        for held in fresh {
            if held.frame().bytes().is_some_and(is_unfilled) {
                unfilled += 1;
                give_back(&mut self.queues, *held);
            } else {
                self.held.push(*held);
            }
        }
        if unfilled > 0 {
            self.counters.add_drops(Reason::BadChecksum, unfilled);
            self.publish();
        }
    }

    fn publish(&mut self) {
        for queue in &mut self.queues {
            queue.fill.publish();
        }
    }

    /// Drivers with zero-copy may sleep until somebody says that there are empty chunks again.
    fn wake_fill(&self) {
        for queue in &self.queues {
            if queue.fill.needs_wakeup() {
                queue.socket.kick_rx();
            }
        }
    }

    /// Has the sockets wake us up, until disarmed and no longer: while anybody waits on a socket, the kernel takes
    /// a lock and walks the list of those who wait for every single frame sent (`sock_wfree`, net/core/sock.c).
    fn listen(&mut self) -> rustix::io::Result<()> {
        if !std::mem::replace(&mut self.armed, true) {
            for (index, queue) in self.queues.iter().enumerate() {
                let data = epoll::EventData::new_u64(index as u64);
                epoll::add(&self.epoll, &queue.socket, data, epoll::EventFlags::IN)?;
            }
        }
        Ok(())
    }

    /// Counts what the kernel dropped, and kicks once more: a zero-copy driver may have gone to sleep just after a flush
    /// saw it awake.
    fn look(&mut self) {
        for queue in &mut self.queues {
            let (kernel, broken) = queue.new_drops();
            if kernel > 0 {
                self.counters.add_drops(Reason::Kernel, kernel);
            }
            if broken > 0 {
                self.counters.add_drops(Reason::Error, broken);
            }
        }
        if let Some(queue) = self.queues.first() {
            queue.socket.kick_tx();
        }
    }
}

fn give_back(queues: &mut [RxQueue], held: Held) {
    if let Some(queue) = queues.get_mut(held.queue as usize) {
        queue.give_back(held.chunk);
    }
}

impl Rx for AfXdpRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.receives = self.receives.wrapping_add(1);
        if self.receives.is_multiple_of(RECEIVES_PER_LOOK) {
            self.look();
        }
        if !self.held.is_full() {
            self.take_in();
        }
        let room = burst.remaining_capacity();
        burst.extend(self.held.iter().take(room).map(Held::frame));
    }

    fn release(&mut self, n: usize) {
        let n = n.min(self.held.len());
        for held in self.held.drain(..n) {
            give_back(&mut self.queues, held);
        }
        self.publish();
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    fn arm(&mut self) -> bool {
        self.look();
        self.wake_fill();
        let deaf = self.listen().is_err();
        deaf || !self.held.is_empty() || self.queues.iter().any(|queue| queue.ring.is_waiting())
    }

    fn disarm(&mut self) {
        if std::mem::take(&mut self.armed) {
            for queue in &self.queues {
                let _ = epoll::delete(&self.epoll, &queue.socket); // fails only for one that is not there
            }
        }
    }

    /// Chunks that the kernel has to fill.
    fn room(&self) -> Option<u32> {
        Some(self.queues.iter().map(|queue| queue.fill.pending()).sum())
    }
}
