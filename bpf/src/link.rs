//! Attaching a program to an interface by a link, which the kernel undoes when its descriptor is closed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_rs::libbpf_sys;

/// `bpf_link_create`: libbpf-rs attaches programs too, but not with flags, and not to tcx.
pub(crate) fn attach(
    program: BorrowedFd<'_>,
    ifindex: u32,
    at: libbpf_sys::bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags,
        ..Default::default()
    };
    let (program, interface) = (program.as_raw_fd(), ifindex.cast_signed());
    // SAFETY: the options live through the call and state their own size.
    let fd = unsafe { libbpf_sys::bpf_link_create(program, interface, at, &raw const options) };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// libbpf-rs keeps the kind and the words of an error, but not the number.
pub(crate) fn words(error: libbpf_rs::Error) -> io::Error {
    let kind = match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        libbpf_rs::ErrorKind::Unsupported => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
