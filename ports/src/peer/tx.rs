//! To the peer: bursts into the rings of the session that is.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::{Ahead, Filling, Held, Link, Shared, fill};
use crate::draft::Outlet;
use crate::{Capabilities, Frame, Sent};

/// Most rings of either direction.
pub(crate) const RINGS: usize = 8;
/// What a port takes while nobody is there: everything, and it fails.
const ABSENT: Capabilities = Capabilities::all(1500);

/// A session whose peer takes frames.
pub(crate) trait Taking: Send + Sync {
    /// A slot of a ring, looked up.
    type Slot: Copy + Send;
    /// How the peer breaks the rules.
    type Broken: Send;
    /// A ring, while a burst is on its way into it.
    type Ring<'r>: Filling<Broken = Self::Broken>
    where
        Self: 'r;

    /// What the peer takes.
    fn capabilities(&self) -> &Capabilities;

    /// The rings to fill, each with scratch memory.
    fn rings<'r>(&'r self, ahead: &'r mut [Ahead<Self::Slot>]) -> impl Iterator<Item = Self::Ring<'r>>;

    /// Wakes the peer about what it was given, where it wants that.
    fn kick(&self);
}

/// The transmitting half.
pub(crate) struct PeerTx<S: Taking> {
    shared: Arc<Shared<S, S::Broken>>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    /// For each ring.
    ahead: Box<[Ahead<S::Slot>; RINGS]>,
}

impl<S: Taking> PeerTx<S> {
    pub(crate) fn new(shared: Arc<Shared<S, S::Broken>>, link: Arc<Link>) -> Self {
        Self { shared, _link: link, ahead: Box::new([const { Ahead::new() }; RINGS]) }
    }
}

/// Copies frames into the rings of a session. If it is over by then, they are not given to the peer, and have failed:
/// another session may be at work on the same rings.
fn send<S: Taking>(
    session: &Held<S>,
    frames: &[Frame<'_>],
    ahead: &mut [Ahead<S::Slot>],
) -> (Sent, Option<S::Broken>) {
    let mut rings: ArrayVec<_, RINGS> = session.rings(ahead).collect();
    let (sent, broken) = fill(&mut rings, frames, session.capabilities());
    if session.is_over() {
        return (Sent { taken: sent.taken, ..Sent::default() }, broken);
    }
    rings.iter().for_each(Filling::publish);
    (sent, broken)
}

impl<S: Taking> Outlet for PeerTx<S> {
    fn capabilities(&self) -> Capabilities {
        self.shared.session().map_or(ABSENT, |session| *session.capabilities())
    }

    /// Copies frames into the rings of the session that is; without one they fail.
    fn send(&mut self, frames: &[Frame<'_>]) -> Sent {
        let Some(session) = self.shared.session() else {
            return Sent { taken: frames.len(), ..Sent::default() }; // nobody is there
        };
        let (sent, broken) = send(&session, frames, &mut *self.ahead);
        if let Some(broken) = broken {
            self.shared.fail(&session, broken);
        }
        sent
    }

    fn flush(&mut self, settled: bool) -> bool {
        if let Some(session) = self.shared.session() {
            session.kick();
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::peer::Put;
    use crate::peer::hostile::link;

    /// Has one ring, with room for everything.
    #[derive(Default)]
    struct Roomy {
        published: AtomicUsize,
    }

    struct Filled<'r> {
        session: &'r Roomy,
        filled: usize,
    }

    impl Filling for Filled<'_> {
        type Broken = ();

        fn put(&mut self, _: &Frame<'_>, _: usize) -> Result<Put, ()> {
            self.filled += 1;
            Ok(Put::Delivered)
        }

        fn publish(&self) {
            self.session.published.fetch_add(self.filled, Ordering::Relaxed);
        }
    }

    impl Taking for Roomy {
        type Slot = ();
        type Broken = ();
        type Ring<'r> = Filled<'r>;

        fn capabilities(&self) -> &Capabilities {
            &ABSENT
        }

        fn rings<'r>(&'r self, _: &'r mut [Ahead<()>]) -> impl Iterator<Item = Filled<'r>> {
            std::iter::once(Filled { session: self, filled: 0 })
        }

        fn kick(&self) {}
    }

    impl fmt::Display for Roomy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("room")
        }
    }

    /// The receiving half sees the peer break the rules while the transmitting half, on another core, fills rings.
    #[test]
    fn what_a_peer_that_has_gone_was_not_given_has_failed() {
        let (waiting, link) = link();
        let shared = Arc::new(Shared::<Roomy, ()>::new("test", &waiting, 1).expect("descriptors"));
        shared.begin(Roomy::default());
        let mut tx = PeerTx::new(shared.clone(), link);
        let frames = [Frame::new(&[0; 60]); 2];
        assert_eq!(tx.send(&frames), Sent { taken: 2, frames: 2, bytes: 120 });
        let session = shared.session().expect("one has begun");
        shared.fail(&session, ());
        let failed = Sent { taken: 2, frames: 0, bytes: 0 };
        assert_eq!(send(&session, &frames, &mut *tx.ahead).0, failed);
        assert_eq!(session.published.load(Ordering::Relaxed), 2, "of the first burst");
        assert_eq!(tx.send(&frames), failed, "nobody is there");
    }
}
