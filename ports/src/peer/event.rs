//! Eventfds that a peer gave us, to kick it by or to be kicked by.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The descriptor, if it is an eventfd: anything else could keep a worker that writes to it. So can an eventfd whose other owner
/// takes the flag back and fills it (docs/decisions/0005-vhost-user.md).
pub(crate) fn event(fd: OwnedFd) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let is_event = std::fs::read_link(path).is_ok_and(|what| what.as_os_str() == "anon_inode:[eventfd]");
    let flags = fcntl_getfl(&fd).ok()?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).ok()?;
    is_event.then_some(fd)
}
