//! The XDP program, loaded and attached.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};

use crate::link::{attach, words};
use crate::skeleton::xdp::XdpSkelBuilder;

/// Receive queues that one program can serve: entries of its socket map.
pub const MAX_QUEUES: u32 = 64;

/// Where in the path of a frame the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel has made a socket buffer of the frame.
    Native,
    /// After that, on any interface.
    Generic,
}

impl Mode {
    /// `XDP_FLAGS_*_MODE` (linux/if_link.h).
    const fn flag(self) -> u32 {
        match self {
            Self::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            Self::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
        }
    }
}

/// An XDP program on an interface. Frames go to the AF_XDP socket of their receive queue, or to the kernel's
/// stack where there is none. Dropping it detaches it, and so does the end of the process.
#[derive(Debug)]
pub struct XdpProgram {
    /// Holds the program on the interface; the kernel detaches it when this is closed.
    _link: OwnedFd,
    sockets: MapHandle,
}

impl XdpProgram {
    /// Loads the program and attaches it to the interface of this number in the network namespace of the
    /// calling thread.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] without `CAP_BPF` and `CAP_NET_ADMIN`; `EBUSY` or `EEXIST` if another
    /// program is attached; `EOPNOTSUPP` if the driver has no native XDP, `ERANGE` or others if it has, but not
    /// with the MTU or the features that the interface has now.
    pub fn load_and_attach(ifindex: u32, mode: Mode) -> io::Result<Self> {
        // libbpf would write what it thinks to standard error; the errors say it as well.
        libbpf_rs::set_print(None);
        let mut object = MaybeUninit::uninit();
        let skeleton = XdpSkelBuilder::default().open(&mut object).map_err(words)?.load().map_err(words)?;
        let link = attach(skeleton.progs.redirect.as_fd(), ifindex, libbpf_sys::BPF_XDP, mode.flag())?;
        let sockets = MapHandle::try_from(&skeleton.maps.sockets).map_err(words)?;
        // The skeleton goes: the link holds the program, and the program its map.
        Ok(Self { _link: link, sockets })
    }

    /// Hands the frames of a receive queue to an AF_XDP socket that is bound to it. A socket that is closed
    /// leaves the map by itself.
    ///
    /// # Errors
    /// If the queue is not below [`MAX_QUEUES`], or the socket is no AF_XDP socket.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = socket.as_raw_fd().to_ne_bytes();
        self.sockets.update(&queue.to_ne_bytes(), &value, MapFlags::ANY).map_err(words)
    }
}

/// Where the program runs that is attached to an interface now, ours or anybody's; `None` without one.
///
/// # Errors
/// The kernel's: there is no such interface.
pub fn attached(ifindex: u32) -> io::Result<Option<Mode>> {
    let mut answer = libbpf_sys::bpf_xdp_query_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_query_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    // SAFETY: the answer lives through the call and states its own size.
    let result = unsafe { libbpf_sys::bpf_xdp_query(ifindex.cast_signed(), 0, &raw mut answer) };
    match (result, u32::from(answer.attach_mode)) {
        (..0, _) => Err(io::Error::from_raw_os_error(-result)),
        (_, libbpf_sys::XDP_ATTACHED_NONE) => Ok(None),
        (_, libbpf_sys::XDP_ATTACHED_SKB | libbpf_sys::XDP_ATTACHED_MULTI) => Ok(Some(Mode::Generic)),
        _ => Ok(Some(Mode::Native)),
    }
}
