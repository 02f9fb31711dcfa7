//! Frames out of a descriptor.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Descriptor, MESSAGE, Message};
use crate::{BURST, Burst, Capabilities, Counters, End, Frame, Offload, Reason, Rx};

/// Bytes for the frames of one burst: a full burst of wire frames, or seven of the longest super-frames. Twice
/// that no longer fits the second-level cache beside the kernel's own copies: 8 % more time a super-frame, TAP
/// to TAP, on a Zen 5.
const ARENA: usize = 1 << 19;
/// Bytes that a wire frame takes there at most.
const WIRE: usize = (1518 + Offload::LEN).next_multiple_of(LINE);
const _: () = assert!(ARENA >= BURST * WIRE + MESSAGE);
/// Frames start on a cache line.
const LINE: usize = 64;
/// Bytes of a VLAN tag.
const TAG: usize = 4;
/// Receives after which the kernel is asked for its drops, if the port never rests.
const ASK: u32 = 1024;

/// Where a received frame is.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    len: usize,
    offload: Offload,
}

/// Frames read from a descriptor, one behind the other in one piece of memory.
///
/// Whenever all have been released it starts at the front again: in a port that is kept up with, the few
/// frames of a burst always land in the same few warm cache lines. What is not released stays where it is, and
/// what follows goes behind it while there is room.
pub(crate) struct DescriptorRx<D> {
    descriptor: Arc<D>,
    counters: Arc<Counters>,
    arena: Vec<u8>,
    /// Where the next message is read to.
    next: usize,
    places: ArrayVec<Place, BURST>,
    /// How many of `places` have been released.
    released: usize,
    /// So many frames came at a time that the kernel may have dropped some before.
    suspect: bool,
    receives: u32,
    gone: bool,
}

impl<D: Descriptor> DescriptorRx<D> {
    pub(super) fn new(descriptor: Arc<D>, counters: Arc<Counters>) -> Self {
        Self {
            descriptor,
            counters,
            arena: vec![0; ARENA],
            next: LINE - Offload::LEN,
            places: ArrayVec::new(),
            released: 0,
            suspect: false,
            receives: 0,
            gone: false,
        }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.arena.len() as u64
    }

    /// Reads until `limit` frames are waiting, or there are no more, or no more fit.
    fn refill(&mut self, limit: usize) {
        if self.released == self.places.len() {
            self.places.clear();
            self.released = 0;
            self.next = LINE - Offload::LEN;
        }
        let before = self.places.len();
        // A pass reads no more often than a burst has frames: of those it drops there may be more for ever.
        for _ in 0..BURST {
            if self.places.len() - self.released >= limit || self.places.is_full() {
                break;
            }
            let Some(message) = self.arena.get_mut(self.next..self.next + MESSAGE) else { break };
            match self.descriptor.read(message) {
                Ok(read) => self.place(read),
                // The header has no words for the frame's metadata (a super-frame of SCTP): this very read drops
                // it, and the kernel does not count it (packet_recvmsg in af_packet.c, tun_do_read in tun.c).
                Err(Errno::INVAL) => self.counters.add_drops(Reason::Kernel, 1),
                Err(error) => {
                    // The device is no more (tun.c), and its descriptor would wake the worker for ever.
                    self.gone = matches!(error, Errno::BADFD | Errno::FAULT);
                    break;
                }
            }
        }
        self.suspect |= self.places.len() - before >= D::QUEUE;
    }

    /// Takes in the message that was just read to `next`.
    fn place(&mut self, read: Message) {
        let (header, Some(len)) = (self.next, read.len.checked_sub(Offload::LEN)) else {
            self.counters.add_rx(1, 0);
            return self.counters.add_drops(Reason::Error, 1);
        };
        if len > Capabilities::MAX_SUPER_FRAME as usize {
            self.counters.add_rx(1, len as u64);
            return self.counters.add_drops(Reason::Oversize, 1);
        }
        let Some(message) = self.arena.get_mut(header..header + MESSAGE) else { return };
        let mut bytes = [0; Offload::LEN];
        bytes.copy_from_slice(&message[..Offload::LEN]);
        let untagged = Place { start: header + Offload::LEN, len, offload: Offload::from_bytes(bytes) };
        let place = read.tag.map_or(untagged, |tag| untagged.with_tag(message, tag));
        self.places.push(place);
        self.next = (untagged.start + len + Offload::LEN).next_multiple_of(LINE) - Offload::LEN;
    }

    fn count_dropped(&mut self) {
        if std::mem::take(&mut self.suspect) {
            self.counters.add_drops(Reason::Kernel, self.descriptor.dropped());
        }
    }
}

impl Place {
    /// Puts a VLAN tag back behind the stations. They move down into the offload header, which has been read.
    fn with_tag(self, message: &mut [u8], tag: [u8; TAG]) -> Self {
        let (from, to) = (Offload::LEN, Offload::LEN - TAG);
        message.copy_within(from..from + 12, to);
        message[to + 12..to + 12 + TAG].copy_from_slice(&tag);
        let mut offload = self.offload;
        if offload.needs_csum() {
            offload.csum_start = offload.csum_start.saturating_add(TAG as u16);
        }
        if offload.hdr_len != 0 {
            offload.hdr_len = offload.hdr_len.saturating_add(TAG as u16);
        }
        Self { start: self.start - TAG, len: self.len + TAG, offload }
    }
}

impl<D: Descriptor> Rx for DescriptorRx<D> {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let room = burst.remaining_capacity();
        self.refill(room);
        self.receives = self.receives.wrapping_add(1);
        if self.receives.is_multiple_of(ASK) {
            self.count_dropped();
        }
        let arena = self.arena.as_slice();
        let waiting = self.places.iter().skip(self.released).take(room);
        burst.extend(waiting.map(|p| Frame::with_offload(&arena[p.start..p.start + p.len], p.offload)));
    }

    fn release(&mut self, n: usize) {
        self.released = self.places.len().min(self.released + n);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.gone { None } else { Some(self.descriptor.as_fd()) }
    }

    /// The descriptor is readable while frames wait: there is nothing to switch on. The kernel's drops are
    /// counted here, before a rest.
    fn arm(&mut self) -> bool {
        self.count_dropped();
        if self.released < self.places.len() {
            return true;
        }
        let mut waiting = [PollFd::new(&*self.descriptor, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        !self.gone && poll(&mut waiting, Some(&now)) == Ok(1)
    }

    fn end(&self) -> Option<End<'_>> {
        self.gone.then_some(End::Broken("the interface is gone"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    /// A descriptor whose `n`th read gives what `answer` says.
    struct Scripted {
        fd: OwnedFd,
        answer: fn(usize) -> Result<usize, Errno>,
        reads: AtomicUsize,
    }

    impl AsFd for Scripted {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }
    }

    impl Descriptor for Scripted {
        const QUEUE: usize = 32;

        fn read(&self, into: &mut [u8]) -> Result<Message, Errno> {
            let len = (self.answer)(self.reads.fetch_add(1, Ordering::Relaxed))?;
            into.iter_mut().take(len).for_each(|byte| *byte = 0);
            Ok(Message { len, tag: None })
        }

        fn dropped(&self) -> u64 {
            0
        }
    }

    fn rx(answer: fn(usize) -> Result<usize, Errno>) -> DescriptorRx<Scripted> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let scripted = Scripted { fd, answer, reads: AtomicUsize::new(0) };
        DescriptorRx::new(Arc::new(scripted), Arc::default())
    }

    /// What the header has no words for, the kernel drops in the very read that fails, and does not count.
    #[test]
    fn frames_that_a_failed_read_drops_are_counted() {
        let mut rx = rx(|n| match n {
            0 | 2 => Err(Errno::INVAL),
            1 | 3 => Ok(Offload::LEN + 60),
            _ => Err(Errno::AGAIN),
        });
        let mut received = 0;
        for _ in 0..4 {
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            let all = burst.len();
            drop(burst);
            rx.release(all);
            received += all;
        }
        assert_eq!((received, rx.counters.read().dropped(Reason::Kernel)), (2, 2));
    }

    /// Of frames that are all dropped, there may be more to read for ever.
    #[test]
    fn a_flood_of_useless_frames_does_not_hold_up_the_worker() {
        const MOST: usize = 100 * BURST;
        for useless in [
            |n| if n < MOST { Ok(MESSAGE) } else { Err(Errno::AGAIN) },
            |n| {
                if n < MOST { Ok(0) } else { Err(Errno::AGAIN) }
            },
        ] {
            let mut rx = rx(useless);
            rx.receive(&mut Burst::new());
            let reads = rx.descriptor.reads.load(Ordering::Relaxed);
            assert!((1..=2 * BURST).contains(&reads), "{reads} reads in one pass");
            assert_eq!(rx.counters.read().drops(), reads as u64);
        }
    }
}
