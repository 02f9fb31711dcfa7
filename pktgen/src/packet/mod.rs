//! Packets: what a frame looks like, and which flow comes next.

mod range;
mod template;

pub use range::{AddressRange, BadRange, Odometer};
pub use template::Flow;
pub(crate) use template::Template;
