//! The BPF programs of the dataplane, and what it takes to load and attach them: the XDP program that hands
//! frames to AF_XDP sockets, and the pair that puts the host's stack behind a TAP.
//!
//! Programs are attached by a `bpf_link` and nothing is pinned: whatever ends this process, the kernel closes
//! the link and detaches the program.

mod host;
mod link;
mod skeleton;
mod xdp;

pub use host::HostPrograms;
pub use xdp::{MAX_QUEUES, Mode, XdpProgram, attached};
