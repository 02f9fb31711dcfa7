//! The terminal that progress is drawn on.

use std::io;

use rustix::process::getpgrp;
use rustix::termios::{isatty, tcgetpgrp, tcgetwinsize};

/// What is taken for the width of a terminal that does not know its own.
const UNKNOWN: u16 = 80;

/// Columns of the terminal behind stderr; `None` if there is none, it cannot redraw a line, or we run in its
/// background, where somebody else draws.
#[must_use]
pub fn columns() -> Option<u16> {
    let terminal = io::stderr();
    let redraws = || std::env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb");
    if !isatty(&terminal) || !redraws() || tcgetpgrp(&terminal).ok()? != getpgrp() {
        return None;
    }
    let columns = tcgetwinsize(&terminal).ok()?.ws_col;
    Some(if columns == 0 { UNKNOWN } else { columns })
}
