//! The session with the guest's driver: its rings, and what it agreed to.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::queue::{Broken, Queue};
use crate::peer::{self, lock, wake};
use crate::presence::takes;
use crate::{Capabilities, Peer};

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
    /// It was enabled and is no more: what the guest had on its way by it is given back, or it would wait for ever.
    pub(super) retired: bool,
}

impl Ring {
    /// The ring, if it is to be worked on.
    #[inline]
    pub(super) fn running(&self) -> Option<&Queue> {
        self.queue.as_ref().filter(|_| self.enabled.load(Ordering::Acquire))
    }

    /// The ring, if what it has is to be taken off it.
    pub(super) fn drained(&self) -> Option<&Queue> {
        self.queue.as_ref().filter(|_| self.retired || self.enabled.load(Ordering::Acquire))
    }

    /// Calls the guest, whether it wants that or not: it may have missed a call.
    pub(super) fn call(&self) {
        signal(&self.call);
    }

    /// Calls the guest about what was published, if it wants that.
    pub(super) fn call_if_wanted(&self) {
        if self.queue.as_ref().is_some_and(Queue::calls) {
            signal(&self.call);
        }
    }

    /// Whether the guest wants to be called about what was published.
    pub(super) fn wants_call(&self) -> bool {
        self.queue.as_ref().is_some_and(Queue::wants_call)
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
    /// All rings: of the pair `i`, `2 * i` is the guest's receive ring, the other its transmit ring. The latter are in
    /// shares, to which they are dealt in turn.
    receive: Vec<Ring>,
    transmit: Vec<Vec<Ring>>,
    pub(super) features: u64,
    pub(super) capabilities: Capabilities,
}

impl Session {
    /// A session of these rings, in the order of their numbers, of which as many shares are received.
    pub(super) fn new(rings: Vec<Ring>, shares: usize, features: u64, capabilities: Capabilities) -> Self {
        let (mut receive, mut transmit) = (Vec::new(), Vec::new());
        transmit.resize_with(shares.max(1), Vec::new);
        for (number, ring) in rings.into_iter().enumerate() {
            let share = pair(number) % transmit.len();
            if number.is_multiple_of(2) { receive.push(ring) } else { transmit[share].push(ring) }
        }
        Self { receive, transmit, features, capabilities }
    }

    /// The rings that the guest receives by.
    pub(super) fn receive_rings(&self) -> &[Ring] {
        &self.receive
    }

    /// One share of the rings that the guest transmits by.
    #[inline]
    pub(super) fn transmit_rings(&self, share: usize) -> &[Ring] {
        self.transmit.get(share).map_or(&[], Vec::as_slice)
    }

    /// The ring of this number.
    pub(super) fn ring(&self, number: usize) -> Option<&Ring> {
        let (pair, shares) = (pair(number), self.transmit.len());
        if number.is_multiple_of(2) {
            self.receive.get(pair)
        } else {
            self.transmit[pair % shares].get(pair / shares)
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rings = || self.receive.iter().chain(self.transmit.iter().flatten());
        let running = rings().filter(|ring| ring.running().is_some()).count();
        write!(f, "{running} of {} rings, {}", rings().count(), takes(&self.capabilities))
    }
}

impl From<Broken> for Peer {
    fn from(broken: Broken) -> Self {
        Self::Ended(format!("the guest broke the rules: {broken}"))
    }
}

/// The pair that a ring belongs to.
pub(super) const fn pair(number: usize) -> usize {
    number / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transmit_ring_is_in_one_share() {
        for shares in 1..=4 {
            let rings: Vec<_> = std::iter::repeat_with(Ring::default).take(8).collect();
            let marks: Vec<_> = rings.iter().map(|ring| ring.enabled.clone()).collect();
            let session = Session::new(rings, shares, 0, Capabilities::all(1500));
            let is = |ring: Option<&Ring>, number: usize| {
                ring.is_some_and(|ring| Arc::ptr_eq(&ring.enabled, &marks[number]))
            };
            for number in 0..8 {
                assert!(is(session.ring(number), number), "ring {number} of {shares} shares");
            }
            let dealt = (0..shares).map(|share| session.transmit_rings(share).len()).collect::<Vec<_>>();
            assert_eq!(dealt.iter().sum::<usize>(), 4, "{dealt:?}");
            assert!(dealt.iter().all(|n| *n >= 1), "{dealt:?}");
            assert!(is(session.transmit_rings(1 % shares).get(1 / shares), 3), "pair 1 of {shares} shares");
            assert!(session.transmit_rings(shares).is_empty() && session.ring(8).is_none());
        }
    }
}
