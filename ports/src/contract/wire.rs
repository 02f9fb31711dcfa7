//! The far side of a port whose other end the kernel holds: a raw socket on an interface.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::{Far, STATION};
use crate::kernel::{bind_packet, packet_drops, set_option};
use crate::{Frame, Interface, Offload};

/// A raw socket on an interface, deliberately plain: one system call a frame, nothing shared with a backend.
pub struct Wire {
    socket: OwnedFd,
    offloads: bool,
    frame: Vec<u8>,
    lost: u64,
}

impl Wire {
    /// The frames of `name`, which is the far interface of a veth, or a TAP itself; with `offloads`, with
    /// their offload metadata.
    ///
    /// # Panics
    /// If the socket cannot be had.
    #[must_use]
    pub fn open(name: &str, offloads: bool) -> Self {
        let interface =
            Interface::find(name).and_then(Interface::require_up).expect("the interface is there");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).expect("a raw socket");
        let set =
            |level, option, value: i32| set_option(&socket, level, option, value).expect("set an option");
        set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
        set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, offloads.into());
        set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 64 << 20);
        set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 16 << 20);
        bind_packet(&socket, interface.index).expect("bind the raw socket");
        Self { socket, offloads, frame: vec![0; 1 << 17], lost: 0 }
    }

    const fn header(&self) -> usize {
        if self.offloads { Offload::LEN } else { 0 }
    }
}

impl Far for Wire {
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        let header = offload.to_bytes();
        let message = [&header[..self.header()], frame].concat();
        rustix::io::write(&self.socket, &message).is_ok()
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        loop {
            let len = rustix::io::read(&self.socket, &mut self.frame).ok()?;
            let (header, frame) = self.frame.get(..len)?.split_at_checked(self.header())?;
            if Frame::new(frame).stations().is_some_and(|(_, src)| src == STATION) {
                let offload = header.try_into().map_or(Offload::NONE, Offload::from_bytes);
                return Some((frame.to_vec(), offload));
            }
        }
    }

    fn lost(&mut self) -> u64 {
        self.lost += u64::from(packet_drops(&self.socket).expect("PACKET_STATISTICS"));
        self.lost
    }

    fn carries_offloads(&self) -> bool {
        self.offloads
    }
}
