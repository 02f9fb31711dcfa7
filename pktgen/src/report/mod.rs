//! What came of a run: counted, told as events, put into words.

mod counts;
mod event;
mod latencies;
mod printer;
mod words;

pub(crate) use counts::{Pass, Report, micros};
pub use event::{Event, EventSink};
pub use latencies::{Delays, Pings};
pub use printer::Printer;
