//! Lines of JSON on a stream: said whole, heard only up to a bounded length.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use serde::Serialize;

/// Longest request, bytes, its newline included.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Longest reply: room for the MAC table of a large switch.
pub const MAX_REPLY: usize = 256 * 1024 * 1024;

/// Who does not read for this long is cut.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// Says one thing in one line.
///
/// # Errors
/// What the stream says.
pub fn say(mut stream: impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads line by line and never holds more than one.
pub struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
    longest: usize,
}

impl<R: Read> Lines<R> {
    /// The lines of `from`, of at most `longest` bytes each, newline included.
    pub fn new(from: R, longest: usize) -> Self {
        Self { from: BufReader::new(from), line: Vec::new(), longest }
    }

    /// The next line without its newline; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a line that is too long or not UTF-8,
    /// [`io::ErrorKind::UnexpectedEof`] for one cut short, and whatever the stream itself says. The stream is
    /// of no further use after any of them.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        let read = (&mut self.from).take(self.longest as u64).read_until(b'\n', &mut self.line)?;
        match self.line.pop() {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) if read == self.longest => {
                let what = format!("a line is over {} bytes", self.longest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            Some(_) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last line is cut short"));
            }
        }
        let text = std::str::from_utf8(&self.line);
        text.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_and_their_end() {
        let mut lines = Lines::new(&b"a\n\nb\n"[..], 10);
        assert_eq!(lines.next_line().unwrap(), Some("a"));
        assert_eq!(lines.next_line().unwrap(), Some(""));
        assert_eq!(lines.next_line().unwrap(), Some("b"));
        assert_eq!(lines.next_line().unwrap(), None);
    }

    #[test]
    fn refuses_cut_long_and_foreign_lines() {
        let kind = |bytes: &[u8]| Lines::new(bytes, 100).next_line().unwrap_err().kind();
        assert_eq!(kind(b"half"), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(b"\xff\n"), io::ErrorKind::InvalidData);
        let mut long = vec![b'x'; 99];
        long.push(b'\n');
        assert_eq!(Lines::new(&long[..], 100).next_line().unwrap().map(str::len), Some(99));
        long.insert(0, b'x');
        assert_eq!(kind(&long), io::ErrorKind::InvalidData);
    }
}
