//! The iperf3 protocol from outside: in virtual time against itself, on 127.0.0.1 against stock iperf3, and on
//! our own stack over a virtual cable.

mod bench;
mod endpoints;
mod interop;
mod kernel;
mod modes;
mod reports;
mod robustness;
