//! `iperf-endpoint`: a TCP endpoint that any stock iperf3 can measure, without the kernel's stack.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use dataplane::control::message::Thread;
use dataplane::control::place::Place;
use dataplane::tool::{self, Job, News};
use dataplane::{apps, streams, usage};
use iperf_endpoint::{Args, Event, Printer};

fn main() -> ExitCode {
    let args: Args = usage::parse();
    let (on, format) = (args.on.clone(), args.report_format());
    let config = match args.into_config() {
        Ok(config) => config,
        Err(e) => return fail(e),
    };
    let mut printer = Printer::new(streams::stdout(), streams::stderr(), format);
    let thread = Thread { core: None, app: apps::Config::Iperf(config) };
    let job = Job { on, threads: vec![thread], place: Place::new(None) };
    let print = |news: News<Event>| match news {
        News::Event { event, .. } => printer.print(&event),
        News::Trouble(text) => {
            streams::say(text);
            Ok(())
        }
        News::Broken(text) => printer.broken(&text),
    };
    let ended = tool::run(job, print);
    let told = ended.or_else(|e| printer.broken(&e.to_string())).and_then(|()| printer.close());
    let status = printer.status().and_then(|s| u8::try_from(s).ok());
    told.ok().and(status).unwrap_or(1).into()
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    streams::say(format_args!("iperf-endpoint: {why}"));
    ExitCode::FAILURE
}
