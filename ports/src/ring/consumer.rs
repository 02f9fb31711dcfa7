//! The end of a ring that drains slots.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use arrayvec::ArrayVec;

use super::layout::{MASK_INT, MAX_FRAME, NEXT, OFFLOAD};
use super::shared::Shared;
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
        let mut broken = 0;
        let mut index = self.tail;
        // A producer that claims more than the ring holds is believed only so far.
        let waiting = self.shared.head().load(Ordering::Acquire).wrapping_sub(index).min(self.shared.slots());
        let head = index.wrapping_add(waiting);
        while index != head && !burst.is_full() && !self.ends.is_full() {
            let (frame, end) = self.frame(index, head);
            index = end;
            if let Some(frame) = frame {
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

    /// The frame that starts at `index`, and the index after it. Each descriptor is read once.
    fn frame<'a>(&self, index: u16, head: u16) -> (Option<Frame<'a>>, u16) {
        // SAFETY: in bounds by construction of `desc`; published, so the producer leaves it alone.
        let first = unsafe { self.shared.desc(index).read() };
        let offset = first.offset as usize;
        let mut len = first.length as usize;
        let mut flags = first.flags;
        let mut end = index.wrapping_add(1);
        let mut whole = true;
        while flags & NEXT != 0 && end != head {
            // SAFETY: as above.
            let desc = unsafe { self.shared.desc(end).read() };
            whole &= desc.offset as usize == (offset + len) % self.shared.buffer_len();
            len = len.saturating_add(desc.length as usize);
            flags = desc.flags;
            end = end.wrapping_add(1);
        }
        whole &= flags & NEXT == 0 && len <= MAX_FRAME && len <= self.shared.buffer_len();
        whole &= (Offload::LEN..self.shared.buffer_len()).contains(&offset);
        if !whole {
            return (None, end);
        }
        let at = self.shared.buffers().wrapping_add(offset);
        let mut offload = Offload::NONE;
        if first.flags & OFFLOAD != 0 {
            // SAFETY: `offset` is at least the header's length, checked above.
            offload = Offload::from_bytes(unsafe { at.wrapping_sub(Offload::LEN).cast::<[u8; 10]>().read() });
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked against MAX_FRAME above")]
        let len = len as u32;
        // SAFETY: offset and length were checked against the region, which is mapped twice over; the slots are
        // the consumer's until they are given back, which takes `&mut self`.
        (Some(unsafe { Frame::from_raw(at, len, offload) }), end)
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
