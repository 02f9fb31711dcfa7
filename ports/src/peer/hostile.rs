//! What peers that mean harm are made of, for the `hostile` of each protocol: inputs of fuzzers, taken apart, descriptors, and
//! ports without sockets.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sendmsg};

use super::{End, Host, Link, Place, Waiting};
use crate::{Burst, Frame, Presence, Rx, Time, Tx};

/// Most messages of one input: nobody reads the answers.
pub(crate) const MESSAGES: usize = 100;
/// Most descriptors beside one message, more than any may have.
const MOST: usize = 15;

/// Takes an input apart; at its end come zeroes.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// A number that is likely to be near another one.
    pub(crate) fn number(&mut self) -> u64 {
        match self.u8() % 4 {
            0 => u64::from(self.u8()) << 12,
            1 => u64::from(self.u16()),
            2 => u64::MAX - u64::from(self.u16()),
            _ => u64::from_le_bytes(self.array()),
        }
    }
}

/// Memory that can be shared, as large as this.
pub(crate) fn memfd(len: u64) -> OwnedFd {
    let file =
        memfd_create("hostile", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memfd_create");
    ftruncate(&file, len).expect("ftruncate");
    fcntl_add_seals(&file, SealFlags::SHRINK).expect("a seal");
    file
}

/// Writes into such memory at `at`, as far as it goes.
pub(crate) fn write(file: &OwnedFd, len: u64, at: u64, what: &[u8]) {
    let at = at % len;
    let room = usize::try_from(len - at).map_or(what.len(), |room| room.min(what.len()));
    rustix::io::pwrite(file, &what[..room], at).expect("to write shared memory");
}

pub(crate) fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd")
}

/// Descriptors beside a message: how many, and of which kind.
pub(crate) fn descriptors(kinds: u8) -> Vec<OwnedFd> {
    let one = || match kinds >> 4 & 3 {
        0 => event(),
        1 => memfd(1 << 16),
        2 => memfd(0),
        _ => UnixStream::pair().expect("two sockets").0.into(),
    };
    (0..usize::from(kinds) % (MOST + 1)).map(|_| one()).collect()
}

/// Sends one message, of these parts, with any number of descriptors beside it.
pub(crate) fn say(socket: impl AsFd, parts: &[&[u8]], fds: &[OwnedFd]) {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    }
    let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL).expect("room for a message");
}

/// Nobody comes to the port.
#[derive(Default)]
pub(super) struct Nobody(Presence);

impl Host for Nobody {
    fn serve(&mut self, _: &OwnedFd, _: &Waiting) -> End {
        End::Lost
    }

    fn presence(&self) -> &Presence {
        &self.0
    }
}

/// A control thread that has nothing to do, for all ports.
pub(crate) fn link() -> (Waiting, Arc<Link>) {
    static LINK: OnceLock<(Waiting, Arc<Link>)> = OnceLock::new();
    let start = || {
        let waiting = Waiting::new("hostile").expect("an eventfd");
        let place = Place { path: "/nowhere".into(), kind: SocketType::STREAM, client: true };
        let link =
            Link::start("hostile", place, waiting.clone(), Nobody(Presence::default())).expect("a thread");
        (waiting, Arc::new(link))
    };
    LINK.get_or_init(start).clone()
}

/// Takes what comes, reads it to its last byte, gives all but some of it back, and does what follows from that by `now`.
pub(crate) fn receive(rx: &mut impl Rx, kept: usize, now: Time) {
    let mut burst = Burst::new();
    rx.receive(&mut burst);
    for frame in &burst {
        assert_eq!(frame.to_vec().len(), frame.len());
        let _ = frame.stations();
    }
    let n = burst.len().saturating_sub(kept);
    drop(burst);
    rx.release(n);
    assert!(rx.tend(now) > now, "it would be tended again and again");
}

/// Sends frames.
pub(crate) fn transmit(tx: &mut impl Tx, len: usize, count: usize) {
    let bytes = vec![7; len];
    let sent = tx.transmit(&vec![Frame::new(&bytes); count]);
    assert!(sent.taken <= count && sent.frames <= sent.taken as u64);
    tx.flush();
}
