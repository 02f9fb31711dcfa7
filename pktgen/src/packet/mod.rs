//! Packets: what a frame looks like, and which flow comes next.

mod range;
mod reflection;
mod stamp;
mod template;

pub use range::{AddressRange, BadRange, Odometer};
pub(crate) use reflection::reflect;
pub(crate) use stamp::{Place, Stamp};
pub use template::Flow;
pub(crate) use template::Template;

/// Bytes in which the headers of a frame end, and a stamp behind them: Ethernet with two tags, IPv4 with all options or
/// IPv6, UDP.
pub(crate) const HEAD: usize = 128;
