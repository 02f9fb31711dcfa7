//! How the control thread waits, and is woken.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::Error;

/// Whatever the control thread waits for, it hears that the port is detached.
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

    /// Says that the port is detached.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        wake(&self.control);
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

/// Signals an eventfd, which may be signalled already.
pub(crate) fn wake(event: impl AsFd) {
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}
