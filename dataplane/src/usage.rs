//! The command line, read in one way by all four programs.

use clap::Parser;

/// What the command line says. As clap's own, ends the process if there is nothing to be done, and has printed why: with
/// status 0 after `--help` and `--version`, else with 1, which scripts know from netmap's programs and iperf3 (clap alone
/// has 2).
#[must_use]
pub fn parse<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|e| {
        let _ = e.print(); // whoever was to read it may be gone
        std::process::exit(i32::from(e.use_stderr()))
    })
}
