//! Ports: everything a frame enters and leaves the dataplane by.
//!
//! This is the bottom floor of the house and the only crate with `unsafe` and system calls. It owns
//!
//! * the contract: [`Rx`], [`Tx`], [`Port`], [`App`], and the [`Frame`] that travels between them;
//! * the frame rings of virtual ports ([`ring`], in memif's layout);
//! * every backend, one file a backend, each knowing nothing of the others.
//!
//! The one idea: *a port owns its memory*. Frames are read where the source port has them and written once,
//! straight into the destination port's own slots.

pub mod afxdp;
pub mod app;
pub mod checksum;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod counters;
mod descriptor;
pub mod dgram;
mod draft;
pub mod error;
pub mod flow;
pub mod frame;
pub mod host;
pub mod identity;
pub mod interface;
mod kernel;
pub mod link;
pub mod mac;
pub mod memif;
pub mod null;
pub mod offload;
pub mod packet;
pub mod pcap;
mod peer;
mod piece;
pub mod port;
pub mod prefetch;
pub mod presence;
pub mod queues;
pub mod ring;
pub mod stream;
pub mod tap;
pub mod time;
pub mod vhost_user;
pub mod virtual_port;
pub mod wire;

pub use app::{App, Progress};
pub use counters::{Counters, Reason};
pub use error::Error;
pub use flow::Flow;
pub use frame::{BURST, Burst, Frame, prefetched};
pub use interface::Interface;
pub use link::{Link, LinkState};
pub use mac::Mac;
pub use offload::{Capabilities, GsoType, Offload, OffloadFlags};
pub use port::{End, Port, Rings, Rx, Sent, Slot, Tx};
pub use prefetch::prefetch;
pub use presence::{Peer, Presence};
pub use time::Time;
