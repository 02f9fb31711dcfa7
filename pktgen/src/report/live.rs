//! The line that redraws: the newest report takes the place of the one before.

use std::io::{self, Write};

use super::style::Columns;

/// Erases what is left of the line that is written over (ECMA-48, EL).
const ERASE_REST: &str = "\x1b[K";

/// The last line of a terminal, drawn again and again. The cursor waits at its begin, so that what others print there
/// takes its place.
#[derive(Debug)]
pub(super) struct Live {
    columns: Columns,
    /// A line of ours stands there.
    drawn: bool,
}

impl Live {
    pub(super) fn new(columns: Columns) -> Self {
        Self { columns, drawn: false }
    }

    /// Draws a line of these parts over the one before. Returns whether there is a terminal to draw on.
    ///
    /// The width is asked for every time, since the window may have changed, or the program gone to the background.
    pub(super) fn draw(&mut self, parts: &[String], err: &mut dyn Write) -> io::Result<bool> {
        let Some(columns) = (self.columns)() else {
            self.drawn = false; // the line is somebody else's by now
            return Ok(false);
        };
        // The last column stays free: a terminal may go to the next line as soon as it is written to.
        let line = fit(parts, usize::from(columns).saturating_sub(1));
        write!(err, "\r{line}{ERASE_REST}\r")?;
        err.flush()?;
        self.drawn = true;
        Ok(true)
    }

    /// Makes place for lines that stay.
    pub(super) fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.drawn) {
            write!(err, "\r{ERASE_REST}")?;
            err.flush()?;
        }
        Ok(())
    }
}

/// As many parts as there is room for, so that no number is cut; of the first, what fits.
fn fit(parts: &[String], room: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let space = usize::from(!line.is_empty());
        if line.is_empty() {
            line = part.chars().take(room).collect();
        } else if line.chars().count() + space + part.chars().count() <= room {
            line.push(' ');
            line.push_str(part);
        } else {
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> [String; 3] {
        ["80.119 Mpps", "(80.203 Mpkts)", "511.50 avg_batch"].map(str::to_owned)
    }

    fn drawn(columns: Columns, draw: impl FnOnce(&mut Live, &mut Vec<u8>)) -> String {
        let mut err = Vec::new();
        draw(&mut Live::new(columns), &mut err);
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn a_line_takes_the_place_of_the_one_before() {
        let text = drawn(
            || Some(80),
            |live, err| {
                assert!(live.draw(&parts(), err).unwrap());
                assert!(live.draw(&parts()[..1], err).unwrap());
                live.clear(err).unwrap();
                live.clear(err).unwrap();
            },
        );
        assert_eq!(
            text,
            "\r80.119 Mpps (80.203 Mpkts) 511.50 avg_batch\x1b[K\r\r80.119 Mpps\x1b[K\r\r\x1b[K"
        );
    }

    #[test]
    fn the_last_column_stays_free() {
        let whole = "\r80.119 Mpps (80.203 Mpkts) 511.50 avg_batch\x1b[K\r"; // 43 characters
        assert_eq!(drawn(|| Some(44), |live, err| assert!(live.draw(&parts(), err).unwrap())), whole);
        assert_ne!(drawn(|| Some(43), |live, err| assert!(live.draw(&parts(), err).unwrap())), whole);
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let text = drawn(|| None, |live, err| assert!(!live.draw(&parts(), err).unwrap()));
        assert_eq!(text, "");
    }

    #[test]
    fn narrow_terminals_get_whole_parts() {
        for (room, expected) in [
            (0, ""),
            (4, "80.1"),
            (11, "80.119 Mpps"),
            (25, "80.119 Mpps"),
            (26, "80.119 Mpps (80.203 Mpkts)"),
            (42, "80.119 Mpps (80.203 Mpkts)"),
            (43, "80.119 Mpps (80.203 Mpkts) 511.50 avg_batch"),
        ] {
            assert_eq!(fit(&parts(), room), expected, "{room}");
        }
        assert_eq!(fit(&[], 80), "");
    }
}
