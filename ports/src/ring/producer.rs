//! The end of a ring that fills slots.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::labels::Labels;
use super::landing::Landing;
use super::layout::{Desc, MAX_FRAME, NEXT, OFFLOAD, ONE_SLOT, SLOT};
use super::shared::{MIN_SLOTS, Map, Shared};
use crate::{Frame, Offload, Sent, Slot};

/// Slots filled between two looks at the consumer's index, which cost a cache miss each when the consumer runs
/// elsewhere: few while it keeps the ring drained, more while it does not.
const WINDOWS: RangeInclusive<u32> = 8..=256;

/// Slots ahead of the one that is written whose first line is asked for. What takes 300 ns to come from the other
/// core is then there when a frame of 10 ns is.
const AHEAD: u32 = 32;
const _: () = assert!(AHEAD as usize <= MIN_SLOTS as usize, "it lies in the second mapping at most");

/// Fills slots and publishes them. One per ring.
#[repr(align(128))] // the other half of the port, on another core, is to share no line with it
pub struct Producer {
    shared: Arc<Shared>,
    map: Map,
    /// Slots filled, published or not.
    head: u32,
    /// Slots published.
    published: u32,
    /// Slots that were free, as far as was seen.
    room: u32,
    /// `head` when the consumer's index was last looked at.
    looked: u32,
    /// Slots to fill until the next look: one of [`WINDOWS`].
    window: u32,
    /// How far ahead of what is written buffers are claimed: see [`Map::claim`]. Bytes; 0 if a few slots on are some
    /// that the consumer still reads.
    ahead: usize,
    /// Bytes of the slot that `reserve` gave out, while it is good.
    reserved: Option<usize>,
    /// Bytes of the frame in the buffer before the next, if it is one that can be repeated.
    repeatable: Option<usize>,
    /// Published since the consumer was last woken.
    unkicked: bool,
    labels: Labels,
}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let map = shared.map();
        let room = map.slots().into();
        Self {
            shared,
            map,
            head: 0,
            published: 0,
            room,
            looked: 0,
            window: *WINDOWS.end(),
            ahead: 0,
            reserved: None,
            repeatable: None,
            unkicked: false,
            labels: Labels::new(room as usize),
        }
    }

    /// Bytes of the pages that the ring's buffers are in: 2 MiB if there are a multiple of 1024 slots and the kernel has
    /// such pages to spare, else 4 KiB.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.shared.page_bytes()
    }

    /// Copies frames into the ring, in order, as many as find room, and publishes them. A frame longer than
    /// any can be fails: it would never find room, and hold up all behind it.
    pub fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        (self.reserved, self.repeatable) = (None, None);
        self.labels.forget();
        self.begin();
        let mut sent = Sent::default();
        if let [frame] = frames
            && self.room > 0
            && is_short(frame)
        {
            self.transmit_alone(frame);
            (sent.taken, sent.frames, sent.bytes) = (1, 1, frame.len() as u64);
            self.publish();
            return sent;
        }
        loop {
            let (short, bytes) = self.transmit_short(&frames[sent.taken..]);
            sent.taken += short;
            sent.frames += short as u64;
            sent.bytes += bytes;
            // No frame is left, or there is no more room as far as is known, or the next is one of another kind.
            let Some(frame) = frames.get(sent.taken) else { break };
            if frame.len() <= MAX_FRAME {
                if self.transmit_any(frame).is_none() {
                    break;
                }
                sent.frames += 1;
                sent.bytes += frame.len() as u64;
            }
            sent.taken += 1;
        }
        self.publish();
        sent
    }

    /// Copies the first frames, which fit one slot each and have no metadata, as far as there is room. Says how many,
    /// and their bytes.
    #[inline]
    fn transmit_short(&mut self, frames: &[Frame<'_>]) -> (usize, u64) {
        let (map, ahead) = (self.map, self.ahead);
        let (mut taken, mut bytes) = (0, 0);
        for frame in frames.iter().take(self.room as usize).take_while(|frame| is_short(frame)) {
            put(map, self.head.wrapping_add(taken), ahead, frame);
            taken += 1;
            bytes += frame.len() as u64;
        }
        self.head = self.head.wrapping_add(taken);
        self.room -= taken;
        (taken as usize, bytes)
    }

    /// Copies one such frame, for which there is room.
    #[inline]
    fn transmit_alone(&mut self, frame: &Frame<'_>) {
        put(self.map, self.head, self.ahead, frame);
        self.head = self.head.wrapping_add(1);
        self.room -= 1;
    }

    /// Copies a frame of whatever kind, if there is room.
    #[inline(never)]
    fn transmit_any(&mut self, frame: &Frame<'_>) -> Option<()> {
        let at = self.slot(frame.len())?;
        // SAFETY: as in `put`.
        unsafe { frame.copy_to(at) };
        self.describe(frame.len(), frame.offload());
        Some(())
    }

    /// Room for one frame of `len` bytes, in place.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.labels.forget();
        let at = self.lend(len)?;
        // SAFETY: `lend` gave room for `len` bytes, which stay ours until they are published; the borrow of
        // `self` keeps that from happening while the slice is alive.
        Some(unsafe { std::slice::from_raw_parts_mut(at, len) })
    }

    /// As [`Self::reserve`], with the slot's label if the frame fits into one: see [`Slot::label`].
    #[inline]
    pub fn reserve_labelled(&mut self, len: usize) -> Option<Slot<'_>> {
        if len > ONE_SLOT {
            return self.reserve(len).map(|bytes| Slot { bytes, label: None });
        }
        let at = self.lend(len)?;
        let label = self.labels.get_mut(self.map.buffer(self.head));
        // SAFETY: as in `reserve`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(at, len) };
        Some(Slot { bytes, label })
    }

    /// Where the next frame goes, to be written by the caller, if `len` bytes have room.
    #[inline]
    fn lend(&mut self, len: usize) -> Option<*mut u8> {
        (self.reserved, self.repeatable) = (None, None);
        self.begin();
        let at = if len <= MAX_FRAME { self.slot(len)? } else { return None };
        self.reserved = Some(len);
        Some(at)
    }

    /// Queues what was written into the reservation.
    pub fn commit(&mut self, len: usize, offload: Offload) {
        if self.reserved.take().is_some_and(|reserved| len <= reserved) {
            if len <= ONE_SLOT && offload.is_none() {
                self.repeatable = Some(len);
                let map = self.map;
                map.write(self.head, Desc::new(0, len, map.start(self.head)));
                self.head = self.head.wrapping_add(1);
                self.room -= 1;
            } else {
                self.describe(len, offload);
            }
        }
    }

    /// Queues the frame committed last up to `n` times more, if it is one of a single slot: descriptors of the same
    /// buffer. Says how often.
    pub fn repeat(&mut self, n: usize) -> usize {
        let Some(len) = self.repeatable else { return 0 };
        self.reserved = None;
        let desc = Desc::new(0, len, self.map.start(self.head.wrapping_sub(1)));
        let mut left = n;
        while left > 0 {
            if self.room == 0 {
                self.look();
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most `room`")]
            let times = left.min(self.room as usize) as u32;
            if times == 0 {
                break;
            }
            for index in 0..times {
                self.map.write(self.head.wrapping_add(index), desc);
            }
            // Each fills a descriptor and no buffer: those of the next frames are one less ahead of their indices. So
            // what is on its way has a run of buffers that is no longer than its run of descriptors.
            self.map.shift = self.map.shift.wrapping_sub(times);
            self.head = self.head.wrapping_add(times);
            self.room -= times;
            left -= times as usize;
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
        if self.map.is_awaited() {
            self.shared.kick();
        }
    }

    /// What can be done without the producer.
    #[must_use]
    pub fn landing(&self) -> Landing {
        Landing::new(self.shared.clone())
    }

    /// Where the next frame goes, if `len` bytes have room.
    #[inline]
    fn slot(&mut self, len: usize) -> Option<*mut u8> {
        if self.room < self.map.slots_for(self.head, len) && !self.finds_room(len) {
            return None;
        }
        let offset = self.map.start(self.head);
        self.map.claim(offset + self.ahead);
        Some(self.map.buffers.wrapping_add(offset))
    }

    /// Looks whether there is room by now.
    #[inline(never)]
    fn finds_room(&mut self, len: usize) -> bool {
        self.look();
        self.room >= self.map.slots_for(self.head, len)
    }

    /// At the start of a burst: if it is time to look, looks, and if the consumer has drained the ring lets the next
    /// frame go into the first buffer, and not into one that left the cache since it was last used. So a ring that is
    /// kept short fills few of its buffers.
    #[inline]
    fn begin(&mut self) {
        if self.head == self.published && self.head.wrapping_sub(self.looked) >= self.window {
            self.start_over();
        }
    }

    #[inline(never)]
    fn start_over(&mut self) {
        let drained = self.look();
        if drained {
            self.map.shift = self.shared.colour().wrapping_sub(self.head);
            self.shared.shift().store(self.map.shift, Ordering::Relaxed);
        }
        let window = if drained { self.window / 2 } else { self.window * 2 };
        self.window = window.clamp(*WINDOWS.start(), *WINDOWS.end());
    }

    /// Looks at how far the consumer is. Says whether it has drained the ring.
    fn look(&mut self) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "what the ends tell each other has 16 bits")]
        let filled = (self.head as u16).wrapping_sub(self.map.tail().load(Ordering::Acquire));
        // A consumer that claims to have consumed what was never filled makes the ring look full, not larger.
        self.room = self.map.slots().saturating_sub(filled).into();
        self.ahead = if self.room >= *WINDOWS.end() + AHEAD { AHEAD as usize * SLOT } else { 0 };
        self.looked = self.head;
        filled == 0
    }

    /// Writes the descriptors of the frame, of whatever kind, that now stands at `head`, where it has room.
    #[inline(never)]
    fn describe(&mut self, len: usize, offload: Offload) {
        self.labels.forget();
        let map = self.map;
        let mut flags = 0;
        let mut offset = map.start(self.head);
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
            map.write(self.head, Desc::new(flags | if left > 0 { NEXT } else { 0 }, length, offset));
            self.head = self.head.wrapping_add(1);
            self.room -= 1;
            if left == 0 {
                return;
            }
            flags = 0;
            offset = (offset + length) % map.buffer_len();
        }
    }

    fn publish(&mut self) {
        if self.published != self.head {
            self.map.announce(self.head);
            #[expect(clippy::cast_possible_truncation, reason = "what the ends tell each other has 16 bits")]
            self.map.head().store(self.head as u16, Ordering::Release);
            self.published = self.head;
            self.unkicked = true;
        }
    }
}

/// Copies a frame that [`is_short`] into slot `index`, which is free, with its descriptor.
#[inline]
fn put(map: Map, index: u32, ahead: usize, frame: &Frame<'_>) {
    debug_assert!(is_short(frame), "it fits one slot");
    let offset = map.start(index);
    map.claim(offset + ahead);
    // SAFETY: callers have seen that it fits one slot, and that the slot is free: there is room for `len` bytes that nobody else touches before they are published; the
    // frame lives in another port's memory, or in slots of this ring that its consumer still holds.
    unsafe { frame.copy_to(map.buffers.wrapping_add(offset)) };
    map.write(index, Desc::new(0, frame.len(), offset));
}

/// Whether a frame fits one slot and has no metadata.
#[inline]
const fn is_short(frame: &Frame<'_>) -> bool {
    // The metadata of most frames is never looked at in whole: copying it about shows.
    frame.len() <= ONE_SLOT && frame.offload().is_none()
}
