//! A unix datagram socket, one frame a datagram, as QEMU's `-netdev dgram` speaks it (QEMU `net/dgram.c`). No offload
//! metadata, no connection: whoever binds the other address is the peer.
//!
//! A few datagrams may wait at the peer (`net.unix.max_dgram_qlen`); the next finds no room.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, SocketType, recv, sendto};

use crate::descriptor::{self, Descriptor, Message};
use crate::identity::station;
use crate::peer::{Place, socket};
use crate::{Capabilities, Error, Frame, Offload, Port};

/// What the other side takes: no more than a wire does.
const TAKES: Capabilities = Capabilities::wire(1500);
/// Longest frame that goes out, one with a VLAN tag.
const LONGEST: usize = TAKES.frame as usize + 4;

/// How to open such a port.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unix socket that is ours.
    pub path: PathBuf,
    /// The peer's.
    pub peer: PathBuf,
}

/// A port for whoever has the peer's socket. It is there at once, and frames to it fail as long as nobody has.
///
/// # Errors
/// If our socket cannot be had, or the peer's has no proper name.
pub fn open(name: &str, options: &Options) -> Result<Port, Error> {
    let peer = SocketAddrUnix::new(&options.peer).map_err(|e| Error::Invalid {
        name: name.to_owned(),
        what: format!("peer={}: {e}", options.peer.display()),
    })?;
    let place = Place { path: options.path.clone(), kind: SocketType::DGRAM, client: false };
    let socket = socket::listen(name, &place)?;
    let port = descriptor::port(Arc::new(Datagrams { socket, peer, path: place.path }), TAKES);
    Ok(Port { notes: vec![arguments(name, options)], ..port })
}

/// What to tell QEMU, for whom ours and theirs are the other way round. The guest has an address of its own: QEMU gives all
/// of them the same.
fn arguments(name: &str, options: &Options) -> String {
    let (ours, theirs) = (options.path.display(), options.peer.display());
    let mac = station(name);
    format!(
        "-netdev dgram,id=n0,local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours} \
         -device virtio-net-pci,netdev=n0,mac={mac}"
    )
}

/// The socket.
struct Datagrams {
    socket: OwnedFd,
    peer: SocketAddrUnix,
    path: PathBuf,
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Descriptor for Datagrams {
    const QUEUE: usize = usize::MAX; // who finds it full is told so

    fn read(&self, into: &mut [u8]) -> Result<Message, Errno> {
        let (header, frame) = into.split_at_mut_checked(Offload::LEN).ok_or(Errno::INVAL)?;
        header.copy_from_slice(&Offload::NONE.to_bytes());
        let (len, _) = recv(&self.socket, frame, RecvFlags::DONTWAIT)?;
        Ok(Message { len: Offload::LEN + len, tag: None })
    }

    /// Sends to the peer's name each time: to be connected is to be deaf to its successor.
    fn write(&self, frame: &Frame<'_>) -> Result<(), Errno> {
        let mut bytes = [0; LONGEST];
        let bytes = bytes.get_mut(..frame.len()).ok_or(Errno::MSGSIZE)?;
        frame.copy_at(0, bytes);
        sendto(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &self.peer).map(|_| ())
    }

    fn dropped(&self) -> u64 {
        0
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        socket::remove_socket(&self.path);
    }
}
