//! One split virtqueue, of which the guest is the driver and we are the device (virtio 1.2, 2.7).
//!
//! ```text
//!  descriptors: { address u64, length u32, flags u16, next u16 } * slots
//!  available:   flags u16, index u16, heads [u16; slots], used_event u16       written by the guest
//!  used:        flags u16, index u16, { head u32, length u32 } * slots, available_event u16   written by us
//! ```
//!
//! Chains are completed in the order in which they came, so that the used index, which is in the guest's memory, says
//! exactly what is done with: after a crash of ours, everything behind it is simply looked at again.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use super::memory::Memory;
use super::message::Addresses;

/// `VIRTQ_DESC_F_*`.
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// `VIRTQ_USED_F_NO_NOTIFY`, `VIRTQ_AVAIL_F_NO_INTERRUPT`.
const NOT_NOW: u16 = 1;

/// Most slots of a ring (virtio 1.2, 2.7).
pub(super) const MAX_SLOTS: u16 = 1 << 15;
/// Most descriptors of a chain, of which a super-frame in single pages takes 18 (`VIRTQUEUE_MAX_SIZE` of QEMU).
const MAX_CHAIN: u16 = 1024;

const DESCRIPTOR: usize = 16;
const INDEX: usize = 2;
const HEADS: usize = 4;
const USED: usize = 4;

/// What a guest did that no driver does. Its port is taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// More chains are available than the ring has slots.
    #[error("the available index runs ahead of the ring")]
    Index,
    /// A descriptor that is not in its table.
    #[error("a chain leads out of its table")]
    Table,
    /// A chain that is longer than a chain may be, or has no end.
    #[error("a chain has no end")]
    Endless,
    /// A buffer outside the shared memory, or across two regions.
    #[error("a buffer is outside the shared memory (is all guest memory shared? share=on)")]
    Address,
    /// A buffer to read where one to write belongs, or the other way round.
    #[error("a buffer of the wrong direction")]
    Direction,
    /// An indirect table that is empty, ragged, nested or was not agreed on.
    #[error("an indirect table makes no sense")]
    Indirect,
    /// A frame without room for its header, or longer than any frame; a buffer of no bytes.
    #[error("a frame is shorter than its header, or longer than 64 KiB, or a buffer is empty")]
    Length,
    /// Receive buffers so small that a frame takes hundreds.
    #[error("receive buffers are too small for frames")]
    Small,
}

/// Where a ring is and how it is used; made when the ring starts.
#[derive(Debug)]
pub(super) struct Queue {
    /// What the pointers point into.
    memory: Memory,
    descriptors: NonNull<u8>,
    available: NonNull<u8>,
    used: NonNull<u8>,
    slots: u16,
    indirect: bool,
    event_idx: bool,
    /// Chains taken off the available ring.
    next: AtomicU16,
    /// Chains put on the used ring, and of these, when the guest was last called, or wanted no call.
    done: AtomicU16,
    called: AtomicU16,
}

// SAFETY: the pointers go into memory that the queue holds; one half works on it at a time, and what the guest shares
// is only touched as the protocol says, by volatile or atomic accesses.
unsafe impl Send for Queue {}
// SAFETY: as above; our own state is atomic.
unsafe impl Sync for Queue {}

/// How a ring is to be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    /// `VIRTIO_RING_F_INDIRECT_DESC`.
    pub(super) indirect: bool,
    /// `VIRTIO_RING_F_EVENT_IDX`.
    pub(super) event_idx: bool,
}

impl Queue {
    /// A ring of `slots` slots (a power of two) whose parts are in `memory`; `None` if they are not all there, or not
    /// aligned.
    ///
    /// It goes on behind what is used, on either side, whatever the front-end says: chains are completed in the order in
    /// which they are taken, and a driver that comes back may not know how far that was (DPDK's virtio_user says 0).
    pub(super) fn new(memory: Memory, slots: u16, at: Addresses, agreed: Agreed) -> Option<Self> {
        if !slots.is_power_of_two() || slots > MAX_SLOTS {
            return None;
        }
        let n = usize::from(slots);
        let part = |address: u64, len: usize, align: usize| {
            memory.user(address, len).filter(|at| at.as_ptr().addr().is_multiple_of(align))
        };
        let descriptors = part(at.descriptors, n * DESCRIPTOR, 16)?;
        let available = part(at.available, HEADS + n * 2 + 2, 2)?;
        let used = part(at.used, USED + n * 8 + 2, 4)?;
        let queue = Self {
            memory,
            descriptors,
            available,
            used,
            slots,
            indirect: agreed.indirect,
            event_idx: agreed.event_idx,
            next: AtomicU16::new(0),
            done: AtomicU16::new(0),
            called: AtomicU16::new(0),
        };
        let used = queue.word(used, INDEX).load(Ordering::Relaxed);
        for mark in [&queue.next, &queue.done, &queue.called] {
            mark.store(used, Ordering::Relaxed);
        }
        Some(queue)
    }

    /// Chains done with on the available side, for a front-end that stops the ring.
    pub(super) fn base(&self) -> u16 {
        self.next.load(Ordering::Relaxed)
    }

    /// A 16-bit word of one of the rings, at this many bytes from its start.
    #[inline]
    fn word(&self, ring: NonNull<u8>, at: usize) -> &AtomicU16 {
        let at = ring.as_ptr().wrapping_add(at).cast();
        // SAFETY: callers stay within the ring, whose length and alignment `new` has checked, and whose memory lives as
        // long as `self`; the guest writes it too, so it is only ever accessed as an atomic.
        unsafe { AtomicU16::from_ptr(at) }
    }

    const fn slot(&self, index: u16) -> usize {
        (index & (self.slots - 1)) as usize
    }

    /// Chains that wait to be taken.
    #[inline]
    pub(super) fn waiting(&self) -> Result<u16, Broken> {
        let index = self.word(self.available, INDEX).load(Ordering::Acquire);
        let waiting = index.wrapping_sub(self.next.load(Ordering::Relaxed));
        if waiting > self.slots { Err(Broken::Index) } else { Ok(waiting) }
    }

    /// The `n`th chain that waits.
    #[inline]
    pub(super) fn chain(&self, n: u16, to: Direction) -> Result<Chain, Broken> {
        let index = self.next.load(Ordering::Relaxed).wrapping_add(n);
        let head = self.word(self.available, HEADS + 2 * self.slot(index)).load(Ordering::Relaxed);
        if head >= self.slots {
            return Err(Broken::Table);
        }
        let first = read(self.descriptors, head);
        let lone = if first.flags & (NEXT | INDIRECT) == 0 { Some(self.buffer(&first, to)?) } else { None };
        Ok(Chain { head, first, lone })
    }

    /// Where the buffer of a descriptor is.
    #[inline]
    fn buffer(&self, descriptor: &Descriptor, to: Direction) -> Result<NonNull<u8>, Broken> {
        if descriptor.flags & WRITE != to as u16 {
            return Err(Broken::Direction);
        }
        if descriptor.length == 0 {
            return Err(Broken::Length); // QEMU refuses it too: a chain of nothing is work without end
        }
        self.memory.guest(descriptor.address, descriptor.length).ok_or(Broken::Address)
    }

    /// Hands each buffer of a chain to `buffer`, until it says false. Every descriptor is read once.
    pub(super) fn walk(
        &self,
        chain: &Chain,
        to: Direction,
        mut buffer: impl FnMut(NonNull<u8>, u32) -> bool,
    ) -> Result<(), Broken> {
        if let Some(at) = chain.lone {
            buffer(at, chain.first.length);
            return Ok(());
        }
        let (mut table, mut slots, mut one) = (self.descriptors, self.slots, chain.first);
        let mut indirect = false;
        for _ in 0..MAX_CHAIN {
            // Descriptors of the ring's own may come before a table, which ends the chain (virtio 1.2, 2.7.5.3.2).
            if one.flags & INDIRECT != 0 && !indirect {
                (table, slots) = self.table(&one)?;
                (one, indirect) = (read(table, 0), true);
            }
            if one.flags & INDIRECT != 0 {
                return Err(Broken::Indirect);
            }
            if !buffer(self.buffer(&one, to)?, one.length) || one.flags & NEXT == 0 {
                return Ok(());
            }
            if one.next >= slots {
                return Err(Broken::Table);
            }
            one = read(table, one.next);
        }
        Err(Broken::Endless)
    }

    /// An indirect table, and the number of its descriptors.
    fn table(&self, descriptor: &Descriptor) -> Result<(NonNull<u8>, u16), Broken> {
        let Descriptor { address, length, flags, .. } = *descriptor;
        let slots = u16::try_from(length as usize / DESCRIPTOR).ok().filter(|n| (1..=MAX_SLOTS).contains(n));
        let sound = self.indirect && flags & NEXT == 0 && (length as usize).is_multiple_of(DESCRIPTOR);
        let slots = slots.filter(|_| sound).ok_or(Broken::Indirect)?;
        Ok((self.memory.guest(address, length).ok_or(Broken::Address)?, slots))
    }

    /// Writes the `n`th entry of the used ring that is not published yet: this chain, of which `written` bytes were
    /// written. May be said again, until it is published.
    ///
    /// Most entries say what they said a round ago, and are left alone: a line that was not written need not go back to
    /// the guest's core.
    #[inline]
    pub(super) fn complete(&self, n: u16, head: u16, written: u32) {
        let index = self.done.load(Ordering::Relaxed).wrapping_add(n);
        let at = self.used.as_ptr().wrapping_add(USED + 8 * self.slot(index)).cast::<[u32; 2]>();
        let entry = [u32::from(head), written];
        // SAFETY: within the used ring, aligned to four bytes, as `new` has checked.
        if unsafe { at.read_volatile() } != entry {
            // SAFETY: as above; the guest does not look at it before `publish`.
            unsafe { at.write_volatile(entry) };
        }
    }

    /// Gives the first `n` chains that waited back to the guest, whose entries were completed.
    #[inline]
    pub(super) fn publish(&self, n: u16) {
        let done = self.done.load(Ordering::Relaxed).wrapping_add(n);
        self.done.store(done, Ordering::Relaxed);
        self.next.store(self.next.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        self.word(self.used, INDEX).store(done, Ordering::Release);
    }

    /// Whether the guest wants to be called about what was published since the last time that this was asked. Says so once.
    pub(super) fn calls(&self) -> bool {
        let wanted = self.wants_call();
        self.called.store(self.done.load(Ordering::Relaxed), Ordering::Relaxed);
        wanted
    }

    /// The same, but says so again and again. What it does not want is settled: the indices go round.
    pub(super) fn wants_call(&self) -> bool {
        let done = self.done.load(Ordering::Relaxed);
        let wanted = self.wants_call_since(self.called.load(Ordering::Relaxed), done);
        if !wanted {
            self.called.store(done, Ordering::Relaxed);
        }
        wanted
    }

    /// The same of what was published between two indices (virtio 1.2, 2.7.7).
    fn wants_call_since(&self, before: u16, done: u16) -> bool {
        if done == before {
            return false;
        }
        fence(Ordering::SeqCst); // the guest writes what it wants and looks at the used index; we, the other way round
        if !self.event_idx {
            return self.word(self.available, 0).load(Ordering::Relaxed) & NOT_NOW == 0;
        }
        let event = self.word(self.available, HEADS + 2 * usize::from(self.slots)).load(Ordering::Relaxed);
        done.wrapping_sub(event).wrapping_sub(1) < done.wrapping_sub(before)
    }

    /// Asks for a kick with the next chain; says whether one waits already.
    pub(super) fn arm(&self) -> bool {
        if self.event_idx {
            let at = USED + 8 * usize::from(self.slots);
            self.word(self.used, at).store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
        } else {
            self.word(self.used, 0).store(0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst); // see `wants_call`: here we are the ones who go to sleep
        self.waiting() != Ok(0)
    }

    /// Wants no kicks: we look by ourselves.
    pub(super) fn disarm(&self) {
        if !self.event_idx {
            self.word(self.used, 0).store(NOT_NOW, Ordering::Relaxed);
        } // else the event index is left behind, and is not met again until the ring has gone round 2^16 times
    }
}

/// Whose buffers a ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Direction {
    /// The guest transmits: we are to read them.
    FromGuest = 0,
    /// The guest receives: we are to write them.
    ToGuest = WRITE,
}

/// One descriptor, as it was when it was read, once.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

/// A chain that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) head: u16,
    first: Descriptor,
    /// Where its buffer is, if it has only one and no table, as most have.
    lone: Option<NonNull<u8>>,
}

// SAFETY: an address, of the memory of the queue that it came from.
unsafe impl Send for Chain {}

impl Chain {
    /// The buffer of a chain that has only one.
    #[inline]
    pub(super) fn lone(&self) -> Option<(NonNull<u8>, u32)> {
        self.lone.map(|at| (at, self.first.length))
    }
}

/// Reads a descriptor: its address, and its length, flags and next in one word.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a word in its parts")]
fn read(table: NonNull<u8>, index: u16) -> Descriptor {
    /// An indirect table may stand on any address.
    #[repr(C, packed)]
    struct Words([u64; 2]);
    let at = table.as_ptr().wrapping_add(usize::from(index) * DESCRIPTOR).cast::<Words>();
    // SAFETY: callers have checked `index` against the length of the table, all of which is readable.
    let Words([address, rest]) = unsafe { at.read_volatile() };
    Descriptor { address, length: rest as u32, flags: (rest >> 32) as u16, next: (rest >> 48) as u16 }
}
