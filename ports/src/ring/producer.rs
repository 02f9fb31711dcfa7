//! The end of a ring that fills slots.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::layout::{Desc, MASK_INT, MAX_FRAME, NEXT, OFFLOAD, ONE_SLOT, SLOT};
use super::shared::{Map, Shared};
use crate::{Frame, Offload, Sent};

/// Slots filled between two looks at the consumer's index.
const WINDOW: u16 = 256;

/// Fills slots and publishes them. One per ring.
pub struct Producer {
    shared: Arc<Shared>,
    /// Slots filled, published or not.
    head: u16,
    /// Slots published.
    published: u16,
    /// Slots that can be filled before the consumer's index is to be read again, which costs a cache miss when the
    /// consumer runs elsewhere.
    room: u16,
    /// That index, as last seen.
    tail: u16,
    /// The number of the next frame's buffer less `head`, modulo the ring's size.
    shift: u16,
    /// Bytes of the slot that `reserve` gave out, while it is good.
    reserved: Option<usize>,
    /// Bytes of the frame in the buffer before the next, if it is one that can be repeated.
    repeatable: Option<usize>,
    /// Published since the consumer was last woken.
    unkicked: bool,
}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let room = shared.slots().min(WINDOW);
        Self {
            shared,
            head: 0,
            published: 0,
            room,
            tail: 0,
            shift: 0,
            reserved: None,
            repeatable: None,
            unkicked: false,
        }
    }

    /// Copies frames into the ring, in order, as many as find room, and publishes them. A frame longer than
    /// any can be fails: it would never find room, and hold up all behind it.
    pub fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        (self.reserved, self.repeatable) = (None, None);
        let mut map = self.map();
        // In registers: each of these through memory would cost more than all else does to a short frame.
        let (mut head, mut room) = (self.head, self.room);
        let (mut taken, mut failed, mut bytes) = (0, 0, 0);
        for frame in frames {
            let len = frame.len();
            if len > MAX_FRAME {
                failed += 1;
                taken += 1;
                continue;
            }
            let needed = slots_for(map, head, len);
            if room < needed {
                self.head = head;
                self.look();
                self.start_over();
                (room, map) = (self.room, self.map());
                if room < needed {
                    break;
                }
            }
            room -= needed;
            // SAFETY: there is room for `len` bytes that nobody else touches before they are published; the
            // frame lives in another port's memory, or in slots of this ring that its consumer still holds.
            unsafe { frame.copy_to(map.buffers.wrapping_add(map.start(head))) };
            // The metadata of most frames is never looked at in whole: copying it about shows.
            head = if len <= ONE_SLOT && frame.offload().is_none() {
                describe(map, head, len)
            } else {
                describe_chain(map, head, len, frame.offload())
            };
            taken += 1;
            bytes += len as u64;
        }
        (self.head, self.room) = (head, room);
        self.publish();
        Sent { taken, frames: taken as u64 - failed, bytes }
    }

    /// Room for one frame of `len` bytes, in place.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        (self.reserved, self.repeatable) = (None, None);
        let at = if len <= MAX_FRAME { self.slot(len)? } else { return None };
        self.reserved = Some(len);
        // SAFETY: `slot` gave room for `len` bytes, which stay ours until they are published; the borrow of
        // `self` keeps that from happening while the slice is alive.
        Some(unsafe { std::slice::from_raw_parts_mut(at, len) })
    }

    /// Queues what was written into the reservation.
    pub fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            let map = self.map();
            self.room -= slots_for(map, self.head, len);
            let plain = len <= ONE_SLOT && offload.is_none();
            self.repeatable = plain.then_some(len);
            self.head = if plain {
                describe(map, self.head, len)
            } else {
                describe_chain(map, self.head, len, offload)
            };
        }
    }

    /// Queues the frame committed last up to `n` times more, if it is one of a single slot: descriptors of the same
    /// buffer. Says how often.
    pub fn repeat(&mut self, n: usize) -> usize {
        let Some(len) = self.repeatable else { return 0 };
        self.reserved = None;
        let offset = self.map().start(self.head.wrapping_sub(1));
        let mut left = n;
        while left > 0 {
            if self.room == 0 {
                self.look();
            }
            let Ok(times @ 1..) = u16::try_from(left.min(self.room.into())) else { break };
            for index in 0..times {
                write(self.map(), self.head.wrapping_add(index), 0, len, offset);
            }
            // Each fills a descriptor and no buffer: those of the next frames are one less ahead of their indices. So
            // what is on its way has a run of buffers that is no longer than its run of descriptors.
            self.shift = self.shift.wrapping_sub(times);
            self.head = self.head.wrapping_add(times);
            self.room -= times;
            left -= usize::from(times);
        }
        n - left
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

    /// Where the next frame goes, if `len` bytes have room.
    fn slot(&mut self, len: usize) -> Option<*mut u8> {
        if self.room < slots_for(self.map(), self.head, len) {
            self.look();
            self.start_over();
            if self.room < slots_for(self.map(), self.head, len) {
                return None;
            }
        }
        let map = self.map();
        Some(map.buffers.wrapping_add(map.start(self.head)))
    }

    /// Looks at how far the consumer is.
    fn look(&mut self) {
        self.tail = self.shared.tail().load(Ordering::Acquire);
        // A consumer that claims to have consumed what was never filled makes the ring look full, not larger.
        let free = self.shared.slots().saturating_sub(self.head.wrapping_sub(self.tail));
        self.room = free.min(WINDOW);
    }

    /// If the consumer has drained the ring, lets the next frame go into the first buffer, and not into one that left
    /// the cache since it was last used: a ring that is kept short fills few of its buffers.
    fn start_over(&mut self) {
        if self.tail == self.head {
            self.shift = 0_u16.wrapping_sub(self.head);
            self.repeatable = None;
        }
    }

    fn map(&self) -> Map {
        self.shared.map(self.shift)
    }

    fn publish(&mut self) {
        if self.published != self.head {
            self.shared.head().store(self.head, Ordering::Release);
            self.published = self.head;
            self.unkicked = true;
        }
    }
}

/// Slots that a frame of `len` bytes takes if it starts at slot `head`.
#[inline]
fn slots_for(map: Map, head: u16, len: usize) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "`len` is at most MAX_FRAME")]
    if len <= ONE_SLOT { 1 } else { (map.start(head) % SLOT + len).div_ceil(SLOT) as u16 }
}

/// Writes the descriptor of the frame without metadata that now stands in slot `head` alone, and says which slot
/// is next.
#[inline]
fn describe(map: Map, head: u16, len: usize) -> u16 {
    write(map, head, 0, len, map.start(head));
    head.wrapping_add(1)
}

/// As [`describe`], for frames of whatever kind.
#[inline(never)]
fn describe_chain(map: Map, mut head: u16, len: usize, offload: Offload) -> u16 {
    let mut flags = 0;
    let mut offset = map.start(head);
    if !offload.is_none() {
        let at = map.buffers.wrapping_add(offset - Offload::LEN);
        // SAFETY: the headroom before the frame belongs to its slot.
        unsafe { at.cast::<[u8; Offload::LEN]>().write(offload.to_bytes()) };
        flags = OFFLOAD;
    }
    let mut left = len;
    loop {
        let length = left.min(SLOT - offset % SLOT);
        left -= length;
        write(map, head, flags | if left > 0 { NEXT } else { 0 }, length, offset);
        head = head.wrapping_add(1);
        if left == 0 {
            return head;
        }
        flags = 0;
        offset = (offset + length) % map.buffer_len();
    }
}

/// Writes one descriptor.
#[inline]
fn write(map: Map, index: u16, flags: u16, length: usize, offset: usize) {
    #[expect(clippy::cast_possible_truncation, reason = "a region has at most 2^14 slots of 2^11 bytes")]
    let desc = Desc { flags, region: 1, length: length as u32, offset: offset as u32, metadata: 0 };
    // SAFETY: in bounds by construction of `desc`, and the producer's until it publishes `index`.
    unsafe { map.desc(index).write(desc) };
}
