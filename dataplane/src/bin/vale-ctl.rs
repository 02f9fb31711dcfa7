//! `vale-ctl`: attaches, detaches and lists the ports of switches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use dataplane::vale_ctl::{self, Args};
use dataplane::{streams, usage};

fn main() -> ExitCode {
    let args: Args = usage::parse();
    match vale_ctl::run(args, &mut streams::stdout(), &mut streams::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            streams::say(e);
            ExitCode::FAILURE
        }
    }
}
