//! `pkt-gen`: sends or receives frames as fast as a port goes.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use dataplane::apps;
use dataplane::control::place::Place;
use dataplane::tool::{self, Job};
use pktgen::{Args, Printer};

fn main() -> ExitCode {
    let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let args = Args::parse();
    for note in args.notes() {
        eprintln!("pkt-gen: {note}");
    }
    let config = match args.into_config(cpus) {
        Ok(config) => config,
        Err(e) => return fail(e),
    };
    let mut printer = Printer::new(config.clone());
    let job = Job {
        on: config.port.clone(),
        core: config.pin.map(|cpu| cpu as usize),
        app: apps::Config::Pktgen(config),
        place: Place::new(None),
    };
    match tool::run(job, |event| printer.event(&event, &mut io::stdout(), &mut io::stderr())) {
        Ok(()) => ExitCode::from(printer.exit_status()),
        Err(e) => fail(e),
    }
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("pkt-gen: {why}");
    ExitCode::FAILURE
}
