//! What came of a run: counted, told as events, put into words.

mod counts;
mod csv;
mod event;
mod json;
mod live;
mod norm;
mod printer;
mod style;
mod text;
mod throughput;
mod window;

pub(crate) use counts::{Pass, Report};
pub use event::{Event, EventSink};
pub use printer::Printer;
pub use style::{Columns, Format, Style};
