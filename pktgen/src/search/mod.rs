//! `-f throughput` and `-f back-to-back`: the greatest load that a device forwards without loss (RFC 2544, 26.1 and
//! 26.4), by frame size.
//!
//! A [`Plan`] says what is to be searched; a [`Search`] which load to try next; a [`Probe`] is the app that puts it on one
//! port and counts what arrives, at another or the same; a [`Table`] shows what was found. Who brings them together
//! opens the ports.

mod bisection;
mod plan;
mod probe;
mod table;
mod trial;

pub use bisection::{Found, Outcome, Search, Step, Terms};
pub use plan::{Goal, Plan};
pub use probe::Probe;
pub use table::Table;
pub use trial::{Trial, TrialEvent, TrialSink};
