//! The pkt-gen style generator and receiver, as an app that runs on any port.
//!
//! [`Args`] reads netmap's command line into a [`Config`]; a [`Generator`] of that config is an
//! [`App`](ports::App), which sends or receives and says what came of it as [`Event`]s; a [`Printer`] turns those
//! into netmap's lines. Config and events can be serialised, since the generator may run in another process than
//! the command line: hosted in the dataplane.

#![forbid(unsafe_code)]

mod args;
mod config;
mod event;
mod generator;
mod latency;
mod pacer;
mod packet;
mod printer;
mod range;
mod receiver;
mod report;
mod sender;

pub use args::Args;
pub use config::{Config, Error, Function};
pub use event::{Event, EventSink};
pub use generator::Generator;
pub use latency::{BadHistogram, HdrLog, Latency};
pub use packet::Flow;
pub use printer::Printer;
pub use range::{AddressRange, BadRange, Odometer};
