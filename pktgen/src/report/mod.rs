//! What came of a run: counted, told as events, put into words.

mod counts;
mod event;
mod hexdump;
mod numbers;
mod printer;

pub(crate) use counts::{Pass, Report};
pub use event::{Event, EventSink, Trouble};
pub use printer::Printer;
