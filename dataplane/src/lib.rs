//! The appliance: workers, hosting, control socket, and the four programs.
#![forbid(unsafe_code)]

pub mod name;

pub use name::Name;
