//! The iperf3 protocol from outside: in virtual time against itself, on 127.0.0.1 against stock iperf3, and on
//! our own stack over a virtual cable.
#![expect(clippy::unwrap_used, reason = "what does not hold here fails the test")]

mod bench;
mod endpoints;
mod kernel;
mod modes;
mod reports;
mod rogue_client;
mod rogue_server;
mod stock;
mod stock_client;
mod stock_server;
