//! The command line, read in one way by all four programs.

use std::process::ExitCode;

use clap::Parser;

/// What the command line says.
///
/// # Errors
/// If there is nothing to be done, and why has been printed: the status to leave with, 0 after `--help` and
/// `--version`, else 1, which scripts know from netmap's programs and iperf3 (clap alone has 2).
pub fn parse<A: Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|e| {
        let _ = e.print(); // whoever was to read it may be gone
        if e.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    })
}
