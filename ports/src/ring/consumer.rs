//! The end of a ring that drains slots.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use arrayvec::ArrayVec;

use super::layout::{Desc, MASK_INT, MAX_FRAME, NEXT, OFFLOAD};
use super::shared::{Map, Shared};
use crate::{BURST, Burst, Frame, Offload};

/// Reads slots and gives them back. One per ring.
pub struct Consumer {
    shared: Arc<Shared>,
    /// Slots given back.
    tail: u16,
    /// For each frame of the last burst, the index after its last slot.
    ends: ArrayVec<u16, BURST>,
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tail: 0, ends: ArrayVec::new() }
    }

    /// Appends waiting frames to `burst`. Chains of descriptors that make no sense are passed over; their
    /// number is returned. Each is counted once: the burst ends before one that follows good frames, which
    /// comes first, and is given back at once, when those have been released.
    pub fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) -> u64 {
        self.ends.clear();
        let map = self.shared.map();
        let mut broken = 0;
        let mut index = self.tail;
        // A producer that claims more than the ring holds is believed only so far.
        let waiting = self.shared.head().load(Ordering::Acquire).wrapping_sub(index).min(self.shared.slots());
        let head = index.wrapping_add(waiting);
        while index != head && !burst.is_full() && !self.ends.is_full() {
            // SAFETY: in bounds by construction of `desc`; published, so the producer leaves it alone.
            let first = unsafe { map.desc(index).read() };
            let (chain, end) = Chain::new(map, first, index, head);
            index = end;
            if let Some(frame) = chain.frame(map) {
                frame.prefetch();
                burst.push(frame);
                self.ends.push(index);
            } else if self.ends.is_empty() {
                broken += 1;
                self.give_back(index);
            } else {
                break;
            }
        }
        broken
    }

    /// Gives the oldest `n` frames of the last burst back.
    pub fn release(&mut self, n: usize) {
        if let Some(end) = n.checked_sub(1).and_then(|last| self.ends.get(last)) {
            self.give_back(*end);
        }
        self.ends.clear();
    }

    fn give_back(&mut self, index: u16) {
        self.tail = index;
        self.shared.tail().store(index, Ordering::Release);
    }

    /// The descriptor that becomes readable when frames arrive while armed.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.wake()
    }

    /// Asks to be woken; says whether frames wait already.
    pub fn arm(&mut self) -> bool {
        self.shared.header().flags.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst); // see Producer::flush
        self.shared.head().load(Ordering::Acquire) != self.tail
    }

    /// Polls again: no wake-ups wanted.
    pub fn disarm(&mut self) {
        self.shared.header().flags.store(MASK_INT, Ordering::Relaxed);
        let mut count = [0; 8];
        let _ = rustix::io::read(self.shared.wake(), &mut count); // EAGAIN: nobody had kicked
    }
}

/// A frame by its descriptors, each of which was read once.
struct Chain {
    first: Desc,
    len: usize,
    /// The pieces follow each other, up to one that says it is the last.
    whole: bool,
}

impl Chain {
    /// The chain that starts with `first` at `index`, and the index after it.
    #[inline]
    fn new(map: Map, first: Desc, index: u16, head: u16) -> (Self, u16) {
        let chain = Self { first, len: first.length as usize, whole: true };
        let end = index.wrapping_add(1);
        if first.flags & NEXT == 0 { (chain, end) } else { chain.follow(map, end, head) }
    }

    #[inline(never)]
    fn follow(mut self, map: Map, mut end: u16, head: u16) -> (Self, u16) {
        let mut flags = self.first.flags;
        while flags & NEXT != 0 && end != head {
            // SAFETY: in bounds by construction of `desc`; published, so the producer leaves it alone.
            let desc = unsafe { map.desc(end).read() };
            self.whole &= desc.offset as usize == (self.first.offset as usize + self.len) % map.buffer_len();
            self.len = self.len.saturating_add(desc.length as usize);
            flags = desc.flags;
            end = end.wrapping_add(1);
        }
        self.whole &= flags & NEXT == 0;
        (self, end)
    }

    /// The frame, if its bytes lie where they may.
    #[inline]
    fn frame<'a>(self, map: Map) -> Option<Frame<'a>> {
        let offset = self.first.offset as usize;
        let inside = (Offload::LEN..map.buffer_len()).contains(&offset) && self.len <= map.buffer_len();
        if !self.whole || !inside || self.len > MAX_FRAME {
            return None;
        }
        let at = map.buffers.wrapping_add(offset);
        let mut offload = Offload::NONE;
        if self.first.flags & OFFLOAD != 0 {
            // SAFETY: `offset` is at least the header's length, checked above.
            offload = Offload::from_bytes(unsafe { at.wrapping_sub(Offload::LEN).cast::<[u8; 10]>().read() });
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked against MAX_FRAME above")]
        let len = self.len as u32;
        // SAFETY: offset and length were checked against the region, which is mapped twice over; the slots are
        // the consumer's until they are given back, which takes its `&mut self`.
        Some(unsafe { Frame::from_raw(at, len, offload) })
    }
}
