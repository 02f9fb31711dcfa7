//! What came of a run: counted, told as events, put into words.

mod counts;
mod csv;
mod event;
mod hexdump;
mod json;
mod latencies;
mod lines;
mod live;
mod norm;
mod numbers;
mod printer;
mod so_far;
mod style;
mod sum;
mod text;
mod throughput;
mod window;
mod words;

pub(crate) use counts::{Lost, Pass, Report, micros};
pub use event::{Event, EventSink, Trouble};
pub use latencies::{Delays, Pings};
pub use printer::Printer;
pub use style::{Columns, Format, Style};
pub use sum::Sum;
