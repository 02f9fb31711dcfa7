//! What control and the two halves of a port share: the session with the guest's driver, while there is one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::queue::{Broken, Queue};
use crate::{Capabilities, Error};

/// How long control waits for a half to let go of a session: the half works on one burst.
const LET_GO: Duration = Duration::from_secs(1);

/// One of the rings, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// There once the ring has addresses, a kick and a size.
    pub(super) queue: Option<Queue>,
    /// By which the guest is called. It changes at any time, as the guest masks and unmasks.
    pub(super) call: Arc<Mutex<Option<OwnedFd>>>,
    /// `SET_VRING_ENABLE`, which comes before or after everything else.
    pub(super) enabled: Arc<AtomicBool>,
}

impl Ring {
    /// The ring, if it is to be worked on.
    #[inline]
    pub(super) fn running(&self) -> Option<&Queue> {
        self.queue.as_ref().filter(|_| self.enabled.load(Ordering::Acquire))
    }

    /// Calls the guest, whether it wants that or not: it may have missed a call.
    pub(super) fn call(&self) {
        signal(&self.call);
    }

    /// Calls the guest about what was published, if it wants that.
    pub(super) fn call_if_wanted(&self) {
        if self.queue.as_ref().is_some_and(Queue::wants_call) {
            signal(&self.call);
        }
    }
}

/// Signals the descriptor, if there is one: a guest that polls gives none.
fn signal(call: &Mutex<Option<OwnedFd>>) {
    if let Some(fd) = &*lock(call) {
        let _ = rustix::io::write(fd, &1u64.to_ne_bytes()); // fails when the counter is full: it is being called already
    }
}

/// A state of affairs with the guest's driver. Never changed: what changes is a new one.
#[derive(Debug)]
pub(super) struct Session {
    /// All rings: of the pair `i`, `2 * i` is the guest's receive ring, the other its transmit ring.
    receive: Vec<Ring>,
    transmit: Vec<Ring>,
    pub(super) features: u64,
    pub(super) capabilities: Capabilities,
    /// Somebody did not let go of it in time, and is to leave the rings alone.
    over: AtomicBool,
}

impl Session {
    /// Whether another session has begun meanwhile.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// A session of these rings, in the order of their numbers.
    pub(super) fn new(rings: Vec<Ring>, features: u64, capabilities: Capabilities) -> Self {
        let (receive, transmit): (Vec<_>, Vec<_>) =
            rings.into_iter().enumerate().partition(|(number, _)| number.is_multiple_of(2));
        let rings = |numbered: Vec<(usize, Ring)>| numbered.into_iter().map(|(_, ring)| ring).collect();
        Self {
            receive: rings(receive),
            transmit: rings(transmit),
            features,
            capabilities,
            over: AtomicBool::new(false),
        }
    }

    /// The rings that the guest receives by.
    pub(super) fn receive_rings(&self) -> &[Ring] {
        &self.receive
    }

    /// The rings that the guest transmits by.
    pub(super) fn transmit_rings(&self) -> &[Ring] {
        &self.transmit
    }

    /// The ring of this number.
    pub(super) fn ring(&self, number: usize) -> Option<&Ring> {
        if number.is_multiple_of(2) { self.receive.get(number / 2) } else { self.transmit.get(number / 2) }
    }
}

/// Shared by control and both halves.
#[derive(Debug)]
pub(super) struct Shared {
    session: Mutex<Option<Arc<Session>>>,
    /// What the guest broke, for control to see.
    broken: Mutex<Option<Broken>>,
    /// Wakes the worker: the kicks of the session's rings, and `poke`.
    epoll: OwnedFd,
    poke: OwnedFd,
    /// Wakes control.
    pub(super) control: OwnedFd,
}

impl Shared {
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        let failed = |call| move |e: rustix::io::Errno| Error::io(name, call, e);
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("eventfd"));
        let shared = Self {
            session: Mutex::default(),
            broken: Mutex::default(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create"))?,
            poke: event()?,
            control: event()?,
        };
        shared.watch(shared.poke.as_fd()).map_err(failed("epoll_ctl"))?;
        Ok(shared)
    }

    /// The session, for as long as the caller holds it; `None` while there is none.
    #[inline]
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    /// Ends the session that is, and waits until nobody works with it; gives it back. If somebody does not let go in
    /// time, what they hold lives until they do.
    pub(super) fn end(&self) -> Option<Arc<Session>> {
        let session = lock(&self.session).take()?;
        let_go(&session);
        Some(session)
    }

    /// Begins a session, unless the guest has broken the one before.
    pub(super) fn begin(&self, session: Session) {
        if lock(&self.broken).is_some() {
            return;
        }
        *lock(&self.session) = Some(Arc::new(session));
        wake(&self.poke); // frames may wait that nobody was kicked for
    }

    /// Tells control what the guest broke.
    #[cold]
    pub(super) fn fail(&self, session: &Arc<Session>, broken: Broken) {
        if session.is_over() {
            return;
        }
        lock(&self.broken).get_or_insert(broken);
        *lock(&self.session) = None;
        wake(&self.control);
    }

    /// What the guest broke since this was asked last.
    pub(super) fn broken(&self) -> Option<Broken> {
        lock(&self.broken).take()
    }

    /// Kicks by this descriptor wake the worker from now on, until it is closed.
    pub(super) fn watch(&self, kick: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&self.epoll, kick, data, epoll::EventFlags::IN | epoll::EventFlags::ET)
    }

    /// Kicks by this descriptor wake nobody any more.
    pub(super) fn unwatch(&self, kick: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, kick);
    }

    /// Becomes readable when a kick comes.
    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Forgets the kicks that came: the edges are taken off, so that the next one shows again.
    pub(super) fn drain_wakes(&self) {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 16];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = epoll::wait(&self.epoll, &mut events, Some(&now));
    }
}

/// Waits until nobody else holds it.
fn let_go(session: &Arc<Session>) {
    let end = Instant::now() + LET_GO;
    while Arc::strong_count(session) > 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_micros(20));
    }
    fence(Ordering::Acquire); // what others did with it happened before
    session.over.store(true, Ordering::Release);
}

pub(super) fn wake(event: &OwnedFd) {
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
