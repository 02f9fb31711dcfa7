//! The end of a ring that drains slots.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::layout::{MASK_INT, MAX_FRAME, NEXT, OFFLOAD};
use super::shared::{Map, Shared};
use crate::{BURST, Burst, Frame, Offload};

/// Reads slots and gives them back. One per ring.
#[repr(align(128))] // the other half of the port, on another core, is to share no line with it
pub struct Consumer {
    shared: Arc<Shared>,
    map: Map,
    /// Slots given back.
    tail: u32,
    /// Frames of the last burst.
    frames: usize,
    /// Of those, the first ones that have one slot each.
    leading: usize,
    /// For each of the others, the index after its last slot.
    ends: [u32; BURST],
    /// Asks for what is in the frames.
    eager: bool,
    /// Where a frame that comes alone is expected next, as one came there last; zero if none did.
    expected: usize,
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let map = shared.map();
        Self { shared, map, tail: 0, frames: 0, leading: 0, ends: [0; BURST], eager: false, expected: 0 }
    }

    /// For who looks at every frame: the processor is asked for the first line of each as it is handed out. Who merely counts
    /// them has no use for what another core just wrote, and is to write again.
    pub(crate) const fn eager(mut self) -> Self {
        self.eager = true;
        self
    }

    /// Appends waiting frames to `burst`. Chains of descriptors that make no sense are passed over; their
    /// number is returned. Each is counted once: the burst ends before one that follows good frames, which
    /// comes first, and is given back at once, when those have been released.
    #[inline]
    pub fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) -> u64 {
        if self.expected != 0 {
            self.map.await_at(self.expected);
        }
        match self.waiting() {
            0 => {
                self.frames = 0;
                0
            }
            waiting => self.receive_waiting(waiting, burst),
        }
    }

    /// As [`Self::receive`], from a ring that has frames.
    #[inline(never)]
    fn receive_waiting<'a>(&'a mut self, waiting: u16, burst: &mut Burst<'a>) -> u64 {
        let map = self.map;
        if waiting == 1
            && let Some((offset, len)) = map.newest(self.tail)
            && let Some(frame) = view(map, offset, len, Offload::NONE)
            && burst.try_push(frame).is_ok()
        {
            (self.frames, self.leading) = (1, 1);
            self.expected = map.after(offset);
            return 0;
        }
        self.expected = 0;
        // A producer that claims more than the ring holds is believed only so far.
        let head = self.tail.wrapping_add(waiting.min(map.slots()).into());
        let before = burst.len();
        let mut next = self.tail;
        self.leading = receive_plain(map, &mut next, head, burst, self.eager);
        let broken = if next == head { 0 } else { self.receive_rest(map, next, head, burst, before) };
        self.frames = burst.len() - before;
        broken
    }

    /// As [`Self::receive`], from the first chain on.
    #[inline(never)]
    fn receive_rest<'a>(
        &mut self,
        map: Map,
        mut next: u32,
        head: u32,
        burst: &mut Burst<'a>,
        before: usize,
    ) -> u64 {
        let mut broken = 0;
        while next != head && !burst.is_full() {
            let (frame, end) = chain(map, next, head);
            next = end;
            let mut received = burst.len() - before;
            if let Some(frame) = frame {
                self.ends[received] = end;
                burst.push(frame);
                received += 1;
            } else if received == 0 {
                broken += 1;
                self.give_back(end);
            } else {
                break;
            }
            let plain = receive_plain(map, &mut next, head, burst, self.eager);
            for (its_end, one) in self.ends[received..][..plain].iter_mut().zip(1..) {
                *its_end = end.wrapping_add(one);
            }
        }
        broken
    }

    /// Gives the oldest `n` frames of the last burst back.
    pub fn release(&mut self, n: usize) {
        let n = n.min(std::mem::take(&mut self.frames));
        if n > 0 {
            #[expect(clippy::cast_possible_truncation, reason = "at most BURST")]
            let leading = self.tail.wrapping_add(n as u32);
            self.give_back(if n <= self.leading { leading } else { self.ends[n - 1] });
        }
    }

    /// Gives back all slots before `end`.
    fn give_back(&mut self, end: u32) {
        self.tail = end;
        #[expect(clippy::cast_possible_truncation, reason = "what the ends tell each other has 16 bits")]
        self.map.tail().store(end as u16, Ordering::Release);
    }

    /// Slots that the producer claims to have filled.
    #[expect(clippy::cast_possible_truncation, reason = "as above")]
    fn waiting(&self) -> u16 {
        self.map.head().load(Ordering::Acquire).wrapping_sub(self.tail as u16)
    }

    /// Slots that the producer can fill.
    #[must_use]
    pub fn room(&self) -> u16 {
        self.map.slots().saturating_sub(self.waiting())
    }

    /// The descriptor that becomes readable when frames arrive while armed.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.wake()
    }

    /// Asks to be woken; says whether frames wait already.
    pub fn arm(&mut self) -> bool {
        self.map.header().flags.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst); // see Producer::flush
        self.waiting() != 0
    }

    /// Polls again: no wake-ups wanted.
    pub fn disarm(&mut self) {
        self.map.header().flags.store(MASK_INT, Ordering::Relaxed);
        let mut count = [0; 8];
        let _ = rustix::io::read(self.shared.wake(), &mut count); // EAGAIN: nobody had kicked
    }
}

/// Appends the frames without metadata, each in one slot, from slot `next` up to `head` or the first of another kind,
/// which `next` is then. Says how many.
#[inline]
fn receive_plain(map: Map, next: &mut u32, head: u32, burst: &mut Burst<'_>, eager: bool) -> usize {
    let (first, before) = (*next, burst.len());
    #[expect(clippy::cast_possible_truncation, reason = "at most BURST")]
    let most = head.wrapping_sub(first).min(burst.remaining_capacity() as u32);
    burst.extend((0..most).map_while(|i| {
        let desc = map.read(first.wrapping_add(i));
        let frame = view(map, desc.offset(), desc.plain_len()?, Offload::NONE)?;
        if eager {
            frame.prefetch();
        }
        Some(frame)
    }));
    let plain = burst.len() - before;
    #[expect(clippy::cast_possible_truncation, reason = "at most `most`")]
    let end = first.wrapping_add(plain as u32);
    *next = end;
    plain
}

/// The frame of whatever kind that starts in slot `index`, if its descriptors make sense, and the slot after it.
/// Each descriptor is read once.
#[inline(never)]
fn chain<'a>(map: Map, index: u32, head: u32) -> (Option<Frame<'a>>, u32) {
    let first = map.read(index);
    let (offset, mut len) = (first.offset(), first.len());
    let (mut flags, mut end, mut whole) = (first.flags(), index.wrapping_add(1), true);
    while flags & NEXT != 0 && end != head {
        let desc = map.read(end);
        whole &= desc.offset() == (offset + len) % map.buffer_len();
        len = len.saturating_add(desc.len());
        flags = desc.flags();
        end = end.wrapping_add(1);
    }
    if !whole || flags & NEXT != 0 {
        return (None, end);
    }
    let mut offload = Offload::NONE;
    if first.flags() & OFFLOAD != 0 && (Offload::LEN..map.buffer_len()).contains(&offset) {
        let at = map.buffers.wrapping_add(offset - Offload::LEN);
        // SAFETY: the header lies within the buffers, checked above.
        offload = Offload::from_bytes(unsafe { at.cast::<[u8; Offload::LEN]>().read() });
    }
    (view(map, offset, len, offload), end)
}

/// The frame of these bytes, if they lie where a frame may.
#[inline]
fn view<'a>(map: Map, offset: usize, len: usize, offload: Offload) -> Option<Frame<'a>> {
    // Not longer than the region either: see MAX_FRAME.
    if !(Offload::LEN..map.buffer_len()).contains(&offset) || len > MAX_FRAME {
        return None;
    }
    let at = map.buffers.wrapping_add(offset);
    #[expect(clippy::cast_possible_truncation, reason = "checked against MAX_FRAME")]
    let len = len as u32;
    // SAFETY: offset and length were checked against the region, which is mapped twice over; the slots are the
    // consumer's until they are given back, which takes its `&mut self`, and `receive` ties `'a` to that.
    Some(unsafe { Frame::from_raw(at, len, offload) })
}

#[cfg(test)]
mod tests {
    use crate::ring::{MIN_SLOTS, ring};
    use crate::{Burst, Frame};

    /// But when the ring starts over: its first buffer is as good a guess as none then.
    #[test]
    fn where_a_lone_frame_lands_is_foretold() {
        let (mut producer, mut consumer) = ring("r", MIN_SLOTS).unwrap();
        let buffers = consumer.map.buffers.cast_const();
        let mut foretold = 0;
        for _ in 0..160 {
            let expected = consumer.expected;
            producer.transmit(&[Frame::new(&[0; 60])]);
            let mut burst = Burst::new();
            consumer.receive(&mut burst);
            let at = burst[0].bytes().unwrap().as_ptr();
            foretold += usize::from(at == buffers.wrapping_add(expected));
            drop(burst);
            consumer.release(1);
        }
        assert!(foretold >= 120, "{foretold}");
    }

    #[test]
    fn after_a_burst_nothing_is_expected() {
        let (mut producer, mut consumer) = ring("r", MIN_SLOTS).unwrap();
        for frames in [1, 2, 0] {
            producer.transmit(&vec![Frame::new(&[0; 60]); frames]);
            let mut burst = Burst::new();
            consumer.receive(&mut burst);
            assert_eq!(burst.len(), frames);
            drop(burst);
            consumer.release(frames);
            assert_eq!(consumer.expected != 0, frames == 1);
        }
    }
}
