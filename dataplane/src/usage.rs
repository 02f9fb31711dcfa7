//! The command line, read in one way by all four programs.

use std::io::{self, Write};

use clap::Parser;

use crate::streams;

/// What the command line says. As clap's own, ends the process if there is nothing to be done, and has printed why: with
/// status 0 after `--help` and `--version`, else with 1, which scripts know from netmap's programs and iperf3 (clap alone
/// has 2).
#[must_use]
pub fn parse<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|e| {
        let told = e.print().and_then(|()| io::stdout().flush());
        std::process::exit(i32::from(e.use_stderr() || !is_heard::<A>(told)))
    })
}

/// Whether what was asked for was printed, or nobody wanted the rest of it; else says why not.
fn is_heard<A: Parser>(told: io::Result<()>) -> bool {
    let Some(why) = told.err().filter(|e| e.kind() != io::ErrorKind::BrokenPipe) else { return true };
    streams::say(format_args!("{}: standard output: {why}", A::command().get_name()));
    false
}
