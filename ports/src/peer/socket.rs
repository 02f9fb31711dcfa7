//! Unix sockets: listening, calling, and bytes with the descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen as listen_on, recvmsg, sendmsg, socket_with,
};

use super::Place;
use crate::Error;
use crate::error::way_out;

/// Most descriptors that any message of our protocols brings.
pub(crate) const DESCRIPTORS: usize = 8;

/// How long a message may take from its first byte to its last, and an answer to be taken: nobody may keep control from
/// hearing that the port is detached.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Peers that may wait to be answered.
const BACKLOG: i32 = 16;

fn new(place: &Place) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, place.kind, flags, None)?)
}

/// Goes to a socket that somebody listens on; never waits.
///
/// # Errors
/// Of the socket; `WouldBlock` if too many wait there; `InvalidData` if it is something else, of which the kernel says no
/// more than that nobody listens.
pub(crate) fn dial(place: &Place) -> io::Result<OwnedFd> {
    let socket = new(place)?;
    match connect(&socket, &SocketAddrUnix::new(&place.path)?) {
        Ok(()) => Ok(socket),
        Err(Errno::CONNREFUSED) if is_no_socket(&place.path) => {
            Err(invalid("not a socket (try: another path=)"))
        }
        Err(e) => Err(e.into()),
    }
}

/// Whether something else is there.
fn is_no_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| !there.file_type().is_socket())
}

/// Listens on a socket of ours, which nobody else may use, or has datagrams sent to it. One that nobody listens on any more
/// is replaced.
///
/// # Errors
/// [`Error::Taken`] if somebody listens there; [`Error::Invalid`] if it cannot be listened on.
pub(crate) fn listen(name: &str, place: &Place) -> Result<OwnedFd, Error> {
    if is_answered(place) {
        let what = format!("somebody listens on {} (try: another path=)", place.path.display());
        return Err(Error::Taken { name: name.to_owned(), what });
    }
    remove_socket(&place.path);
    if std::fs::symlink_metadata(&place.path).is_ok() {
        let what = format!("{}: there already, and not a socket", place.path.display());
        let what = format!("{what} (try: another path=, or remove it)");
        return Err(Error::Taken { name: name.to_owned(), what });
    }
    let failed = |e: io::Error| Error::Invalid {
        name: name.to_owned(),
        what: format!("path={}: {e}{}", place.path.display(), way_in(&place.path, &e)),
    };
    listen_at(place).map_err(failed)
}

/// What to try where there can be no socket, or is another one.
pub(super) fn way_in(path: &Path, e: &io::Error) -> String {
    match (Errno::from_io_error(e), path.parent()) {
        (Some(Errno::NOENT), Some(parent)) => format!(" (try: mkdir -p {})", parent.display()),
        (Some(Errno::PROTOTYPE), _) => " (try: another path=)".to_owned(),
        (Some(Errno::NAMETOOLONG), _) => " (try: a shorter path=)".to_owned(),
        _ => way_out(e).to_owned(),
    }
}

/// Whether somebody listens there, whatever the kind of socket.
fn is_answered(place: &Place) -> bool {
    match dial(place) {
        Ok(_) => true,
        Err(e) => {
            e.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) || e.kind() == io::ErrorKind::WouldBlock
        }
    }
}

/// Removes a socket, and nothing that is something else.
pub(crate) fn remove_socket(path: &Path) {
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
}

fn listen_at(place: &Place) -> io::Result<OwnedFd> {
    let socket = new(place)?;
    bind(&socket, &SocketAddrUnix::new(&place.path)?)?;
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o600))?;
    if place.kind != SocketType::DGRAM {
        listen_on(&socket, BACKLOG)?;
    }
    Ok(socket)
}

/// The next peer that waits.
///
/// # Errors
/// Of the socket; `WouldBlock` if nobody waits.
pub(super) fn accept(listener: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)
}

/// Prepares a conversation: reads and writes wait, but not for ever.
///
/// # Errors
/// Of the socket.
pub(crate) fn open(socket: &OwnedFd) -> io::Result<()> {
    fcntl_setfl(socket, fcntl_getfl(socket)? - OFlags::NONBLOCK)?;
    set_socket_timeout(socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(socket, Timeout::Send, Some(PATIENCE))?;
    Ok(())
}

/// Reads until `to` is full; false if the other side hung up instead. Descriptors that came are appended to `fds`.
///
/// # Errors
/// Of the socket; `TimedOut` after `end`; `InvalidData` for more descriptors than any message has.
pub(crate) fn fill(
    socket: impl AsFd,
    mut to: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    end: Instant,
) -> io::Result<bool> {
    while !to.is_empty() {
        if Instant::now() > end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let n = receive(&socket, to, fds)?;
        if n == 0 {
            return Ok(false);
        }
        to = &mut to[n..];
    }
    Ok(true)
}

/// Reads once: what there is, or one packet, as far as it fits. 0 when the other side has hung up.
///
/// # Errors
/// As [`fill`].
pub(crate) fn receive(socket: impl AsFd, to: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let n = retry(|| recvmsg(&socket, &mut [IoSliceMut::new(to)], &mut control, RecvFlags::CMSG_CLOEXEC))?;
    let before = fds.len();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    // There was room for more: it is we who may not have as many (net/core/scm.c).
    if n.flags.contains(ReturnFlags::CTRUNC) && fds.len() - before < DESCRIPTORS {
        return Err(invalid(
            "we are out of descriptors (try: a higher ulimit -n, or LimitNOFILE= of a service)",
        ));
    }
    // What the kernel could not fit is closed already; what came late may still be too many.
    if n.flags.contains(ReturnFlags::CTRUNC) || fds.len() > DESCRIPTORS {
        return Err(invalid("more descriptors than any message has"));
    }
    Ok(n.bytes)
}

/// Sends all of `bytes`, with at most [`DESCRIPTORS`] descriptors beside the first of them.
///
/// # Errors
/// Of the socket; `WouldBlock` if the other side takes nothing for [`PATIENCE`].
pub(crate) fn send(socket: impl AsFd, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(invalid("more descriptors than any message has"));
        }
        let n = retry(|| sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))?;
        (bytes, fds) = (&bytes[n..], &[]);
    }
    Ok(())
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

pub(crate) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_socket_can_be_there_is_a_way_out() {
        let refusal = |path: &str| {
            let place = Place { path: path.into(), kind: SocketType::STREAM, client: false };
            listen("vm1", &place).unwrap_err().to_string()
        };
        assert_eq!(
            refusal("/no/where/s"),
            "vm1: path=/no/where/s: No such file or directory (os error 2) (try: mkdir -p /no/where)"
        );
        let long = refusal(&format!("/tmp/{}", "s".repeat(120)));
        assert!(long.ends_with("File name too long (os error 36) (try: a shorter path=)"), "{long}");
    }
}
