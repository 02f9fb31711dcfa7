//! An existing interface by raw socket (`AF_PACKET`, packet(7)), with the offloads of both ends kept.
//!
//! `PACKET_VNET_HDR` puts the offload metadata before every frame, so that super-frames and checksums left to
//! be filled cross as they are: on a veth this moves four times what AF_XDP does, which has neither. The host's
//! own stack goes on seeing every frame that arrives.

mod fanout;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

pub use crate::descriptor::Options;
use crate::descriptor::{self, Descriptor, Message};
use crate::interface::refused;
use crate::kernel::{bind_packet, packet_drops, set_option};
use crate::{Capabilities, Error, Interface, Port};

/// Bytes of socket buffer each way, as the kernel accounts them: a thousand wire frames take two to three
/// million, a hundred super-frames seven.
const BUFFER: i32 = 16 << 20;

/// A port on the interface `name`, which is up, for all its frames (promiscuous).
///
/// # Errors
/// [`Error::NoInterface`], [`Error::Down`]; [`Error::Permission`] without `CAP_NET_RAW`;
/// [`Error::Unsupported`] where the kernel lacks an option (Linux 4.20 has all).
pub fn open(name: &str, options: Options) -> Result<Port, Error> {
    let interface = Interface::find(name)?.require_up()?;
    Ok(port(Packet::bind(&interface)?, &interface, options))
}

/// As [`open`], with a port for each of `count` sockets, to be used by threads of their own: the kernel spreads the frames
/// that arrive over them by flow (`PACKET_FANOUT_HASH`).
///
/// # Errors
/// As [`open`]; [`Error::Unsupported`] where the kernel does not spread (Linux 4.11 does).
pub fn open_queues(name: &str, options: Options, count: u32) -> Result<Vec<Port>, Error> {
    let interface = Interface::find(name)?.require_up()?;
    let sockets = (0..count).map(|_| Packet::bind(&interface)).collect::<Result<Vec<_>, _>>()?;
    fanout::join(name, &sockets)?;
    Ok(sockets.into_iter().map(|socket| port(socket, &interface, options)).collect())
}

fn port(packet: Packet, interface: &Interface, options: Options) -> Port {
    let capabilities = Capabilities { offloads: options.offloads, ..Capabilities::all(interface.mtu) };
    Port { mac: Some(interface.mac), ..descriptor::port(Arc::new(packet), capabilities) }
}

/// A raw socket bound to one interface.
struct Packet {
    socket: OwnedFd,
    _promiscuous: OwnedFd,
}

impl Packet {
    fn bind(interface: &Interface) -> Result<Self, Error> {
        let name = &interface.name;
        let failed = |call| move |e: std::io::Error| refused(name, call, "CAP_NET_RAW", e);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0: not a frame of another interface gets in before `bind`.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(|e| failed("socket")(e.into()))?;
        for (option, what) in [
            (libc::PACKET_VNET_HDR, "PACKET_VNET_HDR"),
            (libc::PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING"), // or we would hear ourselves
            (libc::PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS"),
            (libc::PACKET_AUXDATA, "PACKET_AUXDATA"),
        ] {
            set_option(&socket, libc::SOL_PACKET, option, 1_i32).map_err(|e| {
                let what = format!("{what} of AF_PACKET: {e} (try: a kernel of 4.20 or later)");
                Error::Unsupported { name: name.clone(), what }
            })?;
        }
        for (force, ask) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
        {
            // Beyond the administrator's limit takes CAP_NET_ADMIN; without it, up to the limit will do.
            set_option(&socket, libc::SOL_SOCKET, force, BUFFER)
                .or_else(|_| set_option(&socket, libc::SOL_SOCKET, ask, BUFFER))
                .map_err(failed("SO_RCVBUF"))?;
        }
        let promiscuous = interface.hold_promiscuous()?;
        bind_packet(&socket, interface.index).map_err(failed("bind"))?;
        Ok(Self { socket, _promiscuous: promiscuous })
    }
}

impl AsFd for Packet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The control message that `PACKET_AUXDATA` asks for, as it lies in memory.
#[repr(C)]
struct Auxiliary {
    header: libc::cmsghdr,
    data: libc::tpacket_auxdata,
}

impl Auxiliary {
    /// The VLAN tag that the kernel, or the NIC, took out of the frame. Kernels have said the TPID since 3.14.
    fn tag(&self, len: usize) -> Option<[u8; 4]> {
        let ours = len >= size_of::<Self>()
            && self.header.cmsg_level == libc::SOL_PACKET
            && self.header.cmsg_type == libc::PACKET_AUXDATA;
        if !ours || self.data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let [a, b] = self.data.tp_vlan_tpid.to_be_bytes();
        let [c, d] = self.data.tp_vlan_tci.to_be_bytes();
        Some([a, b, c, d])
    }
}

impl Descriptor for Packet {
    // Asking costs little, and what the socket holds is counted in bytes.
    const QUEUE: usize = 0;

    /// A plain read would take 100 ns less (of 660, at 60 B on a Zen 5) and lose VLAN tags without a word.
    fn read(&self, into: &mut [u8]) -> Result<Message, Errno> {
        let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        // SAFETY: plain integers, of which zero is one.
        let mut auxiliary: Auxiliary = unsafe { std::mem::zeroed() };
        // SAFETY: integers and pointers, null until set below.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut auxiliary).cast();
        message.msg_controllen = size_of::<Auxiliary>();
        // SAFETY: the kernel writes within the part and the control buffer, both ours for the call.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let len = usize::try_from(len).map_err(|_| last_error())?;
        Ok(Message { len, tag: auxiliary.tag(message.msg_controllen) })
    }

    fn dropped(&self) -> u64 {
        packet_drops(self).map_or(0, u64::from)
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
