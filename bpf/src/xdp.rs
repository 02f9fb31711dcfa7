//! The XDP program, loaded and attached.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, libbpf_sys};

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
        let link = attach(skeleton.progs.redirect.as_fd(), ifindex, mode)?;
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

/// `bpf_link_create`: libbpf-rs attaches XDP programs too, but leaves the mode to the kernel.
fn attach(program: BorrowedFd<'_>, ifindex: u32, mode: Mode) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags: mode.flag(),
        ..Default::default()
    };
    // SAFETY: the options live through the call and state their own size.
    let fd = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            ifindex.cast_signed(),
            libbpf_sys::BPF_XDP,
            &raw const options,
        )
    };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// libbpf-rs keeps the kind and the words of an error, but not the number.
fn words(error: libbpf_rs::Error) -> io::Error {
    let kind = match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        libbpf_rs::ErrorKind::Unsupported => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
