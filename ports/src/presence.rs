//! Whether anybody is at the far side of a port that others come to: a guest, another program.
//!
//! The thread that speaks with the peer says it, whoever lists ports asks. The halves of the port know nothing of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::Capabilities;
use crate::offload::Offloads;
use crate::peer::lock;

/// Who is at the far side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "text", rename_all = "snake_case")]
pub enum Peer {
    /// Nobody is connected.
    #[default]
    Nobody,
    /// Somebody is connected, and this was agreed on.
    Here(String),
    /// The last one was shown the door, for this reason, and nobody has come since.
    Ended(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody connected"),
            Self::Here(what) => write!(f, "connected: {what}"),
            Self::Ended(why) => write!(f, "ended: {why}"),
        }
    }
}

/// What is known of the peer of a port, at any time.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    peer: Mutex<Peer>,
    shared_bytes: AtomicU64,
}

impl Presence {
    /// What is said of somebody with whom nothing was agreed on yet.
    pub(crate) const NO_RINGS: &'static str = "no rings yet";

    /// Who is there now.
    #[must_use]
    pub fn peer(&self) -> Peer {
        lock(&self.0.peer).clone()
    }

    /// Memory that the peer shares and frames are read from and written to, bytes: a guest's, while it is there.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        self.0.shared_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn share(&self, bytes: u64) {
        self.0.shared_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Somebody has connected.
    pub(crate) fn come(&self) {
        self.set(Peer::Here(Self::NO_RINGS.to_owned()));
    }

    pub(crate) fn set(&self, peer: Peer) {
        *lock(&self.0.peer) = peer;
    }

    /// What was agreed on holds no longer.
    pub(crate) fn pause(&self) {
        if matches!(self.peer(), Peer::Here(_)) {
            self.come();
        }
    }

    /// The connection is gone. Why it ended stays known.
    pub(crate) fn go(&self) {
        self.share(0);
        if matches!(self.peer(), Peer::Here(_)) {
            self.set(Peer::Nobody);
        }
    }
}

/// What a peer takes, for [`Peer::Here`].
pub(crate) fn takes(capabilities: &Capabilities) -> String {
    let Capabilities { frame, offloads, .. } = *capabilities;
    let segmentation = Offloads::TSO4 | Offloads::TSO6 | Offloads::USO;
    let what = match (offloads.contains(Offloads::CSUM), offloads.intersects(segmentation)) {
        (_, true) => "checksums and segmentation",
        (true, false) => "checksums",
        (false, false) => "no offloads",
    };
    format!("MTU {}, {what}", frame.saturating_sub(14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_outlives_the_connection_until_the_next() {
        let presence = Presence::default();
        let seen = presence.clone();
        presence.pause();
        assert_eq!(seen.peer(), Peer::Nobody);
        presence.come();
        assert_eq!(seen.peer().to_string(), "connected: no rings yet");
        presence.set(Peer::Here("2 rings".to_owned()));
        presence.pause();
        assert_eq!(seen.peer().to_string(), "connected: no rings yet");
        presence.go();
        assert_eq!(seen.peer().to_string(), "nobody connected");
        presence.come();
        presence.set(Peer::Ended("it lied".to_owned()));
        presence.pause();
        presence.go();
        assert_eq!(seen.peer().to_string(), "ended: it lied");
        presence.come();
        assert!(matches!(seen.peer(), Peer::Here(_)));
    }

    #[test]
    fn memory_goes_with_who_shared_it() {
        let presence = Presence::default();
        presence.come();
        presence.share(1 << 28);
        assert_eq!(presence.clone().shared_bytes(), 1 << 28);
        presence.go();
        assert_eq!(presence.shared_bytes(), 0);
    }

    #[test]
    fn what_a_peer_takes_is_said_in_words() {
        let of = |offloads| takes(&Capabilities { offloads, ..Capabilities::all(9000) });
        assert_eq!(takes(&Capabilities::wire(1500)), "MTU 1500, no offloads");
        assert_eq!(of(Offloads::CSUM), "MTU 9000, checksums");
        assert_eq!(of(Offloads::CSUM | Offloads::USO), "MTU 9000, checksums and segmentation");
    }
}
