//! What control and the two halves of a port share: the session with the peer, while there is one.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::waiting::{Waiting, wake};
use crate::Error;

/// How long control waits for a half to let go of a session: the half works on one burst.
const LET_GO: Duration = Duration::from_secs(1);

/// A session `S` that halves may hold, until they see that it is over.
#[derive(Debug)]
pub(crate) struct Held<S> {
    session: S,
    /// Somebody did not let go of it in time, or the peer broke it: it is to be left alone.
    over: AtomicBool,
}

impl<S> Held<S> {
    /// Whether it is to be left alone: another session may have begun meanwhile.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl<S> Deref for Held<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        &self.session
    }
}

/// Shared by control and both halves. A session is never changed: what changes is a new one. `B` is what a peer can
/// break.
#[derive(Debug)]
pub(crate) struct Shared<S, B> {
    session: Mutex<Option<Arc<Held<S>>>>,
    /// What the peer broke, for control to see.
    broken: Mutex<Option<B>>,
    /// Wakes the worker: the kicks of the session, and `poke`.
    epoll: OwnedFd,
    poke: OwnedFd,
    /// Wakes control.
    control: Arc<OwnedFd>,
}

impl<S, B> Shared<S, B> {
    /// # Errors
    /// If there are no descriptors left.
    pub(crate) fn new(name: &str, waiting: &Waiting) -> Result<Self, Error> {
        let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
        let shared = Self {
            session: Mutex::default(),
            broken: Mutex::new(None),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create"))?,
            poke: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("eventfd"))?,
            control: waiting.control(),
        };
        shared.watch(shared.poke.as_fd()).map_err(failed("epoll_ctl"))?;
        Ok(shared)
    }

    /// The session, for as long as the caller holds it; `None` while there is none.
    #[inline]
    pub(crate) fn session(&self) -> Option<Arc<Held<S>>> {
        lock(&self.session).clone()
    }

    /// Ends the session that is, and waits until nobody works with it; gives it back. If somebody does not let go in
    /// time, what they hold lives until they do.
    pub(crate) fn end(&self) -> Option<Arc<Held<S>>> {
        let session = lock(&self.session).take()?;
        let_go(&session);
        Some(session)
    }

    /// Begins a session, unless the peer has broken the one before.
    pub(crate) fn begin(&self, session: S) {
        if lock(&self.broken).is_some() {
            return;
        }
        *lock(&self.session) = Some(Arc::new(Held { session, over: AtomicBool::new(false) }));
        wake(&self.poke); // frames may wait that nobody was kicked for
    }

    /// Tells control what the peer broke.
    #[cold]
    pub(crate) fn fail(&self, session: &Arc<Held<S>>, broken: B) {
        if session.over.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.broken).get_or_insert(broken);
        *lock(&self.session) = None;
        wake(&self.control);
    }

    /// What the peer broke since this was asked last.
    pub(crate) fn broken(&self) -> Option<B> {
        lock(&self.broken).take()
    }

    /// Kicks by this descriptor wake the worker from now on, until it is closed.
    ///
    /// # Errors
    /// Of `epoll_ctl`: the descriptor is none that can be waited for.
    pub(crate) fn watch(&self, kick: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&self.epoll, kick, data, epoll::EventFlags::IN | epoll::EventFlags::ET)
    }

    /// Kicks by this descriptor wake nobody any more.
    pub(crate) fn unwatch(&self, kick: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, kick);
    }

    /// Becomes readable when a kick comes.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Forgets the kicks that came: the edges are taken off, so that the next one shows again.
    pub(crate) fn drain_wakes(&self) {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 16];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = epoll::wait(&self.epoll, &mut events, Some(&now));
    }
}

/// Waits until nobody else holds it.
fn let_go<S>(session: &Arc<Held<S>>) {
    let end = Instant::now() + LET_GO;
    while Arc::strong_count(session) > 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_micros(20));
    }
    fence(Ordering::Acquire); // what others did with it happened before
    session.over.store(true, Ordering::Release);
}

/// Locks; what a thread that panicked left behind is as good as anything.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
