//! Who is connected to the daemon, and whether anybody else is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Who is there.
#[derive(Default)]
pub(super) struct Visitors {
    clients: AtomicUsize,
    /// Those of them for whom an app runs.
    hosts: AtomicUsize,
    /// Nobody is let in any more.
    closed: AtomicBool,
}

impl Visitors {
    /// Clients connected now.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::SeqCst)
    }

    /// Those of them for whom an app runs.
    pub(super) fn hosts(&self) -> usize {
        self.hosts.load(Ordering::SeqCst)
    }

    /// Lets nobody in from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// As [`Self::close`] if nobody is there, and says whether that is so.
    pub(super) fn close_if_alone(&self) -> bool {
        // A client counts itself and then looks at the door; here the door is closed and then they are counted.
        self.close();
        let alone = self.clients() == 0;
        self.closed.store(alone, Ordering::SeqCst);
        alone
    }

    /// Whether who comes now is to be hung up on.
    pub(super) fn are_shut_out(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

/// One client, counted for as long as this lives.
pub(super) struct Counted {
    among: Arc<Visitors>,
    hosts: bool,
}

impl Counted {
    /// One more, and how many there were before.
    pub(super) fn new(among: &Arc<Visitors>) -> (Self, usize) {
        let before = among.clients.fetch_add(1, Ordering::SeqCst);
        (Self { among: among.clone(), hosts: false }, before)
    }

    /// From now on an app runs for this client.
    pub(super) fn hosts(&mut self) {
        if !std::mem::replace(&mut self.hosts, true) {
            self.among.hosts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.hosts {
            self.among.hosts.fetch_sub(1, Ordering::SeqCst);
        }
        self.among.clients.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_closes_behind_the_last_one() {
        let visitors = Arc::<Visitors>::default();
        let ((mut first, none), (second, one)) = (Counted::new(&visitors), Counted::new(&visitors));
        first.hosts();
        first.hosts();
        assert_eq!((none, one, visitors.clients(), visitors.hosts()), (0, 1, 2, 1));
        assert!(!visitors.close_if_alone() && !visitors.are_shut_out());
        drop((first, second));
        assert_eq!((visitors.clients(), visitors.hosts()), (0, 0));
        assert!(visitors.close_if_alone() && visitors.are_shut_out());
    }
}
