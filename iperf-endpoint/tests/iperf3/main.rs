//! The iperf3 protocol from outside: in virtual time against itself, and on 127.0.0.1 against stock iperf3.

mod bench;
mod interop;
mod kernel;
mod modes;
