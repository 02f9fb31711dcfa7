//! `vale-ctl`: attaches, detaches and lists the ports of switches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use dataplane::usage;
use dataplane::vale_ctl::{self, Args};

fn main() -> ExitCode {
    let args: Args = usage::parse();
    match vale_ctl::run(args, &mut std::io::stdout(), &mut std::io::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
