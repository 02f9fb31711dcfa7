//! What wakes a worker that waits for a peer's frames.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::waiting::wake;
use crate::Error;

/// The kicks that are one worker's to wake by, and a way to wake it without any.
#[derive(Debug)]
pub(crate) struct Wakes {
    epoll: OwnedFd,
    poke: OwnedFd,
}

impl Wakes {
    /// # Errors
    /// If there are no descriptors left.
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
        let wakes = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create"))?,
            poke: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("eventfd"))?,
        };
        wakes.watch(wakes.poke.as_fd()).map_err(failed("epoll_ctl"))?;
        Ok(wakes)
    }

    /// Kicks by this descriptor wake the worker from now on, until it is closed.
    ///
    /// # Errors
    /// Of `epoll_ctl`: the descriptor is none that can be waited for.
    pub(crate) fn watch(&self, kick: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&self.epoll, kick, data, epoll::EventFlags::IN | epoll::EventFlags::ET)
    }

    /// Kicks by this descriptor wake it no more.
    pub(crate) fn unwatch(&self, kick: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, kick);
    }

    /// Wakes it.
    pub(super) fn poke(&self) {
        wake(&self.poke);
    }

    /// Becomes readable when a kick comes.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Forgets the kicks that came: the edges are taken off, so that the next one shows again.
    pub(crate) fn drain(&self) {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 16];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = epoll::wait(&self.epoll, &mut events, Some(&now));
    }
}
