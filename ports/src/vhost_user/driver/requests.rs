//! What the driver's front-end says to the port, and is answered.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};

use super::{AVAILABLE, Driver, GUEST, MEMORY, RING, SLOTS, USED, USER, pair};

impl Driver {
    /// Goes to another port with the same rings, as QEMU does: each goes on behind what is used.
    ///
    /// # Panics
    /// If the port does not do its part.
    pub fn reconnect(&mut self, path: &Path) {
        self.socket = UnixStream::connect(path).expect("connect to the port");
        self.introduce();
        self.confirm();
    }

    pub(super) fn introduce(&mut self) {
        self.say(3, &[], &[]);
        let offered = self.ask(1, &[]);
        let protocol = self.ask(15, &[]);
        self.say(16, &protocol.to_le_bytes(), &[]);
        for ring in 0..2u32 {
            self.say(18, &pair(ring, 1), &[]); // QEMU enables rings before anything else
        }
        self.features = offered & self.style.features;
        self.say(2, &self.features.to_le_bytes(), &[]);
        let region = [GUEST, MEMORY as u64, USER, 0].map(u64::to_le_bytes).concat();
        self.say(5, &[pair(1, 0).to_vec(), region].concat(), &[self.file.as_fd()]);
        for ring in 0..2u32 {
            let used = self.memory.word(ring as usize * RING + USED + 2).load(Ordering::Acquire);
            self.start_ring(ring, used);
        }
    }

    /// Plugs in memory: all that there is, once more, at this guest address.
    pub fn plug(&mut self, at: u64) {
        self.say(37, &Self::plugged(at), &[self.file.as_fd()]);
        self.confirm();
    }

    /// Takes out what [`plug`](Self::plug) plugged in.
    pub fn unplug(&mut self, at: u64) {
        self.say(38, &Self::plugged(at), &[]);
        self.confirm();
    }

    /// Takes out all memory, rings and all.
    pub fn remove_memory(&self) {
        self.say(38, &Self::whole(), &[self.file.as_fd()]); // it need not come, but some send it
    }

    /// Puts it in again.
    pub fn add_memory(&self) {
        self.say(37, &Self::whole(), &[self.file.as_fd()]);
    }

    fn whole() -> Vec<u8> {
        [0, GUEST, MEMORY as u64, USER, 0].map(u64::to_le_bytes).concat()
    }

    fn plugged(at: u64) -> Vec<u8> {
        [0, at, MEMORY as u64, USER + at, 0].map(u64::to_le_bytes).concat()
    }

    /// Has a ring start from this index on. Those of all pairs are where the first pair's are: one of them runs at a time.
    pub fn start_ring(&mut self, ring: u32, base: u16) {
        let number = ring as usize % 2;
        self.say(8, &pair(ring, SLOTS.into()), &[]);
        self.say(10, &pair(ring, base.into()), &[]);
        let at = USER + (number * RING) as u64;
        let addresses = [at, at + USED as u64, at + AVAILABLE as u64, 0].map(u64::to_le_bytes).concat();
        self.say(9, &[pair(ring, 0).to_vec(), addresses].concat(), &[]);
        self.hand_over(12, ring, self.kicks[number].as_fd());
        self.hand_over(13, ring, self.calls[number].as_fd());
    }

    /// Has a ring stop, and says how far the port came with it.
    pub fn stop_ring(&mut self, ring: u32) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the second word of two")]
        let base = (self.ask(11, &pair(ring, 0)) >> 32) as u16;
        base
    }

    /// Waits until the port has carried out all that was said.
    pub fn confirm(&mut self) {
        self.ask(1, &[]);
    }

    fn hand_over(&self, request: u32, ring: u32, fd: BorrowedFd<'_>) {
        self.say(request, &u64::from(ring).to_le_bytes(), &[fd]);
    }

    /// Sends a request.
    ///
    /// # Panics
    /// If nobody takes it.
    pub fn say(&self, request: u32, payload: &[u8], fds: &[BorrowedFd<'_>]) {
        let size = u32::try_from(payload.len()).expect("a short payload");
        let header = [request, 1, size].map(u32::to_le_bytes).concat();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let message = [IoSlice::new(&header), IoSlice::new(payload)];
        sendmsg(&self.socket, &message, &mut control, SendFlags::NOSIGNAL).expect("send a request");
    }

    /// Sends a request and reads the number that answers it.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask(&mut self, request: u32, payload: &[u8]) -> u64 {
        self.say(request, payload, &[]);
        let mut answer = [0; 20];
        self.socket.read_exact(&mut answer).expect("an answer");
        u64::from_le_bytes(answer[12..].try_into().expect("eight bytes"))
    }

    /// Whether the port has hung up.
    pub fn is_alone(&mut self) -> bool {
        let mut byte = [0; 1];
        !matches!(
            recv(&self.socket, &mut byte, RecvFlags::DONTWAIT),
            Ok((1.., _)) | Err(rustix::io::Errno::AGAIN)
        )
    }
}
