//! `valed`: the dataplane.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Parser};
use dataplane::control::place::Place;
use dataplane::daemon::{self, Options};
use dataplane::worker::idle::Policy;
use dataplane::{appliance, streams, usage};
use tracing::Level;

// A paragraph is one line here: clap wraps it to the terminal.
const MORE: &str = "\
Naming a port of a switch in vale-ctl, pkt-gen or iperf-endpoint starts valed where none runs, and such a valed \
leaves ten seconds after the last port has gone. Start it by hand to choose cores and policy. It stays in the \
foreground, and ends on ^C, SIGTERM or SIGHUP: apps that run report what they have, everything is detached, and a summary \
of what went through is printed.

The control socket is --socket, or $VALE_SOCKET, or /run/vale/vale.sock for root, or \
$XDG_RUNTIME_DIR/vale/vale.sock, or /tmp/vale-UID/vale.sock; only its owner and root may use it.

Examples:
  valed                            all cores, adaptive
  valed --cores 2,3 --idle busy    two cores that do nothing else";

/// Moves frames between the ports of VALE-style switches
#[derive(Parser)]
#[command(name = "valed", version, after_help = MORE, max_term_width = 110)]
struct Args {
    /// Cores to poll on, one worker each [default: all]
    #[arg(long, value_name = "CORE,...", value_delimiter = ',')]
    cores: Vec<usize>,
    /// What workers do when there is nothing to do: adaptive (spin for a while, then sleep) or busy (spin)
    #[arg(long, value_name = "POLICY", default_value = "adaptive")]
    idle: Policy,
    /// Control socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Seconds for which a switch remembers a station that is silent
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    ageing: u64,
    /// Stations that a switch remembers
    #[arg(long, value_name = "COUNT", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    stations: u32,
    /// More messages: what is said with guests and other programs, and the steps of attaching; twice, also each attempt to
    /// reach one that is not there
    #[arg(short, action = ArgAction::Count)]
    verbose: u8,
    /// Leave when nobody needs it any more
    #[arg(long, hide = true)]
    on_demand: bool,
    /// How long nobody has to need it, milliseconds
    #[arg(long, hide = true, default_value_t = 10_000)]
    grace_ms: u64,
}

impl Args {
    fn options(self) -> Options {
        let mut switch = appliance::Options::default().switch;
        switch.ageing = Duration::from_secs(self.ageing);
        switch.stations = self.stations as usize;
        let place = Place::new(self.socket.as_deref());
        let sockets = place.socket().with_file_name("");
        Options {
            place,
            appliance: appliance::Options { cores: self.cores, idle: self.idle, switch, sockets },
            grace: self.on_demand.then(|| Duration::from_millis(self.grace_ms)),
        }
    }
}

fn main() -> ExitCode {
    let args: Args = usage::parse();
    let level = [Level::INFO, Level::DEBUG, Level::TRACE][usize::from(args.verbose).min(2)];
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match daemon::run(args.options()) {
        Ok(summary) => {
            // Whoever read it may be gone; that is no failure of the daemon's.
            let _ = std::io::stdout().write_all(summary.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            streams::say(format_args!("valed: {e}"));
            ExitCode::FAILURE
        }
    }
}
