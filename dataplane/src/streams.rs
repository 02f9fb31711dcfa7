//! Standard output and standard error, as the programs write to them: what goes wrong there says where, and a line is one
//! write, so that it stays whole where several programs write to one terminal.

use std::fmt::Display;
use std::io::{self, LineWriter, Stderr, Stdout, Write};

/// Longest line that is written at once, bytes.
const LINE: usize = 4096;

/// A stream whose errors name it.
#[derive(Debug)]
pub struct Stream<W> {
    name: &'static str,
    inner: W,
}

/// Standard output, which gathers lines by itself.
#[must_use]
pub fn stdout() -> Stream<Stdout> {
    Stream { name: "standard output", inner: io::stdout() }
}

/// Standard error, line by line; what is no whole line goes out with a flush.
#[must_use]
pub fn stderr() -> LineWriter<Stream<Stderr>> {
    LineWriter::with_capacity(LINE, Stream { name: "standard error", inner: io::stderr() })
}

/// Prints a line to standard error; that nobody reads it is no failure.
pub fn say(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl<W> Stream<W> {
    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.name)))
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.named(written)
    }

    /// Not by [`write`](Self::write): standard output puts a line together only here.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.inner.write_all(bytes);
        self.named(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.named(flushed)
    }
}
