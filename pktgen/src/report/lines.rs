//! What the styles of a report have in common.

use std::io::{self, Write};
use std::time::Duration;

use crate::Event;

/// Wall clock, since the epoch.
pub(super) type Clock = fn() -> Duration;

/// A way to put events into lines.
pub(super) trait Lines: Send {
    /// Says what happened: results to `out`, progress and trouble to `err`.
    fn event(&mut self, event: &Event, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()>;

    /// Passes on a line of somebody else's.
    fn notice(&mut self, text: &str, err: &mut dyn Write) -> io::Result<()> {
        writeln!(err, "{text}")
    }
}
