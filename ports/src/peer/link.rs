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
        let meeting = Meeting { name: name.to_owned(), place, waiting: waiting.clone(), host };
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

    /// The next peer, or `None` when the port is detached.
    fn next(&self, listener: Option<&OwnedFd>) -> Option<OwnedFd> {
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
                Ok(peer) => return Some(peer),
                Err(e) if listener.is_some() && e.kind() == io::ErrorKind::WouldBlock => {} // something else woke us
                Err(e) => {
                    tracing::trace!("{}: {}: {e}", self.name, self.place.path.display());
                    self.pause();
                }
            }
        }
        None
    }
}
