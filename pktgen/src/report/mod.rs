//! What came of a run: counted, told as events, put into words.

mod counts;
mod event;
mod printer;

pub(crate) use counts::{Pass, Report};
pub use event::{Event, EventSink};
pub use printer::Printer;
