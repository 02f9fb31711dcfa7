//! The thread that has the socket: waits for a peer or goes to it, and has it served.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::shared::wake;
use super::{Place, socket};
use crate::Error;

/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(500);

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
    /// The peer has hung up, or said something that makes no sense.
    Lost,
    /// The peer broke the rules: it does not get another chance.
    Broken,
}

/// Who speaks with peers, one after the other.
pub(crate) trait Host: Send + 'static {
    /// Speaks with a peer that has come, until it goes, the port is detached, or it is not to be listened to.
    fn serve(&mut self, peer: &OwnedFd, waiting: &Waiting) -> End;
}

/// How the control thread waits: whatever for, it hears that the port is detached.
#[derive(Clone)]
pub(crate) struct Waiting {
    control: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
}

impl Waiting {
    /// # Errors
    /// If there is no descriptor left.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let control = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let control = Arc::new(control.map_err(|e| Error::io(name, "eventfd", e))?);
        Ok(Self { control, stop: Arc::default() })
    }

    /// Whether the port is detached.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// What wakes the thread: [`wake`] it for it to look around.
    pub(crate) fn control(&self) -> Arc<OwnedFd> {
        self.control.clone()
    }

    /// Waits for this descriptor to be readable, for a word to control, or for the time to pass. Says whether it was
    /// the descriptor.
    pub(crate) fn wait(&self, fd: Option<BorrowedFd<'_>>, time: Option<Duration>) -> bool {
        let control = self.control.as_fd();
        let mut fds = vec![PollFd::from_borrowed_fd(control, PollFlags::IN)];
        fds.extend(fd.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let ready = poll(&mut fds, time.as_ref()).is_ok_and(|n| n > 0);
        let mut count = [0; 8];
        let _ = rustix::io::read(control, &mut count); // EAGAIN: nothing was said
        ready && fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
    }
}

impl Link {
    /// Listens on the socket, or begins to knock at it.
    ///
    /// # Errors
    /// If the socket cannot be listened on, or there is no thread to be had.
    pub(crate) fn start(name: &str, place: Place, waiting: Waiting, host: impl Host) -> Result<Self, Error> {
        let listener = if place.client { None } else { Some(socket::listen(name, &place)?) };
        let meeting = Meeting { place, waiting: waiting.clone(), host };
        let builder = std::thread::Builder::new().name(format!("{name}-control"));
        let thread = builder
            .spawn(move || meeting.run(listener.as_ref()))
            .map_err(|e| Error::io(name, "starting a thread", e))?;
        Ok(Self { waiting, thread: Some(thread) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.waiting.stop.store(true, Ordering::Release);
        wake(&self.waiting.control);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Meeting<H> {
    place: Place,
    waiting: Waiting,
    host: H,
}

impl<H: Host> Meeting<H> {
    fn run(mut self, listener: Option<&OwnedFd>) {
        while let Some(peer) = self.next(listener) {
            let end = self.host.serve(&peer, &self.waiting);
            drop(peer);
            if end != End::Lost {
                break;
            }
            if listener.is_none() {
                self.waiting.wait(None, Some(RETRY));
            }
        }
        if listener.is_some() {
            socket::remove_socket(&self.place.path);
        }
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
                Err(_) => {
                    self.waiting.wait(None, Some(RETRY));
                }
            }
        }
        None
    }
}
