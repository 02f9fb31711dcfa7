//! Another process at the far side of a port, which comes by a unix socket: a guest's QEMU, a program of DPDK's.
//!
//! A port has one control thread ([`Link`]) that waits for the peer or goes to it, and speaks its protocol. What the two
//! agree on is a session; control hands it to the port's halves and takes it away again ([`Shared`]).

mod ahead;
mod event;
mod filling;
#[cfg(any(test, feature = "contract"))]
pub(crate) mod hostile;
#[cfg(test)]
mod lines;
mod link;
#[cfg(any(test, feature = "contract"))]
mod memory;
mod shared;
pub(crate) mod socket;
mod span;
mod talk;
mod told;
mod tx;
mod waiting;
mod wakes;

pub(crate) use ahead::{Ahead, Room};
pub(crate) use event::event;
pub(crate) use filling::{Filling, Put, fill};
#[cfg(test)]
pub(crate) use lines::lines;
pub(crate) use link::{End, Host, Link};
#[cfg(any(test, feature = "contract"))]
pub(crate) use memory::Memory;
pub(crate) use shared::{Held, Shared, lock};
pub(crate) use span::Span;
pub(crate) use talk::{HANDSHAKE, Over, Talk, talk};
pub(crate) use told::Told;
pub(crate) use tx::{PeerTx, RINGS, Taking};
pub(crate) use waiting::{Waiting, wake};

use std::path::PathBuf;

use rustix::net::SocketType;

/// Where the peer is met.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The unix socket.
    pub(crate) path: PathBuf,
    /// Stream or sequenced packets.
    pub(crate) kind: SocketType,
    /// We go to a socket that the peer listens on, again and again, instead of listening.
    pub(crate) client: bool,
}
