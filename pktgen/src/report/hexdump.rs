//! Frames in hexadecimal.

use std::fmt;
use std::io::{self, Write};

/// A frame's bytes and their characters, sixteen a line (`dump_payload` of netmap's pkt-gen).
pub(super) struct Hexdump<'a> {
    /// Frames before it: where netmap has the position in the ring.
    pub(super) number: u64,
    /// Its length, bytes.
    pub(super) len: u32,
    /// As much of it as there is to show.
    pub(super) bytes: &'a [u8],
}

/// Which frames were shown, so that those left out can be told of.
#[derive(Default)]
pub(super) struct Shown {
    /// Frames before the next one expected.
    next: u64,
}

impl Shown {
    /// All frames before this one have been shown, or are told of now.
    pub(super) fn up_to(&mut self, number: u64, out: &mut dyn Write) -> io::Result<()> {
        let left_out = number.saturating_sub(self.next);
        self.next = number.saturating_add(1);
        if left_out > 0 { writeln!(out, "({left_out} frames not shown)") } else { Ok(()) }
    }
}

impl fmt::Display for Hexdump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, len, bytes } = self;
        write!(f, "ring 0x0 cur {number:5} [buf {number:6} flags 0x0000 len {len:5}]")?;
        for (at, line) in (0..).step_by(16).zip(bytes.chunks(16)) {
            write!(f, "\n{at:5}: ")?;
            line.iter().try_for_each(|byte| write!(f, "{byte:02x} "))?;
            let blank = 3 * (16 - line.len());
            write!(f, "{:blank$}", "")?;
            line.iter().try_for_each(|byte| {
                let shown = byte.is_ascii_graphic() || *byte == b' ';
                write!(f, "{}", if shown { char::from(*byte) } else { '.' })
            })?;
        }
        let left = usize::try_from(*len).unwrap_or(usize::MAX).saturating_sub(bytes.len());
        if left > 0 { write!(f, "\n{:5}: {left} bytes more", bytes.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_netmaps() {
        let bytes: Vec<u8> = (0x39..0x4b).chain([0x7f, 0x20]).collect();
        let dump = Hexdump { number: 7, len: 30, bytes: &bytes }.to_string();
        let expected = [
            "ring 0x0 cur     7 [buf      7 flags 0x0000 len    30]",
            "    0: 39 3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 9:;<=>?@ABCDEFGH",
            "   16: 49 4a 7f 20                                     IJ. ",
            "   20: 10 bytes more",
        ];
        assert_eq!(dump.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn frames_left_out_are_told_of() {
        let (mut shown, mut out) = (Shown::default(), Vec::new());
        for number in [0, 1, 5, 6] {
            shown.up_to(number, &mut out).unwrap();
        }
        shown.up_to(10, &mut out).unwrap(); // ten in all
        assert_eq!(String::from_utf8(out).unwrap(), "(3 frames not shown)\n(3 frames not shown)\n");
    }
}
