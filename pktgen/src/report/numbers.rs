//! What is told of numbered frames, in words.

use std::fmt;

use crate::{Order, Trouble};

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
pub(super) fn total(order: &Order) -> String {
    let Order { lost, duplicated, reordered, untracked } = order;
    let total = format!("Sequence: {lost} lost, {duplicated} duplicated, {reordered} reordered.");
    match untracked {
        0 => total,
        _ => format!("{total} No telling of {untracked} packets: they came from too many sources."),
    }
}
