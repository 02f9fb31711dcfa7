//! From the peer: what the socket has.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::incoming::{Incoming, Nonsense};
use super::peers::{Held, Parting, Shared, part};
use crate::peer::Link;
use crate::{Burst, Counters, Reason, Rx};

/// The receiving half.
pub(super) struct StreamRx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    incoming: Incoming,
    /// The conversation that `incoming` is of.
    number: u64,
}

impl StreamRx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        Self { shared, _link: link, counters, incoming: Incoming::default(), number: 0 }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.incoming.memory_bytes()
    }

    /// Finds frames until there are `limit`, with at most one read.
    fn refill(&mut self, limit: usize) -> Result<(), Nonsense> {
        if self.incoming.parse(limit)? {
            return Ok(());
        }
        let Some(session) = self.shared.session() else { return Ok(()) };
        if session.number != self.number {
            self.incoming.cut(); // what its predecessor did not finish
            self.number = session.number;
        }
        self.read(&session);
        self.incoming.parse(limit).map(|_| ())
    }

    fn read(&mut self, session: &Held) {
        let room = self.incoming.room();
        if room.is_empty() {
            return;
        }
        match recv(&session.socket, room, RecvFlags::DONTWAIT) {
            Ok((1.., n)) => self.incoming.add(n),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => part(&self.shared, session, Parting::HungUp),
        }
    }

    /// Ends the conversation: where the next frame begins, nobody knows.
    #[cold]
    fn refuse(&mut self, Nonsense(len): Nonsense) {
        self.incoming.cut();
        self.counters.add_rx(1, 0);
        self.counters.add_drops(Reason::Error, 1);
        if let Some(session) = self.shared.session().filter(|session| session.number == self.number) {
            part(&self.shared, &session, Parting::Length(len));
        }
    }
}

impl Rx for StreamRx {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let room = burst.remaining_capacity();
        if let Err(nonsense) = self.refill(room) {
            self.refuse(nonsense);
        }
        burst.extend(self.incoming.frames().take(room));
    }

    fn release(&mut self, n: usize) {
        self.incoming.release(n);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.wakes(0).fd())
    }

    fn arm(&mut self) -> bool {
        if self.incoming.waits() {
            return true;
        }
        let Some(session) = self.shared.session() else { return false };
        let mut waiting = [PollFd::from_borrowed_fd(session.socket.as_fd(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut waiting, Some(&now)) == Ok(1)
    }

    fn disarm(&mut self) {
        self.shared.wakes(0).drain();
    }
}
