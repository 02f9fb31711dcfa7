//! The end of a ring that drains slots.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::layout::{MASK_INT, MAX_FRAME, NEXT, OFFLOAD};
use super::shared::{Map, Shared};
use crate::{BURST, Burst, Frame, Offload};

/// Reads slots and gives them back. One per ring.
pub struct Consumer {
    shared: Arc<Shared>,
    /// Slots given back.
    tail: u16,
    /// For each frame of the last burst, the index after its last slot.
    ends: [u16; BURST],
    /// Frames of the last burst.
    frames: usize,
}

impl Consumer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tail: 0, ends: [0; BURST], frames: 0 }
    }

    /// Appends waiting frames to `burst`. Chains of descriptors that make no sense are passed over; their
    /// number is returned. Each is counted once: the burst ends before one that follows good frames, which
    /// comes first, and is given back at once, when those have been released.
    pub fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) -> u64 {
        let map = self.shared.map();
        // A producer that claims more than the ring holds is believed only so far.
        let claimed = self.shared.head().load(Ordering::Acquire).wrapping_sub(self.tail);
        let head = self.tail.wrapping_add(claimed.min(self.shared.slots()));
        let before = burst.len();
        let mut ends = self.ends.iter_mut();
        let (mut next, mut broken) = (self.tail, 0);
        loop {
            let plain = std::iter::from_fn(|| {
                let frame = if next == head { None } else { plain(map, next) }?;
                next = next.wrapping_add(1);
                *ends.next()? = next;
                frame.prefetch();
                Some(frame)
            });
            burst.extend(plain.take(BURST - burst.len()));
            if next == head || burst.is_full() {
                break;
            }
            let (frame, end) = chain(map, next, head);
            next = end;
            if let Some(frame) = frame {
                let Some(its_end) = ends.next() else { break };
                *its_end = end;
                burst.push(frame);
            } else if burst.len() == before {
                broken += 1;
                self.tail = end;
                self.shared.tail().store(end, Ordering::Release);
            } else {
                break;
            }
        }
        self.frames = burst.len() - before;
        broken
    }

    /// Gives the oldest `n` frames of the last burst back.
    pub fn release(&mut self, n: usize) {
        let frames = std::mem::take(&mut self.frames);
        if let Some(end) = n.min(frames).checked_sub(1).and_then(|last| self.ends.get(last)) {
            self.tail = *end;
            self.shared.tail().store(self.tail, Ordering::Release);
        }
    }

    /// Slots that the producer can fill.
    #[must_use]
    pub fn room(&self) -> u16 {
        let claimed = self.shared.head().load(Ordering::Acquire).wrapping_sub(self.tail);
        self.shared.slots().saturating_sub(claimed)
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

/// The frame in slot `index`, if it is one without metadata, in that slot alone, and its descriptor makes sense.
#[inline]
fn plain<'a>(map: Map, index: u16) -> Option<Frame<'a>> {
    // SAFETY: in bounds by construction of `desc`; published, so the producer leaves it alone.
    let desc = unsafe { map.desc(index).read() };
    if desc.flags & (NEXT | OFFLOAD) != 0 {
        return None;
    }
    view(map, desc.offset as usize, desc.length as usize, Offload::NONE)
}

/// The frame of whatever kind that starts in slot `index`, if its descriptors make sense, and the slot after it.
/// Each descriptor is read once.
#[inline(never)]
fn chain<'a>(map: Map, index: u16, head: u16) -> (Option<Frame<'a>>, u16) {
    // SAFETY: as in `plain`.
    let first = unsafe { map.desc(index).read() };
    let (offset, mut len) = (first.offset as usize, first.length as usize);
    let (mut flags, mut end, mut whole) = (first.flags, index.wrapping_add(1), true);
    while flags & NEXT != 0 && end != head {
        // SAFETY: as in `plain`.
        let desc = unsafe { map.desc(end).read() };
        whole &= desc.offset as usize == (offset + len) % map.buffer_len();
        len = len.saturating_add(desc.length as usize);
        flags = desc.flags;
        end = end.wrapping_add(1);
    }
    if !whole || flags & NEXT != 0 {
        return (None, end);
    }
    let mut offload = Offload::NONE;
    if first.flags & OFFLOAD != 0 && (Offload::LEN..map.buffer_len()).contains(&offset) {
        let at = map.buffers.wrapping_add(offset - Offload::LEN);
        // SAFETY: the header lies within the buffers, checked above.
        offload = Offload::from_bytes(unsafe { at.cast::<[u8; Offload::LEN]>().read() });
    }
    (view(map, offset, len, offload), end)
}

/// The frame of these bytes, if they lie where a frame may.
#[inline]
fn view<'a>(map: Map, offset: usize, len: usize, offload: Offload) -> Option<Frame<'a>> {
    let inside = (Offload::LEN..map.buffer_len()).contains(&offset) && len <= map.buffer_len();
    if !inside || len > MAX_FRAME {
        return None;
    }
    let at = map.buffers.wrapping_add(offset);
    #[expect(clippy::cast_possible_truncation, reason = "checked against MAX_FRAME")]
    let len = len as u32;
    // SAFETY: offset and length were checked against the region, which is mapped twice over; the slots are the
    // consumer's until they are given back, which takes its `&mut self`, and `receive` ties `'a` to that.
    Some(unsafe { Frame::from_raw(at, len, offload) })
}
