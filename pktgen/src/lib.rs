//! The pkt-gen style generator and receiver, as an app that runs on any port.
//!
//! [`Args`] reads netmap's command line into a [`Config`]; a [`Generator`] of that config is an
//! [`App`](ports::App), which sends or receives and says what came of it as [`Event`]s; a [`Printer`] turns those
//! into lines, in netmap's or another [`Style`]. Config and events can be serialised, since the generator may run in another process than
//! the command line: hosted in the dataplane.

#![forbid(unsafe_code)]

mod args;
mod config;
mod generator;
mod latency;
mod order;
mod packet;
mod report;
mod role;
pub mod search;

pub use args::{Args, Task};
pub use config::{BadRate, BadSpeed, Config, Error, Frames, Function, Rate, Replay, Speed, Threads};
pub use generator::Generator;
pub use latency::{BadHistogram, HdrLog, Latency};
pub use order::Order;
pub use packet::{AddressRange, BadPayload, BadRange, BadTag, Flow, Odometer, Payload, Size, Tag};
pub use report::{Columns, Delays, Event, EventSink, Format, Pings, Printer, Style, Sum, Trouble};
