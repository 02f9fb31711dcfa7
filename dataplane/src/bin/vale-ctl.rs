//! `vale-ctl`: attaches, detaches and lists the ports of switches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dataplane::vale_ctl::{self, Args};

fn main() -> ExitCode {
    match vale_ctl::run(Args::parse(), &mut std::io::stdout(), &mut std::io::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
