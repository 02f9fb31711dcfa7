//! The two system calls that backends need and rustix does not wrap: device ioctls and raw socket options.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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

/// One `setsockopt` with a value of plain old data (an integer or a C structure of such).
pub(crate) fn set_option<T: Copy>(socket: impl AsFd, level: i32, option: i32, value: T) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the options are integers and small structures")]
    let len = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the kernel reads `len` bytes at `value`, which are there; a wrong option fails with an error.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
