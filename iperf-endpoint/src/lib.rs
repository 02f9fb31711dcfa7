//! A TCP endpoint on smoltcp that speaks iperf3, as an app that runs on any port.
#![forbid(unsafe_code)]

pub mod config;
pub mod cpu;
pub mod event;
pub mod iperf3;
pub mod loopback;
pub mod stack;
pub mod transport;

pub use config::Config;
pub use event::{Event, EventSink};
