//! A search by trials: one app sends on one port, another counts at another port, again and again.

mod end;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pktgen::search::{Outcome, Plan, Search, Step, Table, TrialEvent};
use ports::Mac;

use crate::control::client;
use crate::control::place::Place;
use crate::interrupt::on_interrupt;
use crate::tool::Error;
use end::{End, Running};

/// Searches as planned, and prints a row for each size to `out` and what came of each trial to `err`. SIGINT and
/// SIGTERM end it after the trial that runs; what is known by then goes to `err`.
///
/// # Errors
/// If a port could not be opened or vanished, the trials do not suit it, or nobody reads what is printed.
pub fn run(
    plan: Plan,
    table: &Table,
    place: &Place,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    on_interrupt(move || flag.store(true, Ordering::Release))?;
    let mut bench = Bench::new(plan, place, err)?;
    table.head(out, err)?;
    for size in bench.plan.sizes.clone() {
        let mut search = Search::new(bench.plan.terms);
        loop {
            let step = search.step();
            if let Step::Found(found) = step {
                if !search.has_heard() {
                    return Err(bench.silence());
                }
                table.row(size, found, out)?;
                break;
            }
            if interrupted.load(Ordering::Acquire) {
                return Ok(table.interrupted(size, search.so_far(), err)?);
            }
            let outcome = bench.trial(size, step)?;
            let passed = search.record(outcome);
            table.trial(size, step, &outcome, passed, err)?;
        }
    }
    Ok(())
}

/// The ports of a search.
struct Bench {
    plan: Plan,
    tx: End,
    /// Unless the frames come back to the port that they are sent by.
    rx: Option<End>,
    /// Trials so far: their marks.
    trials: u32,
}

impl Bench {
    fn new(mut plan: Plan, place: &Place, err: &mut impl Write) -> Result<Self, Error> {
        let pin = plan.config.threads.pins.first().map(|cpu| *cpu as usize);
        let tx = End::open(&plan.config.port, pin, place, err)?;
        let rx = match &plan.to {
            Some(to) => Some(End::open(to, tx.next_core(), place, err)?),
            None => None,
        };
        if let Some(rx) = &rx
            && plan.config.frames.dst_mac == Mac::BROADCAST
        {
            plan.config.frames.dst_mac = rx.station();
        }
        if tx.is_direct() || rx.as_ref().is_some_and(End::is_direct) {
            std::thread::sleep(Duration::from_secs(plan.config.wait_s.into())); // for links to come up
        }
        Ok(Self { plan, tx, rx, trials: 0 })
    }

    /// Nothing has arrived.
    fn silence(&self) -> Error {
        let from = &self.plan.config.port;
        Error::App(match &self.plan.to {
            Some(to) => format!("{from} to {to}: no frame arrives (is there a path between the two?)"),
            None => format!("{from}: no frame comes back (try: --to, the port at which they arrive)"),
        })
    }

    /// One trial, of which nothing is under way any more when this returns.
    fn trial(&mut self, size: u32, step: Step) -> Result<Outcome, Error> {
        self.trials += 1;
        let id = self.trials;
        let (station, plan) = (self.tx.station(), &self.plan);
        let receiver = match &mut self.rx {
            Some(rx) => {
                let mut receiver = rx.start(plan.receiver(id, size, station))?;
                while hear(&mut receiver)? != TrialEvent::Ready {}
                Some(receiver)
            }
            None => None,
        };
        let mut sender = self.tx.start(plan.sender(id, size, step))?;
        let (sent, mut received, ns) = over(&mut sender)?;
        self.tx.end(sender)?;
        if let (Some(mut receiver), Some(rx)) = (receiver, &mut self.rx) {
            receiver.stop()?;
            received = over(&mut receiver)?.1;
            rx.end(receiver)?;
        }
        Ok(plan.outcome(sent, received, ns))
    }
}

fn hear(running: &mut Running) -> Result<TrialEvent, Error> {
    match running.hear()? {
        Some(TrialEvent::Failed { message }) => Err(Error::App(message)),
        Some(event) => Ok(event),
        None => Err(Error::Io(io::Error::other("the trial was cut short"))),
    }
}

/// Frames sent and received, and how long it sent.
fn over(running: &mut Running) -> Result<(u64, u64, u64), Error> {
    loop {
        if let TrialEvent::Over { sent, received, ns } = hear(running)? {
            return Ok((sent, received, ns));
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        client::Error::from(e).into()
    }
}
