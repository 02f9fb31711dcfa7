//! The learning bridge: MAC table, forwarding decision, offload stage; pure: no I/O, no clock, no threads.
//!
//! A [`Switch`] is shared by all workers: who its members are, and behind which of them each station was heard
//! last. Each worker moves frames through a [`Forwarder`] of its own. One call of [`Forwarder::forward`] is one
//! pass over one ingress port, in VALE's two steps: classify the whole burst (learn sources, look destinations
//! up), then go from destination to destination and copy each one's frames into its slots, in order.
//!
//! What must stay true:
//!
//! * Nothing is lost silently: summed over all ports, those that left included, `rx + copies = tx + drops` after
//!   every pass. `copies` counts, for each ingress frame, what became of it beyond one: floods reach several
//!   ports, and a super-frame may leave as several segments.
//! * Frames of one ingress to one egress keep their order, flooded and known alike (only frames that wait while
//!   their station moves to another port may arrive there behind later ones to other stations).
//! * The data path takes one lock a destination and burst (that of its [`Tx`](ports::Tx)), and does not allocate.
#![forbid(unsafe_code)]

mod backlog;
mod classify;
mod clock;
mod crossing;
mod error;
mod forwarder;
mod load;
mod member;
mod members;
mod offload;
mod piles;
mod port_index;
mod recent;
mod switch;
mod table;

pub use error::Error;
pub use forwarder::{Forwarder, Pass};
pub use member::{Joining, Member, PATIENCE, WhenFull};
#[cfg(any(test, feature = "hostile"))]
pub use offload::hostile;
pub use port_index::{MAX_PORTS, PortIndex};
pub use switch::{Options, Station, Switch};
