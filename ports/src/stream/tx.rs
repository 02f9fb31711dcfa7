//! To the peer: what the socket takes.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::TAKES;
use super::outgoing::{Outgoing, Wrote};
use super::peers::{Held, Parting, Session, Shared, part};
use crate::draft::Draft;
use crate::peer::Link;
use crate::{Capabilities, Counters, Frame, Offload, Sent, Tx};

/// The transmitting half.
pub(super) struct StreamTx {
    to: Far,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    draft: Draft,
}

/// The way to the peer.
struct Far {
    shared: Arc<Shared>,
    outgoing: Outgoing,
    /// The conversation that `outgoing` is of.
    number: u64,
}

/// Writes to the socket.
fn write(session: &Session) -> impl FnMut(&[u8]) -> Wrote {
    |bytes| match send(&session.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(n) => Wrote::Taken(n),
        Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Wrote::Taken(0),
        Err(_) => Wrote::Broken,
    }
}

impl Far {
    /// The conversation that is. A frame that was cut in the one before will never be whole.
    fn session(&mut self) -> Option<Held> {
        let session = self.shared.session();
        let number = session.as_ref().map_or(0, |session| session.number);
        if number != self.number {
            self.outgoing.cut();
            self.number = number;
        }
        session
    }

    /// Writes frames to the peer; without one they fail.
    fn send(&mut self, frames: &[Frame<'_>]) -> Sent {
        let absent = |sent| Sent { taken: frames.len(), ..sent };
        let Some(session) = self.session() else { return absent(Sent::default()) };
        let (sent, broken) = self.outgoing.transmit(frames, &TAKES, write(&session));
        if broken {
            part(&self.shared, &session, Parting::HungUp);
            return absent(sent);
        }
        sent
    }

    /// Writes the rest of a frame that was cut. Says whether all of it is on its way.
    fn finish(&mut self) -> bool {
        let Some(session) = self.session() else { return true };
        self.outgoing.finish(write(&session)).unwrap_or_else(|| {
            part(&self.shared, &session, Parting::HungUp);
            true
        })
    }
}

impl StreamTx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        let to = Far { shared, outgoing: Outgoing::default(), number: 0 };
        Self { to, _link: link, counters, draft: Draft::new() }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.to.outgoing.memory_bytes() + self.draft.memory_bytes()
    }

    /// Whether nothing waits: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        self.draft.settle(&self.counters, |frames| self.to.send(frames))
    }
}

impl Tx for StreamTx {
    fn capabilities(&self) -> Capabilities {
        TAKES
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.abandon();
        if self.settle() { self.to.send(frames) } else { Sent::default() }
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.draft.abandon();
        self.settle();
        self.draft.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.draft.commit(len, offload);
        self.settle();
    }

    fn flush(&mut self) -> bool {
        self.settle() && self.to.finish()
    }
}
