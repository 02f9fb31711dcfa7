//! `pkt-gen`: sends or receives frames as fast as a port goes.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dataplane::control::message::Thread;
use dataplane::control::place::Place;
use dataplane::tool::{self, Job, News};
use dataplane::worker::cores;
use dataplane::{apps, search, streams, terminal, usage};
use pktgen::search::{Plan, Table};
use pktgen::{Args, Config, Event, Format, HdrLog, Printer, Style, Sum, Task};

fn main() -> ExitCode {
    let cpus = u32::try_from(cores::of_machine()).unwrap_or(u32::MAX);
    let args: Args = usage::parse();
    for note in args.notes() {
        streams::say(format_args!("pkt-gen: {note}"));
    }
    let style = Style { columns: terminal::columns, ..args.style() };
    let hdr = args.hdr().map(Path::to_owned);
    match args.into_task(cpus) {
        Ok(Task::Run(config)) => generate(*config, style, hdr),
        Ok(Task::Search(plan)) => seek(*plan, style.format),
        Err(e) => fail(e),
    }
}

/// Looks for the greatest load without loss.
fn seek(plan: Plan, format: Format) -> ExitCode {
    let table = Table::new(plan.clone(), format);
    match search::run(plan, &table, &Place::new(None), &mut streams::stdout(), &mut streams::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(e),
    }
}

/// Sends, receives, or whatever the config says.
fn generate(config: Config, style: Style, hdr: Option<PathBuf>) -> ExitCode {
    let mut hdr = match hdr.map(Hdr::create).transpose() {
        Ok(hdr) => hdr,
        Err(e) => return fail(e),
    };
    let threads = config.of_each_thread().into_iter().map(thread).collect();
    let job = Job { on: config.port.clone(), threads, place: Place::new(None) };
    let mut sum = Sum::new(config.threads.count);
    let mut printer = Printer::new(config, style);
    let (mut out, mut err) = (streams::stdout(), streams::stderr());
    let print = |news| match news {
        News::Event { thread, event } => sum.hear(thread, event, |event| {
            printer.event(&event, &mut out, &mut err)?;
            let Some(Err(e)) = hdr.as_mut().map(|hdr| hdr.event(&event)) else { return Ok(()) };
            hdr = None; // the run goes on: its report is worth more than the log
            printer.event(&Event::Failed { message: e.to_string() }, &mut out, &mut err)
        }),
        News::Broken(message) => printer.event(&Event::Failed { message }, &mut out, &mut err),
        News::Trouble(text) => printer.notice(&text, &mut err),
    };
    match tool::run(job, print) {
        Ok(()) => ExitCode::from(printer.exit_status()),
        // Who read our report has had enough of it.
        Err(tool::Error::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(why) => {
            let _ = printer.broken_off(&why.to_string(), &mut out, &mut err);
            ExitCode::FAILURE
        }
    }
}

fn thread((cpu, config): (Option<u32>, Config)) -> Thread {
    Thread { core: cpu.map(|cpu| cpu as usize), app: apps::Config::Pktgen(config) }
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    streams::say(format_args!("pkt-gen: {why}"));
    ExitCode::FAILURE
}

/// The file of `--hdr`.
struct Hdr {
    log: HdrLog<File>,
    path: PathBuf,
}

impl Hdr {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::create(&path).map_err(|e| named(&path, &e))?;
        Ok(Self { log: HdrLog::new(file), path })
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.log.event(event).map_err(|e| named(&self.path, &e))
    }
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("--hdr {}: {e}", path.display()))
}
