//! The appliance: workers, hosting, control socket, and the four programs.
//!
//! ```text
//!  vale-ctl  pkt-gen  iperf-endpoint          programs: parse flags, ask over the control socket, print
//!      \        |        /
//!       control socket (JSON lines)
//!               |
//!  valed: Appliance                           control path: names, switches, who is on which
//!      |                \
//!   Worker (core 0)   Worker (core 1)         data path: one polling thread a core
//!    rx rx app         rx app
//! ```
//!
//! The control path knows the data path; the data path knows of the control path only a channel of commands
//! that it looks at between two passes.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod apps;
pub mod backend;
pub mod control;
pub mod daemon;
pub mod direct;
mod interrupt;
pub mod name;
pub mod search;
pub mod streams;
pub mod tables;
pub mod terminal;
pub mod tool;
mod trouble;
pub mod usage;
pub mod vale_ctl;
pub mod worker;

pub use appliance::Appliance;
pub use name::Name;
