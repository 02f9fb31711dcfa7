//! The switch from outside, with in-memory ports and virtual time.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod balance;
mod bridge;
mod egress;
mod learning;
mod offload;
mod shape;
mod support;
mod threads;
mod waiting;
