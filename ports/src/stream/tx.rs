//! To the peer: what the socket takes.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::TAKES;
use super::outgoing::{Outgoing, Wrote};
use super::peers::{Held, Parting, Session, Shared, part};
use crate::draft::Outlet;
use crate::peer::Link;
use crate::{Capabilities, Frame, Sent};

/// The transmitting half.
pub(super) struct StreamTx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
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

impl StreamTx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self { shared, _link: link, outgoing: Outgoing::default(), number: 0 }
    }

    pub(super) const fn memory_bytes(&self) -> u64 {
        self.outgoing.memory_bytes()
    }

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

    /// Writes the rest of a frame that was cut. Says whether all of it is on its way.
    fn finish(&mut self) -> bool {
        let Some(session) = self.session() else { return true };
        self.outgoing.finish(write(&session)).unwrap_or_else(|| {
            part(&self.shared, &session, Parting::HungUp);
            true
        })
    }
}

impl Outlet for StreamTx {
    fn capabilities(&self) -> Capabilities {
        TAKES
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

    fn flush(&mut self, settled: bool) -> bool {
        settled && self.finish()
    }
}
