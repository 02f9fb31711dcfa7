//! Whole messages with the descriptors beside them.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::message::{HEADER, Header, REGIONS, Reply};
use crate::peer::socket::{DESCRIPTORS, PATIENCE, fill, invalid, send};

const _: () = assert!(REGIONS <= DESCRIPTORS);

/// One message, its payload not looked at yet.
pub(super) struct Letter {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

/// Whether the other side has hung up, and with answers unread: it was killed.
fn is_gone(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Reads one message. `None` when the front-end has hung up.
///
/// # Errors
/// Of the socket; `InvalidData` for a header that makes no sense or more descriptors than any message has.
pub(super) fn read(socket: &OwnedFd) -> io::Result<Option<Letter>> {
    match read_whole(socket) {
        Err(e) if is_gone(&e) => Ok(None),
        letter => letter,
    }
}

fn read_whole(socket: &OwnedFd) -> io::Result<Option<Letter>> {
    let mut header = [0; HEADER];
    let mut fds = Vec::new();
    let end = Instant::now() + PATIENCE;
    // Exactly a header: one byte more could swallow the next message, and the descriptors that come with it.
    if !fill(socket, &mut header, &mut fds, end)? {
        return Ok(None);
    }
    let header = Header::parse(header).ok_or_else(|| invalid("no vhost-user message"))?;
    let mut payload = vec![0; header.size];
    if !fill(socket, &mut payload, &mut fds, end)? {
        return Ok(None);
    }
    Ok(Some(Letter { header, payload, fds }))
}

/// Answers a request. That the front-end has gone meanwhile, the next [`read`] says.
///
/// # Errors
/// Of the socket.
pub(super) fn reply(socket: &OwnedFd, request: u32, reply: Reply) -> io::Result<()> {
    match send(socket, &reply.to_bytes(request), &[]) {
        Err(e) if is_gone(&e) => Ok(()),
        sent => sent,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn pair() -> (OwnedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours.into(), theirs)
    }

    /// Also more descriptors than are right.
    fn send(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
    }

    fn header(request: u32, size: u32) -> Vec<u8> {
        [request, 1, size].map(u32::to_le_bytes).concat()
    }

    #[test]
    fn messages_are_kept_apart_with_their_descriptors() {
        let (ours, theirs) = pair();
        send(&theirs, &[header(12, 8), vec![1; 8]].concat(), &[theirs.as_fd()]);
        send(&theirs, &header(3, 0), &[]);
        send(&theirs, &header(13, 8), &[theirs.as_fd()]);
        (&theirs).write_all(&[2; 8]).unwrap();
        let letters: Vec<_> = (0..3).map(|_| read(&ours).unwrap().unwrap()).collect();
        assert_eq!(
            letters.iter().map(|l| (l.header.request, l.fds.len())).collect::<Vec<_>>(),
            [(12, 1), (3, 0), (13, 1)]
        );
        assert_eq!(letters[2].payload, [2; 8]);
        drop((theirs, letters)); // which hold the other end too
        assert!(read(&ours).unwrap().is_none());
    }

    #[test]
    fn too_many_descriptors_and_nonsense_are_refused() {
        for (bytes, fds) in [
            (header(12, 0), REGIONS + 1),
            (header(12, 0), 30),
            (header(12, 100_000), 0),
            (vec![0; HEADER], 0),
        ] {
            let (ours, theirs) = pair();
            send(&theirs, &bytes, &vec![theirs.as_fd(); fds]);
            assert_eq!(read(&ours).err().unwrap().kind(), io::ErrorKind::InvalidData, "{bytes:?} {fds}");
        }
    }

    #[test]
    fn half_a_message_is_no_message() {
        let (ours, theirs) = pair();
        (&theirs).write_all(&[header(2, 8), vec![0; 4]].concat()).unwrap();
        drop(theirs);
        assert!(read(&ours).unwrap().is_none());
    }
}
