//! Another program that speaks memif, for tests: by the book, or as it likes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::SocketType;

use super::memory::file;
use super::message::{ETHERNET, LEN, Message, S2M, VERSION, padded};
use crate::peer::{Memory, Place, socket};
use crate::ring::layout::COOKIE;

/// Slots of its rings.
pub const SLOTS: u16 = 64;
/// The same as a power of two.
pub const LOG2: u8 = 6;
/// Bytes of its buffers.
pub const BUFFER: u32 = 2048;
/// Bytes of its memory.
pub const MEMORY: u64 = BUFFERS as u64 + 2 * SLOTS as u64 * BUFFER as u64;
/// Where each ring is in it, unless the memory is another's.
pub const RINGS: [u32; 2] = [0, 0x4000];
const BUFFERS: u32 = 0x1_0000;

/// The ring from the client.
pub const FROM_CLIENT: usize = 0;
/// The ring to the client.
pub const TO_CLIENT: usize = 1;

/// Bytes from the start of a ring.
mod at {
    pub(super) const FLAGS: u32 = 4;
    pub(super) const HEAD: u32 = 6;
    pub(super) const TAIL: u32 = 64;
    pub(super) const SLOTS: u32 = 128;
}

/// The program, with its end of a socket and memory that both sides have.
pub struct Stranger {
    socket: OwnedFd,
    /// What is told of on the socket.
    pub file: OwnedFd,
    memory: Memory,
    /// By which either ring's other end is kicked.
    pub events: [OwnedFd; 2],
    /// Where either ring is.
    rings: [u32; 2],
}

impl Stranger {
    /// Connects to a port that listens, and hears its greeting.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn connect(path: &Path) -> Self {
        let place = Place { path: path.to_owned(), kind: SocketType::SEQPACKET, client: true };
        let stranger = Self::on(socket::dial(&place).expect("connect to the port"));
        assert!(matches!(stranger.hear(), Some((Message::Hello { .. }, None))), "no greeting");
        stranger
    }

    /// On a socket that is connected already.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn on(socket: OwnedFd) -> Self {
        socket::open(&socket).expect("prepare the socket");
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
        let file = file("stranger", MEMORY).expect("memory");
        let memory = Memory::map(&file);
        let stranger = Self { socket, file, memory, events: [event(), event()], rings: RINGS };
        for (number, ring) in RINGS.into_iter().enumerate() {
            stranger.put(ring, &COOKIE.to_le_bytes());
            for slot in 0..SLOTS {
                stranger.describe(number, slot, [0, 0], BUFFER, stranger.buffer(number, slot));
            }
        }
        stranger
    }

    /// Takes the memory that a client brings in place of its own.
    fn adopt(&mut self, file: OwnedFd) {
        self.memory = Memory::map(&file);
        self.file = file;
    }

    /// Sends bytes as one packet.
    pub fn say_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
        socket::send(&self.socket, bytes, fds).is_ok()
    }

    /// Sends a message.
    pub fn say(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> bool {
        self.say_bytes(&message.to_bytes(), fds)
    }

    /// Hears a message; `None` when the port has hung up, or says nothing for a second.
    #[must_use]
    pub fn hear(&self) -> Option<(Message, Option<OwnedFd>)> {
        let (mut bytes, mut fds) = ([0; LEN], Vec::new());
        let len = socket::receive(&self.socket, &mut bytes, &mut fds).ok()?;
        Message::parse(&bytes).filter(|_| len == LEN).map(|message| (message, fds.pop()))
    }

    /// Sends a message that is to be acknowledged.
    ///
    /// # Panics
    /// If it is not.
    pub fn ask(&self, message: &Message, fds: &[BorrowedFd<'_>]) {
        self.say(message, fds);
        let answer = self.hear();
        assert!(matches!(answer, Some((Message::Ack | Message::Connected { .. }, None))), "{answer:?}");
    }

    /// What a client says, in order.
    #[must_use]
    pub fn introduction(&self) -> [(Message, Option<BorrowedFd<'_>>); 5] {
        let ring = |number: usize| Message::AddRing {
            flags: if number == FROM_CLIENT { S2M } else { 0 },
            index: 0,
            region: 0,
            offset: RINGS[number],
            log2_ring_size: LOG2,
            private_hdr_size: 0,
        };
        let (secret, name) = (padded(""), padded("stranger"));
        [
            (Message::Init { version: VERSION, id: 0, mode: ETHERNET, secret, name }, None),
            (Message::AddRegion { index: 0, size: MEMORY }, Some(self.file.as_fd())),
            (ring(FROM_CLIENT), Some(self.events[FROM_CLIENT].as_fd())),
            (ring(TO_CLIENT), Some(self.events[TO_CLIENT].as_fd())),
            (Message::Connect { name: padded("stranger") }, None),
        ]
    }

    /// Says all that a client says, and gives the port empty slots.
    ///
    /// # Panics
    /// If the port does not agree.
    pub fn introduce(&self) {
        for (message, fd) in self.introduction() {
            self.ask(&message, fd.as_slice());
        }
        self.set_head(TO_CLIENT, SLOTS);
    }

    /// Plays the server until the port is connected, in the port's own memory.
    ///
    /// # Panics
    /// If the port does not do its part.
    pub fn serve(&mut self) {
        let hello = Message::Hello {
            name: padded("stranger"),
            min_version: VERSION,
            max_version: VERSION,
            max_region: 0,
            max_m2s_ring: 0,
            max_s2m_ring: 0,
            max_log2_ring_size: LOG2,
        };
        self.say(&hello, &[]);
        loop {
            let (message, fd) = self.hear().expect("the port goes on");
            match message {
                Message::AddRegion { .. } => self.adopt(fd.expect("a region's file")),
                Message::AddRing { flags, offset, .. } => {
                    self.rings[if flags & S2M != 0 { FROM_CLIENT } else { TO_CLIENT }] = offset;
                }
                Message::Connect { .. } => break,
                _ => {}
            }
            self.say(&Message::Ack, &[]);
        }
        self.say(&Message::Connected { name: padded("stranger") }, &[]);
    }

    /// Writes bytes into the memory.
    pub fn put(&self, offset: u32, bytes: &[u8]) {
        self.memory.put(offset as usize, bytes);
    }

    /// Reads bytes of the memory.
    #[must_use]
    pub fn get(&self, offset: u32, len: u32) -> Vec<u8> {
        self.memory.get(offset as usize, len as usize)
    }

    fn word(&self, offset: u32) -> &AtomicU16 {
        self.memory.word(offset as usize)
    }

    /// Where a slot's buffer is by the book.
    #[must_use]
    pub fn buffer(&self, ring: usize, slot: u16) -> u32 {
        BUFFERS + u32::from(if ring == TO_CLIENT { SLOTS } else { 0 } + slot % SLOTS) * BUFFER
    }

    /// Writes a descriptor: flags and region, length, offset.
    pub fn describe(&self, ring: usize, slot: u16, [flags, region]: [u16; 2], len: u32, offset: u32) {
        let words = u64::from(flags) | u64::from(region) << 16 | u64::from(len) << 32;
        let at = self.rings[ring] + at::SLOTS + 16 * u32::from(slot % SLOTS);
        self.put(at, [words.to_le_bytes(), u64::from(offset).to_le_bytes()].as_flattened());
    }

    /// Sets the client's index of a ring.
    pub fn set_head(&self, ring: usize, index: u16) {
        self.word(self.rings[ring] + at::HEAD).store(index, Ordering::Release);
    }

    /// Sets the server's index of a ring.
    pub fn set_tail(&self, ring: usize, index: u16) {
        self.word(self.rings[ring] + at::TAIL).store(index, Ordering::Release);
    }

    /// Both indices of a ring: the client's, the server's.
    #[must_use]
    pub fn indices(&self, ring: usize) -> (u16, u16) {
        let read = |at| self.word(self.rings[ring] + at).load(Ordering::Acquire);
        (read(at::HEAD), read(at::TAIL))
    }

    /// Whether the port polls the ring, and wants no kicks.
    #[must_use]
    pub fn is_polled(&self, ring: usize) -> bool {
        self.word(self.rings[ring] + at::FLAGS).load(Ordering::Acquire) & 1 != 0
    }

    /// As a client, sends one frame in one slot.
    pub fn send(&self, frame: &[u8]) {
        let (head, _) = self.indices(FROM_CLIENT);
        let (offset, len) = (self.buffer(FROM_CLIENT, head), u32::try_from(frame.len()).unwrap_or(u32::MAX));
        self.put(offset, frame);
        self.describe(FROM_CLIENT, head, [0, 0], len, offset);
        self.set_head(FROM_CLIENT, head.wrapping_add(1));
    }
}
