//! The session with a peer: its rings.

use std::fmt;
use std::sync::Arc;

use super::ring::{Broken, Ring};
use crate::presence::takes;
use crate::{Capabilities, Peer, peer};

/// What control and the two halves of a port share.
pub(super) type Shared = peer::Shared<Session, Broken>;
/// A session, while a half works with it.
pub(super) type Held = Arc<peer::Held<Session>>;

/// What the two sides agreed on. Never changed: a peer that comes again has memory of its own, and another session.
#[derive(Debug)]
pub(super) struct Session {
    /// Rings that the peer fills.
    pub(super) receive: Vec<Ring>,
    /// Rings that we fill.
    pub(super) transmit: Vec<Ring>,
    pub(super) capabilities: Capabilities,
}

/// Longest frame, bytes, that everybody takes: Ethernet's, without a VLAN tag.
const PLAIN: u32 = 1514;
/// The same, of what a peer with large buffers takes.
const JUMBO: u32 = 9014;

impl Session {
    pub(super) fn new(receive: Vec<Ring>, transmit: Vec<Ring>) -> Self {
        let buffer = transmit.first().and_then(|ring| ring.room(0).ok()).map_or(0, |buffer| buffer.len);
        // A tag has room beside what is said here.
        let frame = buffer.saturating_sub(4).clamp(PLAIN, JUMBO);
        Self { receive, transmit, capabilities: Capabilities::wire(frame - 14) }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receive, transmit, capabilities } = self;
        let (from, to) = (receive.len(), transmit.len());
        write!(f, "{} rings ({from} in, {to} out), {}", from + to, takes(capabilities))
    }
}

impl From<Broken> for Peer {
    fn from(broken: Broken) -> Self {
        Self::Ended(format!("the other side broke the rules: {broken}"))
    }
}
