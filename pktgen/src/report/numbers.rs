//! What is told of numbered frames, in words.

use std::fmt;
use std::io::{self, Write};

use crate::Trouble;

/// netmap's lines of rxseq.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => write!(f, "Sequence GAP: exp {expected} found {found}"),
            Self::OutOfOrder { expected, found } => {
                write!(f, "Sequence OUT OF ORDER: exp {expected} found {found}")
            }
            Self::Short { len } => write!(f, "rxseq_body: packet too small (len={len})"),
        }
    }
}

/// The last line of rxseq's, which netmap has not.
pub(super) fn total(
    [lost, duplicated, reordered, untracked]: [u64; 4],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "Sequence: {lost} lost, {duplicated} duplicated, {reordered} reordered.")?;
    if untracked > 0 {
        writeln!(out, "({untracked} frames came from more sources than can be followed)")?;
    }
    Ok(())
}
