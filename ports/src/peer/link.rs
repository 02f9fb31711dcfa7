//! The thread that has the socket: waits for a peer or goes to it, and has it served.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

use super::{Place, Waiting, socket};
use crate::{Error, Presence};

/// From one attempt to connect to the next, and until somebody is listened to after one that was refused: it may come again,
/// but not so often that it keeps us or fills the log.
const PAUSE: Duration = Duration::from_millis(500);

/// A port's control thread. Ends with the last half of the port, and takes the socket with it.
pub(crate) struct Link {
    waiting: Waiting,
    thread: Option<JoinHandle<()>>,
}

/// Why the thread stops listening to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The port is detached.
    Stopped,
    /// The peer has hung up.
    Lost,
    /// It is not listened to any longer: what it said or did makes no sense. It may come again.
    Refused,
    /// The peer broke the rules: it does not get another chance.
    Broken,
}

/// Who speaks with peers, one after the other.
pub(crate) trait Host: Send + 'static {
    /// Speaks with a peer that has come, until it goes, the port is detached, or it is not to be listened to.
    fn serve(&mut self, peer: &OwnedFd, waiting: &Waiting) -> End;

    /// Where it is said who is there.
    fn presence(&self) -> &Presence;
}

impl Link {
    /// Listens on the socket, or begins to knock at it.
    ///
    /// # Errors
    /// If the socket cannot be listened on, or there is no thread to be had.
    pub(crate) fn start(name: &str, place: Place, waiting: Waiting, host: impl Host) -> Result<Self, Error> {
        let listener = if place.client { None } else { Some(socket::listen(name, &place)?) };
        let meeting =
            Meeting { name: name.to_owned(), place, waiting: waiting.clone(), host, failing: false };
        let builder = std::thread::Builder::new().name(format!("{name}-control"));
        let thread = builder
            .spawn(move || meeting.run(listener.as_ref()))
            .map_err(|e| Error::io(name, "starting a thread", e))?;
        Ok(Self { waiting, thread: Some(thread) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.waiting.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Meeting<H> {
    /// Of the port.
    name: String,
    place: Place,
    waiting: Waiting,
    host: H,
    /// It was said that nobody can be met, and nobody was since.
    failing: bool,
}

impl<H: Host> Meeting<H> {
    fn run(mut self, listener: Option<&OwnedFd>) {
        let how = if listener.is_some() { "waits at" } else { "goes to" };
        tracing::debug!("{}: {how} {}", self.name, self.place.path.display());
        while let Some(peer) = self.next(listener) {
            tracing::debug!("{}: a conversation begins", self.name);
            self.host.presence().come();
            let end = self.host.serve(&peer, &self.waiting);
            tracing::debug!("{}: the conversation is over: {end:?}", self.name);
            self.host.presence().go();
            if end == End::Refused && !self.waiting.is_over() {
                // It is not to wait for us, but may still read why.
                let _ = shutdown(&peer, Shutdown::Both);
                self.pause();
            }
            drop(peer);
            match end {
                End::Stopped | End::Broken => break,
                End::Lost if listener.is_none() => self.pause(),
                End::Lost | End::Refused => {}
            }
        }
        if listener.is_some() {
            socket::remove_socket(&self.place.path);
        }
    }

    fn pause(&self) {
        self.waiting.wait(None, Some(PAUSE));
    }

    /// Says why nobody can be met, once until somebody is: a descriptor may be missing for hours.
    fn fails(&mut self, call: &str, e: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!("{}: {call}: {e}{}", self.name, socket::way_in(&self.place.path, e));
        }
    }

    /// The next peer, or `None` when the port is detached.
    fn next(&mut self, listener: Option<&OwnedFd>) -> Option<OwnedFd> {
        while !self.waiting.is_over() {
            let peer = match listener {
                Some(listener) => {
                    self.waiting.wait(Some(listener.as_fd()), None);
                    if self.waiting.is_over() {
                        return None;
                    }
                    socket::accept(listener)
                }
                None => socket::dial(&self.place),
            };
            match peer {
                Ok(peer) => {
                    self.failing = false;
                    return Some(peer);
                }
                Err(e) if listener.is_some() && e.kind() == io::ErrorKind::WouldBlock => {} // something else woke us
                Err(e) => {
                    if listener.is_some() {
                        self.fails("accept", &e);
                    } else if !is_away(&e) {
                        self.fails(&format!("path={}", self.place.path.display()), &e);
                    }
                    self.pause();
                }
            }
        }
        None
    }
}

/// Whether nobody listens there yet, or too many wait already, which is no trouble.
fn is_away(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    matches!(e.kind(), NotFound | ConnectionRefused | WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};

    use super::*;
    use crate::peer::hostile::Nobody;
    use crate::peer::lines;

    fn meeting(place: Place) -> Meeting<Nobody> {
        let waiting = Waiting::new("vm1").unwrap();
        Meeting { name: "vm1".to_owned(), place, waiting, host: Nobody::default(), failing: false }
    }

    /// What is said in so many pauses.
    fn said(meeting: &mut Meeting<Nobody>, listener: Option<&OwnedFd>, pauses: u32) -> Vec<String> {
        let waiting = meeting.waiting.clone();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                std::thread::sleep(pauses * PAUSE + PAUSE / 2);
                waiting.stop();
            });
            lines(|| while meeting.next(listener).is_some() {})
        })
    }

    #[test]
    fn that_nobody_can_be_let_in_is_said_once_until_somebody_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut meeting = meeting(Place { path: path.clone(), kind: SocketType::STREAM, client: false });
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        let warning = "vm1: accept: Invalid argument (os error 22)"; // it is not listened on
        assert_eq!(said(&mut meeting, Some(&listener), 2), [warning]);
        assert_eq!(said(&mut meeting, Some(&listener), 0), [""; 0], "it was said");
        listen(&listener, 1).unwrap();
        let peer = UnixStream::connect(&path).unwrap();
        meeting.waiting = Waiting::new("vm1").unwrap();
        assert!(meeting.next(Some(&listener)).is_some());
        drop(peer);
        shutdown(&listener, Shutdown::Both).unwrap();
        assert_eq!(said(&mut meeting, Some(&listener), 1), [warning], "it is news again");
    }

    #[test]
    fn only_trouble_on_the_way_to_a_socket_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let to = |path, kind| meeting(Place { path, kind, client: true });
        let path = dir.path().join("s");
        assert_eq!(said(&mut to(path.clone(), SocketType::STREAM), None, 1), [""; 0], "nobody is there yet");
        std::fs::write(&path, "").unwrap();
        let warning = format!("vm1: path={}: not a socket (try: another path=)", path.display());
        assert_eq!(said(&mut to(path.clone(), SocketType::STREAM), None, 1), [warning]);
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let why = "Protocol wrong type for socket (os error 91) (try: another path=)";
        let warning = format!("vm1: path={}: {why}", path.display());
        assert_eq!(said(&mut to(path, SocketType::SEQPACKET), None, 1), [warning]);
    }
}
