//! The report of a run, in the style that was asked for.

use std::io::{self, Write};
use std::time::SystemTime;

use super::csv::Csv;
use super::json::Json;
use super::lines::{Clock, Lines};
use super::so_far::SoFar;
use super::style::Format;
use super::text::Text;
use crate::{Config, Event, Style};

/// Prints the events of one run.
pub struct Printer {
    lines: Box<dyn Lines>,
    so_far: SoFar,
    /// After the first word, and before the last.
    running: bool,
    failed: bool,
    exit_status: u8,
}

impl Printer {
    /// A printer for the run of this config.
    #[must_use]
    pub fn new(config: Config, style: Style) -> Self {
        Self::with_clock(config, style, || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
    }

    pub(super) fn with_clock(config: Config, style: Style, clock: Clock) -> Self {
        let so_far = SoFar::new(&config);
        let lines: Box<dyn Lines> = match style.format {
            Format::Text => Box::new(Text::new(config, style, clock)),
            Format::Json => Box::new(Json::new(config, style, clock)),
            Format::Csv => Box::new(Csv::new(config, style, clock)),
        };
        Self { lines, so_far, running: false, failed: false, exit_status: 1 }
    }

    /// Prints one event: results to `out`, where netmap's stdout is, progress to `err`, its stderr.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn event(&mut self, event: &Event, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        self.so_far.add(event);
        match event {
            Event::Start { .. } | Event::Interval { .. } => self.running = true,
            Event::Final { .. } => {
                self.running = false;
                self.exit_status = self.failed.into();
            }
            Event::Failed { .. } => self.failed = true,
            _ => {}
        }
        self.lines.event(event, out, err)
    }

    /// Prints a line that is nobody's event, for example trouble with the port.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn notice(&mut self, text: &str, err: &mut impl Write) -> io::Result<()> {
        self.lines.notice(text, err)
    }

    /// Says why the run broke off, and the totals of what had been reported until then.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn broken_off(&mut self, why: &str, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        let message = why.to_owned();
        self.lines.event(&Event::Failed { message }, out, err)?;
        if !std::mem::take(&mut self.running) {
            return Ok(());
        }
        let Self { lines, so_far, .. } = self;
        so_far.tell(|event| lines.event(event, out, err))
    }

    /// What the program exits with: 0 once the run has come to its end and nothing failed, else 1.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        self.exit_status
    }
}
