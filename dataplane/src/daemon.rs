//! `valed`: the process that holds the appliance and answers on the control socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use ports::Time;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::appliance::{self, Appliance};
use crate::control::place::{self, Place};
use crate::control::server::Server;
use crate::interrupt::on_interrupt;
use crate::tables;

/// How often the daemon looks after its switches: ageing, trouble to report, whether to leave.
const TICK: Duration = Duration::from_millis(500);

/// How long the apps that run may take to end and report: an endpoint takes its leave of its peer.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// The daemon did not start. The text is for users.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place of the control socket is taken or not usable.
    #[error(transparent)]
    Place(#[from] place::Error),
    /// The socket, a thread or a core is not to be had.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How the daemon is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its socket is.
    pub place: Place,
    /// Workers and switches.
    pub appliance: appliance::Options,
    /// Leave when nothing has been attached and nobody has been connected for this long.
    pub grace: Option<Duration>,
}

/// Runs until SIGINT, SIGTERM or SIGHUP, or until nobody needs it any more where `grace` says so. Lets the apps report,
/// detaches everything, and returns the last counters, as text.
///
/// # Errors
/// If another one runs, or something that it needs is not to be had.
pub fn run(options: Options) -> Result<String, Error> {
    let (signal, interrupted) = bounded(1);
    on_interrupt(move || {
        let _ = signal.try_send(());
    })?;
    lift_descriptors();
    let lock = options.place.lock()?;
    let appliance = Arc::new(Appliance::new(options.appliance)?);
    let server = Server::open(&options.place, &appliance)?;
    tracing::info!("valed {} at {}", std::process::id(), options.place.socket().display());
    serve(&appliance, &server, &interrupted, options.grace);
    appliance.stop_apps();
    server.see_off_hosts(LAST_WORDS);
    let summary = appliance.stats(None).map(|s| tables::stats(&s)).unwrap_or_default();
    drop(server);
    appliance.detach_all();
    drop(lock);
    tracing::info!("valed {} leaves", std::process::id());
    Ok(summary)
}

/// As many descriptors as we may have: a switch full of guests has thousands, and the 1024 that are usual are for the sake
/// of `select`, which is not used here.
fn lift_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // What is refused is said when descriptors run out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn serve(appliance: &Appliance, server: &Server, interrupted: &Receiver<()>, grace: Option<Duration>) {
    let mut needed = Time::now();
    let tick = grace.map_or(TICK, |g| TICK.min(g / 2));
    while interrupted.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
        let now = Time::now();
        appliance.tick(now);
        if server.clients() > 0 || !appliance.is_empty() {
            needed = now;
        }
        if grace.is_some_and(|grace| now.since(needed) >= grace) && server.close_if_alone() {
            return;
        }
    }
}
