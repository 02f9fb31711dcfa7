//! The programs as processes, and the control socket between them.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod bed;
mod captures;
mod common;
mod control;
mod daemon;
mod help;
mod idle;
mod latency;
mod reports;
mod search;
mod sockets;
mod taps;
mod threads;
mod tools;
mod vanish;
