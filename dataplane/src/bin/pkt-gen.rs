//! `pkt-gen`: sends or receives frames as fast as a port goes.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use dataplane::apps;
use dataplane::control::message::Thread;
use dataplane::control::place::Place;
use dataplane::tool::{self, Job};
use dataplane::worker::cores;
use pktgen::{Args, Config, Printer, Sum};

fn main() -> ExitCode {
    let cpus = u32::try_from(cores::of_machine()).unwrap_or(u32::MAX);
    let config = match Args::parse().into_config(cpus) {
        Ok(config) => config,
        Err(e) => return fail(e),
    };
    let threads = config.of_each_thread().into_iter().map(thread).collect();
    let job = Job { on: config.port.clone(), threads, place: Place::new(None) };
    let mut sum = Sum::new(config.threads.count);
    let mut printer = Printer::new(config);
    let mut print = |event| printer.event(&event, &mut io::stdout(), &mut io::stderr());
    match tool::run(job, |thread, event| sum.hear(thread, event, &mut print)) {
        Ok(()) => ExitCode::from(printer.exit_status()),
        Err(e) => fail(e),
    }
}

fn thread((cpu, config): (Option<u32>, Config)) -> Thread {
    Thread { core: cpu.map(|cpu| cpu as usize), app: apps::Config::Pktgen(config) }
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("pkt-gen: {why}");
    ExitCode::FAILURE
}
