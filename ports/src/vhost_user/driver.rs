//! A driver of a virtio network device, for tests: the guest's side of a vhost-user port, in this process.

mod requests;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::{EVENT_IDX, GUEST_TSO4, GUEST_TSO6, GUEST_USO4, HEADER, INDIRECT_DESC, MRG_RXBUF};
use crate::Offload;
use crate::contract::Far;
use crate::peer::Memory;

/// How the driver goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Features to agree on, of those offered.
    pub features: u64,
    /// Puts the header into a buffer of its own, and frames into several.
    pub scatter: bool,
}

impl Style {
    /// All features, frames in one buffer.
    pub const PLAIN: Self = Self { features: u64::MAX, scatter: false };
    /// All features, frames in pieces.
    pub const SCATTERED: Self = Self { features: u64::MAX, scatter: true };
    /// As old drivers do: no merging of buffers and so no super-frames, no indirect tables, no event index.
    pub const OLD: Self = Self {
        features: !(MRG_RXBUF | INDIRECT_DESC | EVENT_IDX | GUEST_TSO4 | GUEST_TSO6 | GUEST_USO4),
        scatter: true,
    };
}

const SLOTS: u16 = 256;
/// Where everything is in guest memory: rings first, then the buffers of either direction.
const RING: usize = 0x1_0000;
const AVAILABLE: usize = 0x4000;
const USED: usize = 0x8000;
const BUFFERS: usize = 0x4_0000;
const BUFFER: usize = 2048;
const MEMORY: usize = BUFFERS + 2 * SLOTS as usize * BUFFER;
/// What the driver calls its memory: to itself, and to its device.
const USER: u64 = 0x7fff_0000_0000;
const GUEST: u64 = 0x10_0000;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// A driver with its memory and its two rings.
pub struct Driver {
    socket: UnixStream,
    style: Style,
    /// What was agreed on.
    pub features: u64,
    memory: Memory,
    file: OwnedFd,
    kicks: [OwnedFd; 2],
    calls: [OwnedFd; 2],
    /// Of either ring: chains made available, and chains seen used.
    available: [u16; 2],
    seen: [u16; 2],
    /// Transmit descriptors that are free.
    free: VecDeque<u16>,
    /// For each head of the transmit ring, how many descriptors its chain has.
    lengths: [u16; SLOTS as usize],
}

/// Ring numbers.
const RX: usize = 0;
const TX: usize = 1;

impl Driver {
    /// Connects to a port and starts both rings, in QEMU's order of requests.
    ///
    /// # Panics
    /// If the port does not do its part.
    #[must_use]
    pub fn connect(path: &Path, style: Style) -> Self {
        Self::start(UnixStream::connect(path).expect("connect to the port"), style)
    }

    /// Bytes of the guest's memory.
    #[must_use]
    pub const fn memory_bytes(&self) -> u64 {
        MEMORY as u64
    }

    /// The same on a socket that is connected already.
    ///
    /// # Panics
    /// If the port does not do its part.
    #[must_use]
    pub fn start(socket: UnixStream, style: Style) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let file = memfd_create("guest", MemfdFlags::CLOEXEC).expect("memfd");
        ftruncate(&file, MEMORY as u64).expect("ftruncate");
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
        let mut driver = Self {
            socket,
            style,
            features: 0,
            memory: Memory::map(&file),
            kicks: [event(), event()],
            calls: [event(), event()],
            available: [0; 2],
            seen: [0; 2],
            free: (0..SLOTS).collect(),
            lengths: [0; SLOTS as usize],
            file,
        };
        driver.introduce();
        for slot in 0..SLOTS {
            driver.describe(RX, slot, Self::buffer(RX, slot), BUFFER, WRITE);
            driver.make_available(RX, slot);
        }
        driver.confirm();
        driver
    }

    const fn buffer(ring: usize, slot: u16) -> usize {
        BUFFERS + (ring * SLOTS as usize + slot as usize) * BUFFER
    }

    /// Writes a descriptor, lies included: `at` is an offset into guest memory.
    pub fn describe(&self, ring: usize, slot: u16, at: usize, len: usize, flags: u16) {
        self.describe_raw(ring, slot, [GUEST + at as u64, len as u64 | u64::from(flags) << 32]);
    }

    /// Writes the two words of a descriptor as they are; the next of a chain is the next slot.
    pub fn describe_raw(&self, ring: usize, slot: u16, [address, rest]: [u64; 2]) {
        let next = u64::from((slot + 1) % SLOTS) << 48;
        let words = [address, rest & 0xffff_ffff_ffff | next].map(u64::to_le_bytes);
        self.memory.put(ring * RING + 16 * usize::from(slot % SLOTS), words.as_flattened());
    }

    /// Makes a chain available.
    pub fn make_available(&mut self, ring: usize, head: u16) {
        let index = self.available[ring];
        let at = ring * RING + AVAILABLE;
        self.memory.word(at + 4 + 2 * usize::from(index % SLOTS)).store(head, Ordering::Relaxed);
        self.available[ring] = index.wrapping_add(1);
        self.memory.word(at + 2).store(self.available[ring], Ordering::Release);
    }

    /// Puts frames into several buffers from now on, or into one.
    pub const fn scatter(&mut self, scatter: bool) {
        self.style.scatter = scatter;
    }

    /// Claims that so many chains are available.
    pub fn claim(&self, ring: usize, index: u16) {
        self.memory.word(ring * RING + AVAILABLE + 2).store(index, Ordering::Release);
    }

    /// Kicks the port, if it wants that.
    pub fn kick(&self, ring: usize) {
        fence(Ordering::SeqCst);
        let event = self.memory.word(ring * RING + USED + 4 + 8 * usize::from(SLOTS)).load(Ordering::Relaxed);
        let flags = self.memory.word(ring * RING + USED).load(Ordering::Relaxed);
        let wanted = if self.features & EVENT_IDX != 0 {
            self.available[ring].wrapping_sub(1) == event
        } else {
            flags & 1 == 0
        };
        if wanted {
            rustix::io::write(&self.kicks[ring], &1u64.to_ne_bytes()).expect("kick");
        }
    }

    /// Whether the port has called by a ring since this was last asked.
    #[must_use]
    pub fn is_called(&self, ring: usize) -> bool {
        rustix::io::read(&self.calls[ring], &mut [0; 8]).is_ok()
    }

    /// Wants to be called when so many more chains of a ring are used than were made available, less than none if before.
    pub fn want_call(&self, ring: usize, after: i16) {
        let event = self.available[ring].wrapping_add_signed(after).wrapping_sub(1);
        let at = ring * RING + AVAILABLE + 4 + 2 * usize::from(SLOTS);
        self.memory.word(at).store(event, Ordering::Release);
    }

    /// The next used chain: its head, and the bytes written into it.
    fn next_used(&mut self, ring: usize) -> Option<(u16, usize)> {
        let at = ring * RING + USED;
        let used = self.memory.word(at + 2).load(Ordering::Acquire);
        if used == self.seen[ring] {
            return None;
        }
        let mut entry = [0; 8];
        self.memory.read(at + 4 + 8 * usize::from(self.seen[ring] % SLOTS), &mut entry);
        let [head, len] = [0, 32].map(|shift| (u64::from_le_bytes(entry) >> shift) as u32);
        let at = ring * RING + AVAILABLE + 4 + 2 * usize::from(self.seen[ring] % SLOTS);
        assert_eq!(head, self.memory.word(at).load(Ordering::Relaxed).into(), "not in order");
        self.seen[ring] = self.seen[ring].wrapping_add(1);
        Some((u16::try_from(head).expect("a head"), len as usize))
    }

    fn reclaim(&mut self) {
        while let Some((head, _)) = self.next_used(TX) {
            let length = self.lengths[usize::from(head)];
            self.free.extend((0..length).map(|i| (head + i) % SLOTS));
        }
    }

    /// Cuts a message into the buffers of a chain.
    fn cut<'m>(&self, message: &'m [u8]) -> Vec<&'m [u8]> {
        if !self.style.scatter {
            return message.chunks(BUFFER).collect();
        }
        let (header, frame) = message.split_at(HEADER.min(message.len()));
        let (first, rest) = frame.split_at(frame.len().min(9)); // within the destination and source stations
        [header, first].into_iter().chain(rest.chunks(700)).filter(|piece| !piece.is_empty()).collect()
    }

    /// The next frame the port sent, header and all.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let (head, len) = self.next_used(RX)?;
        let mut message = self.drain(head, len);
        let merged = u16::from_le_bytes([message[10], message[11]]);
        for _ in 1..merged {
            let (head, len) = self.next_used(RX).expect("as many buffers as the header says");
            message.extend(self.drain(head, len));
        }
        Some(message)
    }

    fn drain(&mut self, head: u16, len: usize) -> Vec<u8> {
        let bytes = self.memory.get(Self::buffer(RX, head), len);
        self.make_available(RX, head);
        bytes
    }
}

impl Far for Driver {
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        self.reclaim();
        let message = [&offload.to_bytes()[..], &[0, 0], frame].concat();
        let pieces = self.cut(&message);
        // Descriptors are freed in order, so those of a chain are neighbours.
        if self.free.len() < pieces.len() {
            return false;
        }
        let slots: Vec<u16> = self.free.drain(..pieces.len()).collect();
        for (i, (piece, slot)) in pieces.iter().zip(&slots).enumerate() {
            let at = Self::buffer(TX, *slot);
            self.memory.put(at, piece);
            self.describe(TX, *slot, at, piece.len(), if i + 1 < pieces.len() { NEXT } else { 0 });
        }
        self.lengths[usize::from(slots[0])] = u16::try_from(slots.len()).expect("a short chain");
        self.make_available(TX, slots[0]);
        self.kick(TX);
        true
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        let message = self.take()?;
        let offload = Offload::from_bytes(*message.first_chunk().expect("a header"));
        Some((message[HEADER..].to_vec(), offload))
    }

    fn carries_offloads(&self) -> bool {
        true
    }
}

fn pair(first: u32, second: u32) -> [u8; 8] {
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}
