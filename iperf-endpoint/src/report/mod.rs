//! Reports: what users and their scripts read, made of events alone.

mod date;
mod document;
mod json;
mod text;
mod unit;

pub use unit::{BadUnit, Unit};

use crate::event::{Event, Failure, FailureKind};
use json::Json;
use std::io::{self, Write};
use text::Text;

/// What a report looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The lines of stock iperf3, rates in this unit.
    Text(Unit),
    /// One JSON document a test (`-J`), with the keys of stock iperf3.
    Json,
}

enum Style {
    Text(Text),
    Json(Box<Json>),
}

/// Prints events as they come: results to `out`, errors to `err`, unless they belong into a document.
pub struct Printer<O, E> {
    out: O,
    err: E,
    style: Style,
    status: Option<i32>,
    is_broken: bool,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// A printer that has seen nothing.
    pub fn new(out: O, err: E, format: Format) -> Self {
        let style = match format {
            Format::Text(unit) => Style::Text(Text::new(unit)),
            Format::Json => Style::Json(Box::default()),
        };
        Self { out, err, style, status: None, is_broken: false }
    }

    /// Prints what the event adds to the report.
    ///
    /// # Errors
    /// Of the writers.
    pub fn print(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Done { status } = event {
            self.status = Some(if self.is_broken { 1 } else { *status });
        }
        match &mut self.style {
            // Nobody interrupted it: it was stopped, as its peer may have been, and why was said.
            Style::Text(_) if self.is_broken && is_ending(event) => {}
            Style::Text(text) => text.print(event, &mut self.out, &mut self.err)?,
            Style::Json(json) => json.print(event, &mut self.out)?,
        }
        self.out.flush()
    }

    /// Says why the endpoint comes to an untimely end, which is the error of what it was at.
    ///
    /// # Errors
    /// Of the writer.
    pub fn broken(&mut self, why: &str) -> io::Result<()> {
        self.status = Some(1);
        self.is_broken = true;
        if let Style::Json(json) = &mut self.style {
            json.broken(why);
        }
        writeln!(self.err, "iperf-endpoint: {why}")
    }

    /// Nothing more will come: completes the report.
    ///
    /// # Errors
    /// Of the writer.
    pub fn close(&mut self) -> io::Result<()> {
        if let Style::Json(json) = &mut self.style {
            json.close(&mut self.out)?;
        }
        self.out.flush()
    }

    /// The program's exit status, once the endpoint is done: not zero after an error, with JSON as with text.
    pub fn status(&self) -> Option<i32> {
        self.status
    }
}

/// Whether it is that somebody ended the test, not what went wrong.
fn is_ending(event: &Event) -> bool {
    matches!(event, Event::Error(Failure { kind, .. }) if *kind != FailureKind::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An endpoint whose port is gone is stopped, but nobody interrupted it.
    #[test]
    fn why_it_broke_is_said_once() {
        let failure =
            |kind, message: &str| Event::Error(Failure { test: None, kind, message: message.into() });
        let mut err = Vec::new();
        let mut printer = Printer::new(io::sink(), &mut err, Format::Text(Unit::Adaptive));
        printer.broken("eth1: the interface is gone").unwrap();
        printer.print(&failure(FailureKind::Interrupt, "the client has terminated")).unwrap();
        printer.print(&failure(FailureKind::Server, "the server has terminated")).unwrap();
        printer.print(&failure(FailureKind::Error, "something else")).unwrap();
        drop(printer);
        let told = "iperf-endpoint: eth1: the interface is gone\niperf-endpoint: error - something else\n";
        assert_eq!(String::from_utf8(err).unwrap(), told);
    }
}
