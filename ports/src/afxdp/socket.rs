//! An AF_XDP socket: the hold on one queue of an interface, and its four rings.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_xdp_rx_ring_size, set_xdp_tx_ring_size, set_xdp_umem_completion_ring_size,
    set_xdp_umem_fill_ring_size, set_xdp_umem_reg, xdp_mmap_offsets, xdp_options, xdp_statistics,
};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
    XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpOptionsFlags, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use super::ring::{Consumer, Producer};
use super::umem::Umem;
use crate::interface::{Interface, refused};
use crate::kernel::{set_option, while_busy};
use crate::{Counters, Error, Reason};

/// `XDP_MAX_TX_SKB_BUDGET` (linux/if_xdp.h, 6.17): frames that one system call sends in copy mode; 32 without.
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;
const TX_BUDGET: u32 = 256;

/// The rings of one queue, all of one size.
pub(super) struct Rings {
    pub(super) fill: Producer<u64>,
    pub(super) rx: Consumer<XdpDesc>,
    pub(super) tx: Producer<XdpDesc>,
    pub(super) completion: Consumer<u64>,
}

/// The socket itself, which both halves of a port kick.
pub(super) struct Socket {
    fd: OwnedFd,
    zero_copy: bool,
    /// The last kick found the interface down or gone.
    down: AtomicBool,
    counters: Arc<Counters>,
    /// The kernel has its own hold on these pages, but needs them where they are.
    _umem: Arc<Umem>,
}

impl Socket {
    /// Opens a socket on frame memory, with rings of `slots` entries, bound to nothing yet.
    pub(super) fn open(
        name: &str,
        umem: Arc<Umem>,
        slots: u32,
        counters: Arc<Counters>,
    ) -> Result<(Self, Rings), Error> {
        let fd = socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(|e| no_socket(name, e))?;
        register(name, &fd, &umem)?;
        let rings = map_rings(&fd, slots).map_err(|e| Error::io(name, "AF_XDP rings", e))?;
        // Both are only wishes: an old kernel sends 32 frames a call, and the default of 208 KiB in flight
        // matters only where a driver completes late.
        let _ = set_option(&fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, TX_BUDGET.min(slots));
        let _ = set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 1 << 26);
        let down = AtomicBool::new(false);
        Ok((Self { fd, zero_copy: false, down, counters, _umem: umem }, rings))
    }

    /// Takes a queue. The kernel uses zero-copy where the driver has it, unless `copy` is asked for.
    pub(super) fn bind(&mut self, interface: &Interface, queue: u32, copy: bool) -> Result<(), Error> {
        let mut flags = SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
        flags.set(SocketAddrXdpFlags::XDP_COPY, copy);
        let address = SocketAddrXdp::new(flags, interface.index, queue);
        while_busy(|| bind(&self.fd, &address).map_err(Into::into)).map_err(|e| match e.raw_os_error() {
            Some(libc::EBUSY) => Error::Taken {
                name: interface.name.clone(),
                what: format!(
                    "another AF_XDP socket holds receive queue {queue} (try: end its program, see ss -f xdp)"
                ),
            },
            Some(libc::ENETDOWN) => Error::Down(interface.name.clone()),
            _ => refused(&interface.name, "bind of an AF_XDP socket", "CAP_NET_RAW", e),
        })?;
        self.zero_copy =
            xdp_options(&self.fd).is_ok_and(|o| o.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY));
        Ok(())
    }

    /// Whether the driver reads and writes the frame memory itself.
    pub(super) const fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Has the kernel send what the transmit ring holds, or as much of it as it sends in one go.
    ///
    /// `EAGAIN` (the budget is used up, or the device is busy), `ENOBUFS` and `ENETDOWN` leave the frames in the
    /// ring. `EBUSY` in copy mode is the loss of one frame that the device refused: it has no carrier
    /// (`NET_XMIT_DROP` in `__xsk_generic_xmit`, net/xdp/xsk.c).
    ///
    /// Returns whether another kick soon may get further: not if the device is down or gone.
    pub(super) fn kick_tx(&self) -> bool {
        let sent = send(&self.fd, &[], SendFlags::DONTWAIT);
        if sent == Err(Errno::BUSY) && !self.zero_copy {
            self.counters.add_drops(Reason::Kernel, 1);
        }
        let up = matches!(sent, Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR));
        self.down.store(!up, Ordering::Relaxed);
        up
    }

    /// Whether the interface is down or gone, and a frame in the ring would stay there: as of the last kick, or of another
    /// one now if that found it so. While it is up this costs nothing.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed) && !self.kick_tx()
    }

    /// Has a driver that sleeps for want of empty chunks look at the fill ring.
    pub(super) fn kick_rx(&self) {
        let _ = recv(&self.fd, &mut [0u8; 0][..], RecvFlags::DONTWAIT);
    }

    /// Frames for this socket that the kernel dropped so far: too long, or no chunk or no room in the receive
    /// ring. `rx_fill_ring_empty_descs` counts the same frames once more (`xsk_rcv`, net/xdp/xsk.c), or, with
    /// zero-copy, attempts to find a chunk rather than frames; `rx_invalid_descs` counts chunks.
    pub(super) fn dropped(&self) -> u64 {
        xdp_statistics(&self.fd).map_or(0, |s| s.rx_dropped + s.rx_ring_full.unwrap_or(0))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn no_socket(name: &str, e: Errno) -> Error {
    if e == Errno::AFNOSUPPORT {
        let what = format!("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS; try: {name}@packet)");
        return Error::Unsupported { name: name.to_owned(), what };
    }
    refused(name, "socket(AF_XDP)", "CAP_NET_RAW", e.into())
}

fn register(name: &str, fd: &OwnedFd, umem: &Umem) -> Result<(), Error> {
    let registration = XdpUmemReg {
        addr: umem.start(),
        len: umem.len(),
        chunk_size: umem.chunk(),
        headroom: 0,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    };
    set_xdp_umem_reg(fd, registration).map_err(|e| match e {
        // Over RLIMIT_MEMLOCK, which does not bind who has the capability (xdp_umem_account_pages).
        Errno::NOBUFS => Error::Permission { name: name.to_owned(), capability: "CAP_IPC_LOCK" },
        _ => Error::io(name, "XDP_UMEM_REG", e),
    })
}

fn map_rings(fd: &OwnedFd, slots: u32) -> rustix::io::Result<Rings> {
    set_xdp_umem_fill_ring_size(fd, slots)?;
    set_xdp_umem_completion_ring_size(fd, slots)?;
    set_xdp_rx_ring_size(fd, slots)?;
    set_xdp_tx_ring_size(fd, slots)?;
    let at = xdp_mmap_offsets(fd)?;
    let fd = fd.as_fd();
    Ok(Rings {
        fill: Producer::map(fd, XDP_UMEM_PGOFF_FILL_RING, &at.fr, slots)?,
        rx: Consumer::map(fd, XDP_PGOFF_RX_RING, &at.rx, slots)?,
        tx: Producer::map(fd, XDP_PGOFF_TX_RING, &at.tx, slots)?,
        completion: Consumer::map(fd, XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, slots)?,
    })
}
