//! The four rings that a socket shares with the kernel, as one producer and one consumer.
//!
//! Both indices of a ring run freely and wrap at 2^32 (net/xdp/xsk_queue.h has the barriers that pair with the
//! ones here). What the kernel writes there is taken modulo the ring's size and believed no further than that.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::xdp::XdpRingOffset;

/// `XDP_RING_NEED_WAKEUP` (linux/if_xdp.h).
const NEED_WAKEUP: u32 = 1;

/// A ring's memory: two indices, flags, and a power of two of entries.
struct Shared<T> {
    base: NonNull<u8>,
    mapped: usize,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: Option<NonNull<AtomicU32>>,
    entries: NonNull<T>,
    size: u32,
}

impl<T: Copy> Shared<T> {
    /// Maps a ring of `size` entries, a power of two, which is what the kernel was asked for before. Offsets that
    /// lead out of such a ring are refused before anything is mapped.
    fn map(socket: BorrowedFd<'_>, page: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        let entries = aligned::<T>(at.desc)?;
        let len = (size as usize).checked_mul(size_of::<T>()).and_then(|len| len.checked_add(entries));
        let mapped = len.ok_or(io::Errno::OVERFLOW)?;
        let word = |o: u64| {
            let last = mapped.checked_sub(size_of::<AtomicU32>()).ok_or(io::Errno::FAULT)?;
            aligned::<AtomicU32>(o).and_then(|o| if o <= last { Ok(o) } else { Err(io::Errno::FAULT) })
        };
        let (producer, consumer, flags) =
            (word(at.producer)?, word(at.consumer)?, at.flags.map(word).transpose()?);
        let (prot, map_flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(std::ptr::null_mut(), mapped, prot, map_flags, socket, page) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::Errno::FAULT)?;
        // SAFETY: all four offsets lie within the mapping, as checked above.
        let place = |offset: usize| unsafe { base.add(offset) };
        Ok(Self {
            base,
            mapped,
            producer: place(producer).cast(),
            consumer: place(consumer).cast(),
            flags: flags.map(|flags| place(flags).cast()),
            entries: place(entries).cast(),
            size,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: mapped, aligned, and only ever accessed as an atomic.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    /// The entry of an index, which is taken modulo the size.
    fn entry(&self, index: u32) -> *mut T {
        self.entries.as_ptr().wrapping_add((index & (self.size - 1)) as usize)
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: mapped, aligned, and only ever accessed as an atomic.
        let flags = self.flags.map(|flags| unsafe { flags.as_ref() });
        flags.is_some_and(|flags| flags.load(Ordering::Relaxed) & NEED_WAKEUP != 0)
    }
}

/// An offset that is good for a `T`.
fn aligned<T>(offset: u64) -> io::Result<usize> {
    let offset = usize::try_from(offset).map_err(|_| io::Errno::OVERFLOW)?;
    if offset.is_multiple_of(align_of::<T>()) { Ok(offset) } else { Err(io::Errno::FAULT) }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped. A queue stays taken until its rings are unmapped.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

/// The end that fills a ring which the kernel drains: fill and transmit.
pub(super) struct Producer<T> {
    shared: Shared<T>,
    /// Entries filled, published or not.
    head: u32,
    /// Entries published.
    published: u32,
    /// The kernel's index as last seen.
    tail: u32,
}

// SAFETY: one end of a ring has one owner; the memory it shares is the kernel's and accessed by atomics.
unsafe impl<T: Send> Send for Producer<T> {}

impl<T: Copy> Producer<T> {
    /// Maps the ring at `page` of the socket. A fresh ring's indices are zero.
    pub(super) fn map(socket: BorrowedFd<'_>, page: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        Ok(Self { shared: Shared::map(socket, page, at, size)?, head: 0, published: 0, tail: 0 })
    }

    /// Queues one entry; says whether there was room.
    #[must_use]
    pub(super) fn push(&mut self, entry: T) -> bool {
        if self.free() == 0 {
            self.tail = self.shared.consumer().load(Ordering::Acquire);
            if self.free() == 0 {
                return false;
            }
        }
        // SAFETY: in bounds by construction of `entry`, and ours until published.
        unsafe { self.shared.entry(self.head).write(entry) };
        self.head = self.head.wrapping_add(1);
        true
    }

    fn free(&self) -> u32 {
        // An index that says more was drained than filled makes the ring look full, not larger.
        self.shared.size.saturating_sub(self.head.wrapping_sub(self.tail))
    }

    /// Shows the kernel what was queued.
    pub(super) fn publish(&mut self) {
        if self.published != self.head {
            self.shared.producer().store(self.head, Ordering::Release);
            self.published = self.head;
        }
    }

    /// Entries queued that the kernel does not see yet.
    pub(super) const fn unpublished(&self) -> u32 {
        self.head.wrapping_sub(self.published)
    }

    /// Entries published that the kernel has not taken yet.
    pub(super) fn pending(&self) -> u32 {
        let taken = self.shared.consumer().load(Ordering::Acquire);
        self.published.wrapping_sub(taken).min(self.shared.size)
    }

    /// Whether the kernel sleeps on this ring until a system call.
    pub(super) fn needs_wakeup(&self) -> bool {
        self.shared.needs_wakeup()
    }
}

/// The end that drains a ring which the kernel fills: receive and completion.
pub(super) struct Consumer<T> {
    shared: Shared<T>,
    /// Entries taken, given back or not.
    tail: u32,
    /// Entries given back.
    released: u32,
    /// The kernel's index as last seen.
    head: u32,
}

// SAFETY: as for the producer.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T: Copy> Consumer<T> {
    /// Maps the ring at `page` of the socket. A fresh ring's indices are zero.
    pub(super) fn map(socket: BorrowedFd<'_>, page: u64, at: &XdpRingOffset, size: u32) -> io::Result<Self> {
        Ok(Self { shared: Shared::map(socket, page, at, size)?, tail: 0, released: 0, head: 0 })
    }

    /// Takes the oldest entry.
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.head == self.tail {
            let head = self.shared.producer().load(Ordering::Acquire);
            // An index that says more was filled than fits is believed only so far.
            self.head = self.tail.wrapping_add(head.wrapping_sub(self.tail).min(self.shared.size));
            if self.head == self.tail {
                return None;
            }
        }
        // SAFETY: in bounds by construction of `entry`; published, so the kernel leaves it alone.
        let entry = unsafe { self.shared.entry(self.tail).read() };
        self.tail = self.tail.wrapping_add(1);
        Some(entry)
    }

    /// Whether there is an entry to take.
    pub(super) fn is_waiting(&self) -> bool {
        self.shared.producer().load(Ordering::Acquire) != self.tail
    }

    /// Gives the kernel the room of what was taken.
    pub(super) fn release(&mut self) {
        if self.released != self.tail {
            self.shared.consumer().store(self.tail, Ordering::Release);
            self.released = self.tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::os::fd::{AsFd, OwnedFd};

    use proptest::prelude::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    const AT: XdpRingOffset = XdpRingOffset { producer: 0, consumer: 64, desc: 128, flags: Some(72) };

    /// Both ends of one ring, with the kernel's part played by the other end. Indices start at `start`.
    fn pair(size: u32, start: u32) -> (Producer<u64>, Consumer<u64>) {
        let memory: OwnedFd = memfd_create("ring", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, 128 + u64::from(size) * 8).unwrap();
        let mut producer = Producer::map(memory.as_fd(), 0, &AT, size).unwrap();
        let mut consumer = Consumer::map(memory.as_fd(), 0, &AT, size).unwrap();
        producer.shared.producer().store(start, Ordering::Relaxed);
        producer.shared.consumer().store(start, Ordering::Relaxed);
        (producer.head, producer.published, producer.tail) = (start, start, start);
        (consumer.head, consumer.released, consumer.tail) = (start, start, start);
        (producer, consumer)
    }

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Push(u64),
        Publish,
        Pop,
        Release,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => any::<u64>().prop_map(Op::Push),
            1 => Just(Op::Publish),
            3 => Just(Op::Pop),
            1 => Just(Op::Release),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_queue(ops in proptest::collection::vec(op(), 0..300), start in prop_oneof![Just(0), Just(u32::MAX - 5)]) {
            const SIZE: usize = 8;
            let (mut producer, mut consumer) = pair(8, start);
            let (mut queued, mut visible, mut taken) = (VecDeque::new(), VecDeque::new(), 0usize);
            for op in ops {
                match op {
                    Op::Push(entry) => {
                        let room = queued.len() + visible.len() + taken < SIZE;
                        prop_assert_eq!(producer.push(entry), room);
                        if room {
                            queued.push_back(entry);
                        }
                    }
                    Op::Publish => {
                        producer.publish();
                        visible.append(&mut queued);
                    }
                    Op::Pop => {
                        prop_assert_eq!(consumer.is_waiting(), !visible.is_empty());
                        let entry = consumer.pop();
                        prop_assert_eq!(entry, visible.pop_front());
                        taken += usize::from(entry.is_some());
                    }
                    Op::Release => {
                        consumer.release();
                        taken = 0;
                    }
                }
                prop_assert_eq!(producer.pending() as usize, visible.len() + taken);
            }
        }
    }

    #[test]
    fn a_lying_kernel_neither_grows_a_ring_nor_overruns_it() {
        let (mut producer, mut consumer) = pair(4, 0);
        producer.shared.consumer().store(77, Ordering::Relaxed);
        assert!((0..4).all(|entry| producer.push(entry)));
        assert!(!producer.push(4), "77 entries drained of 4 filled");
        assert!(producer.pending() <= 4);
        consumer.shared.producer().store(1000, Ordering::Relaxed);
        assert_eq!(std::iter::from_fn(|| consumer.pop()).take(4).count(), 4);
    }

    #[test]
    fn offsets_that_lie_outside_are_refused_and_nothing_stays_mapped() {
        let memory: OwnedFd = memfd_create("lying-offsets", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, 4096).unwrap();
        let end = 128 + 8 * 8;
        for at in [
            XdpRingOffset { producer: end - 3, ..AT },
            XdpRingOffset { consumer: 66, ..AT },
            XdpRingOffset { producer: u64::MAX - 3, ..AT },
            XdpRingOffset { flags: Some(end), ..AT },
            XdpRingOffset { desc: 132, ..AT },
            XdpRingOffset { desc: u64::MAX - 63, ..AT },
            XdpRingOffset { desc: 1 << 63, ..AT },
        ] {
            assert!(Producer::<u64>::map(memory.as_fd(), 0, &at, 8).is_err(), "{at:?}");
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains("lying-offsets"), "a mapping is left");
    }

    #[test]
    fn the_wakeup_flag_is_seen() {
        let (producer, _consumer) = pair(4, 0);
        assert!(!producer.needs_wakeup());
        // SAFETY: the flags word of the test's own ring.
        unsafe { producer.shared.flags.unwrap().as_ref() }.store(NEED_WAKEUP, Ordering::Relaxed);
        assert!(producer.needs_wakeup());
    }
}
