//! What either side of a conversation has, and how it ends.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::Options;
use super::memory;
use super::message::{Message, NAME, padded, text};
use super::ring::{Broken, MAX_LOG2};
use super::session::{Session, Shared};

/// Why a peer is not listened to any longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It says that it has gone.
    #[error("the other side hung up: {0}")]
    HungUp(String),
    #[error(transparent)]
    Memory(#[from] memory::Refusal),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("a message that there is not, or of another length than 128 bytes")]
    Message,
    #[error("a message that does not belong here")]
    Order,
    #[error("a descriptor too many")]
    Descriptors,
    #[error("a descriptor is missing")]
    NoDescriptor,
    #[error("a descriptor to kick by is no eventfd")]
    NoEvent,
    #[error("only memif 2.0 is spoken here")]
    Version,
    #[error("there is no port with id={0} here")]
    Id(u32),
    #[error("only Ethernet frames are taken here")]
    Mode,
    #[error("the secret is wrong, or missing")]
    Secret,
    #[error("region {0} is out of turn, or one too many")]
    Region(u16),
    #[error("ring {0} is out of turn, or one too many (queues=)")]
    Ring(u16),
    #[error("a ring of 2^{0} slots: 2^1 to 2^{MAX_LOG2}")]
    Slots(u8),
    #[error("private headers are not taken here")]
    PrivateHeader,
    #[error("a ring is in no region, or is none (no cookie)")]
    Place,
    #[error("a ring is missing in one direction")]
    NoRing,
    #[error("no connection within ten seconds")]
    Silent,
    #[error("no memory: {0}")]
    NoMemory(String),
}

/// What is said to a peer, with the descriptor that goes beside it.
pub(super) type Said = (Message, Option<Arc<OwnedFd>>);

/// One side's part of the protocol, without its socket.
pub(super) trait Conversation {
    /// What is said before anything is heard.
    fn greeting(&self) -> Option<Message>;

    /// Hears a message, with the descriptor that came beside it. Says what to answer, if anything.
    ///
    /// # Errors
    /// For a message that breaks the rules.
    fn hear(&mut self, message: Message, fd: Option<OwnedFd>) -> Result<Option<Said>, Refusal>;

    /// Whether frames flow.
    fn is_connected(&self) -> bool;
}

/// What a conversation has, whichever side's it is. Its end is that of the session.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) options: Options,
    shared: Arc<Shared>,
    /// By which the worker is kicked.
    watched: Vec<Arc<OwnedFd>>,
    /// The session has begun.
    pub(super) connected: bool,
}

impl Part {
    pub(super) fn new(name: &str, options: &Options, shared: Arc<Shared>) -> Self {
        let (name, options) = (name.to_owned(), options.clone());
        Self { name, options, shared, watched: Vec::new(), connected: false }
    }

    /// Gives the halves their session.
    pub(super) fn begin(&mut self, session: Session) -> Result<(), Refusal> {
        for ring in &session.receive {
            self.shared.wakes(0).watch(ring.event().as_fd()).map_err(|_| Refusal::NoEvent)?;
            self.watched.push(ring.event().clone());
        }
        session.receive.iter().for_each(super::ring::Ring::start);
        self.shared.begin(session);
        self.connected = true;
        Ok(())
    }

    /// The name of the port.
    pub(super) fn port(&self) -> [u8; NAME] {
        padded(&self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.shared.end();
        self.watched.iter().for_each(|event| self.shared.wakes(0).unwatch(event.as_fd()));
    }
}

/// That the peer has gone, which either side may say at any time.
pub(super) fn hung_up(reason: &[u8]) -> Refusal {
    let reason = text(reason);
    Refusal::HungUp(if reason.is_empty() { "it gave no reason".to_owned() } else { reason })
}

/// What we call ourselves.
pub(super) fn program() -> [u8; NAME] {
    padded(concat!("valed ", env!("CARGO_PKG_VERSION")))
}
