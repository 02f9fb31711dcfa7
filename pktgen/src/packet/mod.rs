//! Packets: what a frame looks like, and which comes next.

mod flow;
mod flows;
mod layout;
mod odometer;
mod payload;
mod range;
mod series;
mod shapes;
mod size;
#[cfg(test)]
pub(crate) mod sound;
mod tag;
mod template;

pub use flow::Flow;
pub(crate) use layout::{Family, Layout};
pub use odometer::Odometer;
pub use payload::{BadPayload, Payload};
pub use range::{AddressRange, BadRange};
pub(crate) use series::Series;
pub use size::Size;
pub use tag::{BadTag, Tag};
pub(crate) use template::Template;
