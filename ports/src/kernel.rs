//! What backends need of the kernel and rustix does not wrap: device ioctls, raw socket options, and patience.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

/// One `ioctl`, with an argument that the kernel reads, writes, or both.
///
/// # Safety
/// The kernel's type for the argument of `request` is laid out as `T`, and any pointer in it is good for what
/// the kernel does with it.
pub(crate) unsafe fn ioctl<T>(fd: impl AsFd, request: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    // SAFETY: the descriptor is open while borrowed; the caller answers for the argument.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, std::ptr::from_mut(argument)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One `ioctl` whose argument is a number.
///
/// # Safety
/// `request` takes a number, not a pointer.
pub(crate) unsafe fn ioctl_number(
    fd: impl AsFd,
    request: libc::Ioctl,
    argument: libc::c_ulong,
) -> io::Result<()> {
    // SAFETY: the descriptor is open while borrowed; the caller answers for the argument.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The argument of the ioctls about an interface; a longer name than there can be is cut.
pub(crate) fn interface_request(name: &str, body: libc::__c_anonymous_ifr_ifru) -> libc::ifreq {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    libc::ifreq { ifr_name, ifr_ifru: body }
}

/// One `setsockopt` with a value of plain old data (an integer or a C structure of such).
pub(crate) fn set_option<T: Copy>(socket: impl AsFd, level: i32, option: i32, value: T) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the options are integers and small structures")]
    let len = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the kernel reads `len` bytes at `value`, which are there; a wrong option fails with an error, and
    // none that this crate sets here lets the kernel write to memory.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One `getsockopt` of `N` unsigned integers.
pub(crate) fn option<const N: usize>(socket: impl AsFd, level: i32, option: i32) -> io::Result<[u32; N]> {
    let mut value = [0; N];
    #[expect(clippy::cast_possible_truncation, reason = "the options are a few integers")]
    let mut len = size_of_val(&value) as libc::socklen_t;
    let to = value.as_mut_ptr().cast();
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `len` bytes at `to` are writable, and the kernel writes no more.
    let result = unsafe { libc::getsockopt(socket, level, option, to, &raw mut len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Binds an `AF_PACKET` socket to one interface, for frames of every EtherType.
pub(crate) fn bind_packet(socket: impl AsFd, index: u32) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "constants of 16 bits in wider types")]
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    #[expect(clippy::cast_possible_truncation, reason = "20 bytes")]
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is there for `len` bytes.
    let result = unsafe { libc::bind(socket.as_fd().as_raw_fd(), std::ptr::from_ref(&address).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Frames that an `AF_PACKET` socket lost for want of room since this was last asked.
pub(crate) fn packet_drops(socket: impl AsFd) -> io::Result<u32> {
    // struct tpacket_stats: frames seen, frames dropped
    option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS).map(|[_, dropped]| dropped)
}

/// Repeats what fails because something is taken, for up to half a second: the kernel frees the queues, program
/// and TAP of a process 5 to 30 ms after its end, and a child that has forked and not yet become another program
/// holds its parent's descriptors too.
pub(crate) fn while_busy<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..100 {
        match attempt() {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) => {
                thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
    attempt()
}
