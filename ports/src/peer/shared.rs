//! What control and the two halves of a port share: the session with the peer, while there is one.

use std::fmt::Display;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::waiting::{Waiting, wake};
use super::wakes::Wakes;
use crate::{Error, Peer, Presence};

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
    /// By share of the rings.
    wakes: Box<[Wakes]>,
    /// Wakes control.
    control: Arc<OwnedFd>,
    /// Only control says who is there.
    presence: Presence,
}

impl<S, B> Shared<S, B> {
    /// Rings are received in so many shares, at least one, each by a worker of its own.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub(crate) fn new(name: &str, waiting: &Waiting, shares: usize) -> Result<Self, Error> {
        let wakes = (0..shares.max(1)).map(|_| Wakes::new(name)).collect::<Result<_, _>>()?;
        let (control, presence) = (waiting.control(), Presence::default());
        Ok(Self { session: Mutex::default(), broken: Mutex::new(None), wakes, control, presence })
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
        self.presence.pause();
        let_go(&session);
        Some(session)
    }

    /// Begins a session, unless the peer has broken the one before.
    pub(crate) fn begin(&self, session: S)
    where
        S: Display,
    {
        if lock(&self.broken).is_some() {
            return;
        }
        self.presence.set(Peer::Here(session.to_string()));
        *lock(&self.session) = Some(Arc::new(Held { session, over: AtomicBool::new(false) }));
        self.wakes.iter().for_each(Wakes::poke); // frames may wait that nobody was kicked for
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
    pub(crate) fn broken(&self) -> Option<B>
    where
        B: Copy + Into<Peer>,
    {
        let broken = lock(&self.broken).take();
        broken.iter().for_each(|broken| self.presence.set((*broken).into()));
        broken
    }

    /// Who is there, for those who are not to hold a session.
    pub(crate) const fn presence(&self) -> &Presence {
        &self.presence
    }

    /// What wakes the worker that has this share of the rings.
    pub(crate) fn wakes(&self, share: usize) -> &Wakes {
        &self.wakes[share % self.wakes.len()]
    }

    /// In how many shares the rings are received.
    pub(crate) fn shares(&self) -> usize {
        self.wakes.len()
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
