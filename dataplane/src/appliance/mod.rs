//! The appliance: switches by name, and the ports and apps on them.
//!
//! A switch is made when its first port joins and is gone when its last leaves. A port lives on its switch's
//! home worker unless it asks for another core. Everything here is the control path: it may block, and it holds
//! one lock; the workers know nothing of it.

mod error;
mod hosting;
mod lent;
mod persistent;
mod roster;
mod view;

use std::io;
use std::iter;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{Port, Time};
use switch::{Joining, Switch, WhenFull};

use crate::backend;
use crate::control::message::{Attached, Detached};
use crate::name::{Backend, Source, ValePort};
use crate::trouble::Watchman;
use crate::worker::Worker;
use crate::worker::cores::{self, NoCore};
use crate::worker::idle::Policy;

pub use error::Error;
pub use hosting::Hosting;
use roster::{About, Entry, Persistent, Purpose, Roster};

/// How an appliance is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The cores to poll on, one worker each; all there are if empty.
    pub cores: Vec<usize>,
    /// What workers do when there is nothing to do.
    pub idle: Policy,
    /// How each switch is set up.
    pub switch: switch::Options,
    /// Where sockets of ports are made whose options do not say.
    pub sockets: PathBuf,
}

/// Switches, ports, apps and the workers that move their frames.
pub struct Appliance {
    workers: Vec<Worker>,
    switch_options: switch::Options,
    sockets: PathBuf,
    roster: Mutex<Roster>,
    apps: AtomicU64,
}

/// A port on its way onto a switch.
struct Joiner {
    name: ValePort,
    port: Port,
    backend: Backend,
    purpose: Purpose,
    core: Option<usize>,
    far: Option<Port>,
}

impl Appliance {
    /// Starts the workers.
    ///
    /// # Errors
    /// If a core is not there, or a thread cannot be had.
    pub fn new(options: Options) -> io::Result<Self> {
        let there = cores::available();
        let wanted = if options.cores.is_empty() { there.clone() } else { options.cores };
        let mut workers = Vec::<Worker>::new();
        for core in wanted {
            let core = cores::check(core, &there).map_err(io::Error::other)?;
            if workers.iter().all(|w| w.core() != core) {
                workers.push(Worker::start(core, options.idle)?);
            }
        }
        Ok(Self {
            workers,
            switch_options: options.switch,
            sockets: options.sockets,
            roster: Mutex::default(),
            apps: AtomicU64::default(),
        })
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        // Whoever panicked did so between two whole changes or lost a port: either way the rest is still there.
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a port and puts it on its switch; with `host`, the host stack's side of its interface too.
    ///
    /// # Errors
    /// If the name is taken, or the port cannot be opened. Then nothing is attached.
    pub fn attach(&self, name: &ValePort, host: bool) -> Result<Vec<Attached>, Error> {
        let host = host && !name.is_host();
        if host {
            roster::check_sides(name)?;
        }
        let mut attached = vec![self.attach_one(name)?];
        if host {
            match self.attach_one(&name.host()) {
                Ok(side) => attached.push(side),
                Err(e) => {
                    self.detach(name)?;
                    return Err(e);
                }
            }
        }
        Ok(attached)
    }

    fn attach_one(&self, name: &ValePort) -> Result<Attached, Error> {
        let mut roster = self.roster();
        roster.check_free(name)?;
        let plain_tap = Some(Source::new(Backend::Tap));
        let joiner = match roster.persistent.get_mut(&name.port) {
            Some(held) if name.source.is_none() || name.source == plain_tap => {
                Self::joiner_of_persistent(name, held)?
            }
            _ => self.open(&roster, name)?,
        };
        self.join(&mut roster, joiner)
    }

    fn joiner_of_persistent(name: &ValePort, held: &mut Persistent) -> Result<Joiner, Error> {
        if held.is_gone() {
            return Err(Error::Gone(name.port.clone()));
        }
        let attached = || held.attached.clone().unwrap_or_default();
        let port =
            held.port.take().ok_or_else(|| Error::Busy { name: name.port.clone(), port: attached() })?;
        held.attached = Some(name.short());
        let (tx, returns) = lent::lend(port.tx);
        let port = Port { tx, ..port };
        let (name, purpose) = (name.clone(), Purpose::Persistent(returns));
        Ok(Joiner { name, port, backend: Backend::Tap, purpose, core: None, far: None })
    }

    fn open(&self, roster: &Roster, name: &ValePort) -> Result<Joiner, Error> {
        let mut source = name.source.clone().unwrap_or_else(|| Source::new(Backend::Afxdp));
        if source.backend.has_socket() {
            let path = self.sockets.join(format!("{}-{}.sock", name.switch, name.port));
            source = source.or_option("path", path.display().to_string());
        }
        let source = &source;
        if source.backend.is_interface()
            && let Some(entry) = roster.of_interface(&name.port, source.backend == Backend::Host)
        {
            return Err(Error::Busy { name: name.port.clone(), port: entry.name.short() });
        }
        if source.backend == Backend::Host {
            roster.check_host(name)?;
        }
        tracing::debug!("{}: opens ({})", name.short(), source.backend.name());
        let core = backend::core(&name.short(), source)?;
        let (port, far) = match source.backend {
            Backend::Virtual => {
                backend::cable(&name.short(), Some(source)).map(|(near, far)| (near, Some(far)))?
            }
            // Who comes by a socket is met under the name that users know.
            _ if source.backend.has_socket() => (backend::open_shared(&name.short(), source)?, None),
            _ => (backend::open_shared(&name.port, source)?, None),
        };
        let (name, purpose) = (name.clone(), Purpose::Attached);
        Ok(Joiner { name, port, backend: source.backend, purpose, core, far })
    }

    /// Puts an open port on a switch, as if `name` had been attached: for ports that no backend here opens.
    ///
    /// # Errors
    /// If the name is taken or the switch is full.
    pub fn attach_port(&self, name: &ValePort, port: Port) -> Result<Attached, Error> {
        let (name, purpose) = (name.clone(), Purpose::Attached);
        let joiner = Joiner { name, port, backend: Backend::Virtual, purpose, core: None, far: None };
        self.join(&mut self.roster(), joiner)
    }

    fn worker_on(&self, core: usize) -> Result<usize, NoCore> {
        let at = self.workers.iter().position(|w| w.core() == core);
        at.ok_or_else(|| NoCore { core, available: self.workers.iter().map(Worker::core).collect() })
    }

    fn check_workers(&self, name: &ValePort, asked: usize) -> Result<(), Error> {
        let there = self.workers.len();
        if asked > there { Err(Error::Workers { name: name.short(), asked, there }) } else { Ok(()) }
    }

    fn join(&self, roster: &mut Roster, joiner: Joiner) -> Result<Attached, Error> {
        let Joiner { name, port, backend, purpose, core, far } = joiner;
        roster.check_free(&name)?;
        let asked = core.map(|c| self.worker_on(c)).transpose()?;
        let Port { rx, more_rx, tx, mac, counters, rings, notes, peer, link } = port;
        let halves = iter::once(rx).chain(more_rx).collect::<Vec<_>>();
        self.check_workers(&name, halves.len())?;
        let mem_id = match (&purpose, roster.persistent.get(&name.port)) {
            (Purpose::Persistent(_), Some(held)) => held.mem_id,
            _ => roster.number_memory(),
        };
        let home = roster.home(&name.switch, self.workers.len(), &self.switch_options);
        let first = asked.unwrap_or(home.worker);
        let when_full =
            if matches!(purpose, Purpose::Hosted { .. }) { WhenFull::Wait } else { WhenFull::Drop };
        let about = About { mac, counters, rings, mem_id, notes, peer, link };
        let joining = Joining { name: name.key(), tx, counters: about.counters.clone(), when_full };
        let index = match home.switch.join(joining) {
            Ok(index) => index,
            Err(e) => {
                roster.homes.retain(|_, h| !h.entries.is_empty());
                Self::shelve(roster, &name.port, &purpose, about, halves);
                return Err(Error::Switch { name: name.short(), why: e.to_string() });
            }
        };
        tracing::debug!("{}: is port {} of {}", name.short(), index.number(), name.switch);
        self.refresh(&home.switch);
        let turn = |half| (first + half) % self.workers.len();
        let workers = (0..halves.len()).map(turn).collect::<Vec<_>>();
        for (worker, rx) in workers.iter().zip(halves) {
            self.workers[*worker].add_port(&home.switch, index, rx);
            tracing::debug!("{}: received on core {}", name.short(), self.workers[*worker].core());
        }
        let core = self.workers[first].core();
        tracing::info!("{}: attached ({}, core {core})", name.short(), backend.name());
        let attached = Attached {
            name: name.short(),
            bridge_idx: home.bridge_idx,
            port_idx: index.number().into(),
            notes: about.notes.clone(),
        };
        let key = name.key();
        let watchman = Watchman::new(&name.port, backend, about.link.clone());
        let entry = Entry { name, index, backend, workers, purpose, about, far, watchman };
        home.entries.insert(key, entry);
        Ok(attached)
    }

    /// Takes a port off its switch, and the host stack's side of it too. When this returns no worker knows of
    /// it any more.
    ///
    /// # Errors
    /// If it is not there, or belongs to an app.
    pub fn detach(&self, name: &ValePort) -> Result<Detached, Error> {
        let mut roster = self.roster();
        let (_, entry) = roster.entry(name).ok_or_else(|| Error::NoPort(name.short()))?;
        if let Some(no) = entry.in_use() {
            return Err(no);
        }
        let detached = Detached { port_idx: entry.index.number().into() };
        // On whatever switch it is: see `check_host`.
        let carries = entry.backend == Backend::Afxdp;
        let side = roster.of_interface(&name.port, true).filter(|_| carries).map(|side| side.name.clone());
        if let Some(side) = side {
            self.leave(&mut roster, &side, false);
        }
        self.leave(&mut roster, name, false);
        Ok(detached)
    }

    fn refresh(&self, switch: &Arc<Switch>) {
        for worker in &self.workers {
            worker.refresh(switch);
        }
    }

    fn leave(&self, roster: &mut Roster, name: &ValePort, drain: bool) {
        let Some(home) = roster.homes.get_mut(&name.switch) else { return };
        let Some(entry) = home.entries.remove(&name.key()) else { return };
        let remove = |worker: &usize| self.workers[*worker].remove_port(&home.switch, entry.index, drain);
        let halves = entry.workers.iter().filter_map(remove).collect();
        tracing::debug!("{}: received by nobody any more", name.short());
        home.switch.leave(entry.index);
        self.refresh(&home.switch);
        let counts = entry.about.counters.read();
        home.departed.add(&counts.into());
        tracing::info!(
            "{}: detached ({} in, {} out, {} dropped)",
            name.short(),
            counts.rx_frames,
            counts.tx_frames,
            counts.drops()
        );
        roster.homes.retain(|_, h| !h.entries.is_empty());
        Self::shelve(roster, &name.port, &entry.purpose, entry.about, halves);
    }

    /// Takes everything off every switch.
    pub fn detach_all(&self) {
        let mut roster = self.roster();
        let names = roster.homes.values().flat_map(|h| h.entries.values().map(|e| e.name.clone()));
        for name in names.collect::<Vec<_>>() {
            self.leave(&mut roster, &name, false);
        }
        roster.persistent.clear();
    }

    /// What is to be done now and then, at least every few seconds: ageing, and looking for trouble to report.
    pub fn tick(&self, now: Time) {
        let mut roster = self.roster();
        for home in roster.homes.values_mut() {
            home.switch.age(now);
            home.entries.values_mut().for_each(Entry::warn_once);
        }
    }

    /// Whether nothing is attached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let roster = self.roster();
        roster.homes.is_empty() && roster.persistent.is_empty()
    }
}
