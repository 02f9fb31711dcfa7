//! The end of a ring that fills slots.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::layout::{Desc, MASK_INT, MAX_FRAME, NEXT, OFFLOAD, SLOT, start};
use super::shared::Shared;
use crate::{Frame, Offload, Sent};

/// Fills slots and publishes them. One per ring.
pub struct Producer {
    shared: Arc<Shared>,
    /// Slots filled, published or not.
    head: u16,
    /// Slots published.
    published: u16,
    /// The consumer's index as last seen: reading it anew costs a cache miss when the consumer runs elsewhere.
    tail: u16,
    /// Bytes of the slot that `reserve` gave out, while it is good.
    reserved: Option<usize>,
    /// Published since the consumer was last woken.
    unkicked: bool,
}

impl Producer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, head: 0, published: 0, tail: 0, reserved: None, unkicked: false }
    }

    /// Copies frames into the ring, in order, as many as find room, and publishes them. A frame longer than
    /// any can be fails: it would never find room, and hold up all behind it.
    pub fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.reserved = None;
        let mut sent = Sent::default();
        for frame in frames {
            if frame.len() > MAX_FRAME {
                sent.taken += 1;
                continue;
            }
            let Some(to) = self.slot(frame.len()) else { break };
            // SAFETY: `slot` gave room for `len` bytes that nobody else touches before they are published;
            // the frame lives in another port's memory.
            unsafe { frame.copy_to(to) };
            self.fill(frame.len(), frame.offload());
            sent.taken += 1;
            sent.frames += 1;
            sent.bytes += frame.len() as u64;
        }
        self.publish();
        sent
    }

    /// Room for one frame of `len` bytes, in place.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.reserved = None;
        let at = if len <= MAX_FRAME { self.slot(len)? } else { return None };
        self.reserved = Some(len);
        // SAFETY: `slot` gave room for `len` bytes, which stay ours until they are published; the borrow of
        // `self` keeps that from happening while the slice is alive.
        Some(unsafe { std::slice::from_raw_parts_mut(at, len) })
    }

    /// Queues what was written into the reservation.
    pub fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            self.fill(len, offload);
        }
    }

    /// Publishes what was committed, and wakes the consumer if it sleeps.
    pub fn flush(&mut self) {
        self.publish();
        if !std::mem::take(&mut self.unkicked) {
            return;
        }
        // The consumer clears MASK_INT and then looks at head; we wrote head and now look at MASK_INT. With a
        // full fence between on both sides, one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.shared.header().flags.load(Ordering::Relaxed) & MASK_INT == 0 {
            // Fails only when the counter is full, and then the consumer is being woken already.
            let _ = rustix::io::write(self.shared.wake(), &1u64.to_ne_bytes());
        }
    }

    /// Slots that a frame of `len` bytes takes if it starts at the next slot.
    fn slots_for(&self, len: usize) -> usize {
        (start(self.head) + len).div_ceil(SLOT).max(1)
    }

    /// Where the next frame goes, if `len` bytes have room.
    fn slot(&mut self, len: usize) -> Option<*mut u8> {
        let needed = self.slots_for(len);
        if self.free() < needed {
            self.tail = self.shared.tail().load(Ordering::Acquire);
            if self.free() < needed {
                return None;
            }
        }
        let index = usize::from(self.head & (self.shared.slots() - 1));
        Some(self.shared.buffers().wrapping_add(index * SLOT + start(self.head)))
    }

    fn free(&self) -> usize {
        // A consumer that claims to have consumed what was never filled makes the ring look full, not larger.
        usize::from(self.shared.slots().saturating_sub(self.head.wrapping_sub(self.tail)))
    }

    /// Writes the descriptors of the frame that now stands at the next slot.
    fn fill(&mut self, len: usize, offload: Offload) {
        let mut flags = 0;
        let mut offset = usize::from(self.head & (self.shared.slots() - 1)) * SLOT + start(self.head);
        if offload != Offload::NONE {
            let at = self.shared.buffers().wrapping_add(offset - Offload::LEN);
            // SAFETY: the headroom before the frame belongs to its slot.
            unsafe { at.cast::<[u8; Offload::LEN]>().write(offload.to_bytes()) };
            flags = OFFLOAD;
        }
        let mut left = len;
        loop {
            let length = left.min(SLOT - offset % SLOT);
            left -= length;
            let next = if left > 0 { NEXT } else { 0 };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a region has at most 2^14 slots of 2^11 bytes"
            )]
            let desc = Desc {
                flags: flags | next,
                region: 1,
                length: length as u32,
                offset: offset as u32,
                metadata: 0,
            };
            // SAFETY: in bounds by construction of `desc`, and ours until published.
            unsafe { self.shared.desc(self.head).write(desc) };
            self.head = self.head.wrapping_add(1);
            if left == 0 {
                return;
            }
            flags = 0;
            offset = (offset + length) % self.shared.buffer_len();
        }
    }

    fn publish(&mut self) {
        if self.published != self.head {
            self.shared.head().store(self.head, Ordering::Release);
            self.published = self.head;
            self.unkicked = true;
        }
    }
}
