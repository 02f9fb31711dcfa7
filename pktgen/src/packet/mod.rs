//! Packets: what a frame looks like, and which comes next.

mod flow;
mod flows;
mod layout;
mod odometer;
mod payload;
mod range;
mod reflection;
mod series;
mod shapes;
mod size;
#[cfg(test)]
pub(crate) mod sound;
mod stamp;
mod tag;
mod template;

pub use flow::Flow;
pub(crate) use layout::{Family, Layout};
pub use odometer::Odometer;
pub use payload::{BadPayload, Payload};
pub use range::{AddressRange, BadRange};
pub(crate) use reflection::reflect;
pub(crate) use series::Series;
pub use size::Size;
pub(crate) use stamp::{Place, Stamp};
pub use tag::{BadTag, Tag};
pub(crate) use template::Template;

/// Bytes in which the headers of a frame end, and a stamp behind them: Ethernet with two tags, IPv4 with all options or
/// IPv6, UDP.
pub(crate) const HEAD: usize = 128;
