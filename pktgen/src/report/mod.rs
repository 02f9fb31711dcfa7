//! What came of a run: counted, told as events, put into words.

mod counts;
mod event;
mod printer;
mod sum;

pub(crate) use counts::{Pass, Report};
pub use event::{Event, EventSink};
pub use printer::Printer;
pub use sum::Sum;
