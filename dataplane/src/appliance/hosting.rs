//! Apps on ports of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};
use ports::{App, Port, identity};

use super::roster::{Closing, Roster, Seat};
use super::{Appliance, Error, Joiner, Purpose};
use crate::backend;
use crate::name::{Backend, ValePort};
use crate::worker::{AppId, Hosted, Retired};

/// How long a worker may take to let go of an app: a pass takes microseconds, a busy machine some more.
const LET_GO: Duration = Duration::from_secs(2);

/// An app that runs on a port made for it, with one thread or several. Dropping this ends the app and removes the
/// port.
pub struct Hosting {
    appliance: Arc<Appliance>,
    name: ValePort,
    seats: Vec<Seat>,
    retired: Receiver<Retired>,
    closing: Receiver<Closing>,
}

impl Appliance {
    /// Makes a port, and the app on it by `make`, which is shown the app's end of the cable. Both run on the
    /// worker of `core`, or of the switch.
    ///
    /// # Errors
    /// If the name is taken or asks for anything but a virtual port, the core is not there, or the app will
    /// not be made.
    pub fn host(
        self: &Arc<Self>,
        name: &ValePort,
        core: Option<usize>,
        make: impl FnOnce(&Port) -> Result<Box<dyn App>, String>,
    ) -> Result<Hosting, Error> {
        let mut make = Some(make);
        let once = |_, port: &Port| make.take().map_or_else(|| Err("no app".to_owned()), |make| make(port));
        self.host_threads(name, "an app", &[core], once)
    }

    /// As [`host`](Self::host), for an app that users know as `program`, with a thread for each of `cores` (the first
    /// where the port is received, others the next workers in turn, unless they name one), each with a queue of the port
    /// to itself. `make` is called for the threads in their order.
    ///
    /// # Errors
    /// As [`host`](Self::host), or if there are more threads than a port may have queues. Then nothing is hosted.
    pub fn host_threads(
        self: &Arc<Self>,
        name: &ValePort,
        program: &'static str,
        cores: &[Option<usize>],
        mut make: impl FnMut(usize, &Port) -> Result<Box<dyn App>, String>,
    ) -> Result<Hosting, Error> {
        if let Some(source) = name.source.as_ref().filter(|s| s.backend != Backend::Virtual) {
            return Err(Error::NotVirtual { name: name.short(), backend: source.backend.name() });
        }
        let asked = self.asked(name, cores)?;
        let (near, mut far) = backend::cables(&name.short(), name.source.as_ref(), cores.len())?;
        let mac = Some(identity::station(&name.short()));
        far.iter_mut().for_each(|port| port.mac = mac);
        let mut roster = self.roster();
        roster.check_free(name)?;
        let apps = (0..).zip(&far).map(|(thread, port)| make(thread, port).map_err(Error::App));
        let apps = apps.collect::<Result<Vec<_>, _>>()?;
        let (sender, closing) = bounded(1);
        let first = asked.iter().flatten().next().map(|worker| self.workers[*worker].core());
        let joiner = Joiner {
            name: name.clone(),
            port: Port { mac, ..near },
            backend: Backend::Virtual,
            purpose: Purpose::Hosted { program, seats: Vec::new(), closing: sender },
            core: first,
            far: None,
        };
        self.join(&mut roster, joiner)?;
        let seats = self.seat(&mut roster, name, asked);
        let (sender, retired) = bounded(seats.len());
        for (seat, (app, port)) in seats.iter().zip(apps.into_iter().zip(far)) {
            self.workers[seat.worker].add_app(Hosted::new(seat.id, name.short(), app, port, sender.clone()));
        }
        Ok(Hosting { appliance: self.clone(), name: name.clone(), seats, retired, closing })
    }

    /// The worker of each thread that is to run on a certain core.
    fn asked(&self, name: &ValePort, cores: &[Option<usize>]) -> Result<Vec<Option<usize>>, Error> {
        let of_port = name.source.as_ref().map_or(Ok(None), |source| backend::core(&name.short(), source))?;
        let worker = |core: &Option<usize>| Ok(core.or(of_port).map(|c| self.worker_on(c)).transpose()?);
        cores.iter().map(worker).collect()
    }

    /// Where the threads of an app run whose port has joined.
    fn seat(&self, roster: &mut Roster, name: &ValePort, asked: Vec<Option<usize>>) -> Vec<Seat> {
        let Some(entry) = roster.entry_mut(name) else { return Vec::new() };
        let turn = |(thread, asked): (usize, Option<usize>)| Seat {
            worker: asked.unwrap_or((entry.workers[0] + thread) % self.workers.len()),
            id: AppId(self.apps.fetch_add(1, Ordering::Relaxed)),
        };
        let seats = asked.into_iter().enumerate().map(turn).collect::<Vec<_>>();
        if let Purpose::Hosted { seats: of_port, .. } = &mut entry.purpose {
            of_port.clone_from(&seats);
        }
        seats
    }

    /// Asks every app's host to [stop](Hosting::stop) it. Their ports stay, so that [`stats`](Self::stats) has them still, until
    /// [`detach_all`](Self::detach_all).
    pub fn stop_apps(&self) {
        let mut roster = self.roster();
        roster.closing = true;
        for entry in roster.homes.values().flat_map(|h| h.entries.values()) {
            if let Purpose::Hosted { closing, .. } = &entry.purpose {
                let _ = closing.try_send(Closing); // told already, or gone
            }
        }
    }
}

impl Hosting {
    /// Asks the app to come to its end. Where all are to, every other host knows by then: [`Appliance::stop_apps`] keeps the
    /// roster until it has told them.
    pub fn stop(&self) {
        drop(self.appliance.roster());
        self.seats.iter().for_each(|seat| self.appliance.workers[seat.worker].stop_app(seat.id));
    }

    /// Says that everything is about to be detached: who hosts the app is to stop it.
    #[must_use]
    pub(crate) const fn closing(&self) -> &Receiver<Closing> {
        &self.closing
    }

    /// Yields each thread of the app when it is done, and then says that there are no more.
    #[must_use]
    pub const fn retired(&self) -> &Receiver<Retired> {
        &self.retired
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        self.seats.iter().for_each(|seat| self.appliance.workers[seat.worker].remove_app(seat.id));
        // What it sent last is still in the cable: the port leaves when that has gone where it was going.
        while self.retired.recv_timeout(LET_GO).is_ok() {}
        let mut roster = self.appliance.roster();
        if !roster.closing {
            self.appliance.leave(&mut roster, &self.name, true);
        }
    }
}
