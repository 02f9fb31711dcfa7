//! `pkt-gen`: sends or receives frames as fast as a port goes.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use dataplane::control::place::Place;
use dataplane::tool::{self, Job, News};
use dataplane::{apps, terminal};
use pktgen::{Args, Printer, Style};

fn main() -> ExitCode {
    let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let args = Args::parse();
    let style = Style { columns: terminal::columns, ..args.style() };
    let config = match args.into_config(cpus) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("pkt-gen: {e}");
            return ExitCode::FAILURE;
        }
    };
    let mut printer = Printer::new(config.clone(), style);
    let job = Job {
        on: config.port.clone(),
        core: config.pin.map(|cpu| cpu as usize),
        app: apps::Config::Pktgen(config),
        place: Place::new(None),
    };
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let print = |news| match news {
        News::Event(event) => printer.event(&event, &mut out, &mut err),
        News::Trouble(text) => printer.notice(&text, &mut err),
    };
    match tool::run(job, print) {
        Ok(()) => ExitCode::from(printer.exit_status()),
        // Who read our report has had enough of it.
        Err(tool::Error::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(why) => {
            let _ = printer.broken_off(&why.to_string(), &mut io::stdout(), &mut io::stderr());
            ExitCode::FAILURE
        }
    }
}
