//! The XDP program that hands frames to AF_XDP sockets, and what it takes to load and attach it.
//!
//! Programs are attached by a `bpf_link` and nothing is pinned: whatever ends this process, the kernel closes
//! the link and detaches the program.

mod skeleton;
mod xdp;

pub use xdp::{MAX_QUEUES, Mode, XdpProgram};
