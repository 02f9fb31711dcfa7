//! The pkt-gen style generator and receiver, as an app that runs on any port.
//!
//! [`Args`] reads netmap's command line into a [`Config`]; a [`Generator`] of that config is an
//! [`App`](ports::App), which sends or receives and says what came of it as [`Event`]s; a [`Printer`] turns those
//! into netmap's lines. Config and events can be serialised, since the generator may run in another process than
//! the command line: hosted in the dataplane.

#![forbid(unsafe_code)]

mod args;
mod config;
mod generator;
mod packet;
mod report;
mod role;

pub use args::Args;
pub use config::{Config, Error, Frames, Function, Threads};
pub use generator::Generator;
pub use packet::{AddressRange, BadRange, Flow, Odometer};
pub use report::{Event, EventSink, Printer, Sum};
