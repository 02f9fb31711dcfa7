//! A TCP endpoint on smoltcp that speaks iperf3, as an app that runs on any port.
//!
//! [`Endpoint`] is the app. It joins a [`stack::Stack`] with the [`iperf3`] protocol, is told what to do by a
//! [`Config`], and says what happens in [`Event`]s, of which [`report`] makes the text or JSON that users know.
#![forbid(unsafe_code)]

pub mod args;
pub mod config;
pub mod cpu;
pub mod endpoint;
pub mod event;
pub mod iperf3;
pub mod loopback;
pub mod report;
pub mod stack;
mod stock;
pub mod transport;

pub use args::Args;
pub use config::Config;
pub use endpoint::{Endpoint, Error};
pub use event::{Event, EventSink};
pub use report::Printer;
pub use stock::Stock;
