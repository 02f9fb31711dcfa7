//! A TCP endpoint on smoltcp that speaks iperf3, as an app that runs on any port.
#![forbid(unsafe_code)]

pub mod transport;
