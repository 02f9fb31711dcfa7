//! The session with the guest's driver: its rings, and what it agreed to.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::queue::{Broken, Queue};
use crate::Capabilities;
use crate::peer::{self, lock, wake};

/// What control and the two halves of a port share.
pub(super) type Shared = peer::Shared<Session, Broken>;
/// A session, while a half works with it.
pub(super) type Held = Arc<peer::Held<Session>>;

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
        wake(fd);
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
}

impl Session {
    /// A session of these rings, in the order of their numbers.
    pub(super) fn new(rings: Vec<Ring>, features: u64, capabilities: Capabilities) -> Self {
        let (receive, transmit): (Vec<_>, Vec<_>) =
            rings.into_iter().enumerate().partition(|(number, _)| number.is_multiple_of(2));
        let rings = |numbered: Vec<(usize, Ring)>| numbered.into_iter().map(|(_, ring)| ring).collect();
        Self { receive: rings(receive), transmit: rings(transmit), features, capabilities }
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
