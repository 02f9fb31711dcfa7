//! How an interface stands of which a port holds the far end: asked of the port's own descriptor, wherever the interface
//! has been moved to since, and whatever it is called there.

use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How an interface stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It takes frames.
    Up,
    /// It is administratively down.
    Down,
    /// It is no more.
    Gone,
}

/// Who knows how the interface of a TAP stands, for as long as its port lives. Holds on to nothing.
#[derive(Clone)]
pub struct Link {
    name: String,
    descriptor: Weak<dyn AsFd + Send + Sync>,
}

impl Link {
    /// Of the interface `name`, whose far end that is.
    pub(crate) fn new<D: AsFd + Send + Sync + 'static>(name: &str, descriptor: &Arc<D>) -> Self {
        let weak = Arc::downgrade(descriptor);
        Self { name: name.to_owned(), descriptor: weak }
    }

    /// What the interface was called when the port was opened.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it stands now. It can be written to only while it is up, and polling what has no interface is an error
    /// (`tun_chr_poll` in drivers/net/tun.c).
    #[must_use]
    pub fn state(&self) -> LinkState {
        let Some(descriptor) = self.descriptor.upgrade() else { return LinkState::Gone };
        let mut asked = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut asked, Some(&now)).is_err() {
            return LinkState::Up; // nothing is known, and so nothing is wrong
        }
        match asked[0].revents() {
            events if events.contains(PollFlags::ERR) => LinkState::Gone,
            events if events.contains(PollFlags::OUT) => LinkState::Up,
            _ => LinkState::Down,
        }
    }
}
