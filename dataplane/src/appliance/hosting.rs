//! Apps on ports of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::Receiver;
use ports::{App, Port};

use super::{Appliance, Error, Joiner, Purpose};
use crate::backend;
use crate::identity;
use crate::name::{Backend, ValePort};
use crate::worker::{AppId, Hosted, Retired};

/// How long a worker may take to let go of an app: a pass takes microseconds, a busy machine some more.
const LET_GO: Duration = Duration::from_secs(2);

/// An app that runs on a port made for it. Dropping this ends the app and removes the port.
pub struct Hosting {
    appliance: Arc<Appliance>,
    name: ValePort,
    worker: usize,
    id: AppId,
    retired: Receiver<Retired>,
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
        if let Some(source) = name.source.as_ref().filter(|s| s.backend != Backend::Virtual) {
            return Err(Error::NotVirtual { name: name.short(), backend: source.backend.name() });
        }
        let core = match &name.source {
            Some(source) => core.or(backend::core(&name.short(), source)?),
            None => core,
        };
        core.map(|c| self.worker_on(c)).transpose()?;
        let (near, mut far) = backend::cable(&name.short(), name.source.as_ref())?;
        far.mac = Some(identity::station(&name.short()));
        let mut roster = self.roster();
        if roster.entry(name).is_some() {
            return Err(Error::Attached(name.short()));
        }
        let app = make(&far).map_err(Error::App)?;
        let id = AppId(self.apps.fetch_add(1, Ordering::Relaxed));
        let joiner = Joiner {
            name: name.clone(),
            port: Port { mac: far.mac, ..near },
            backend: Backend::Virtual.name(),
            purpose: Purpose::Hosted(id),
            core,
            far: None,
        };
        self.join(&mut roster, joiner)?;
        let worker = roster.entry(name).map_or(0, |(_, e)| e.worker);
        let (hosted, retired) = Hosted::new(id, app, far);
        self.workers[worker].add_app(hosted);
        Ok(Hosting { appliance: self.clone(), name: name.clone(), worker, id, retired })
    }

    /// Asks every app to come to its end. Their ports stay, so that [`stats`](Self::stats) has them still, until
    /// [`detach_all`](Self::detach_all).
    pub fn stop_apps(&self) {
        let mut roster = self.roster();
        roster.closing = true;
        for entry in roster.homes.values().flat_map(|h| h.entries.values()) {
            if let Purpose::Hosted(id) = entry.purpose {
                self.workers[entry.worker].stop_app(id);
            }
        }
    }
}

impl Hosting {
    /// Asks the app to come to its end.
    pub fn stop(&self) {
        self.appliance.workers[self.worker].stop_app(self.id);
    }

    /// Yields once, when the app is done.
    #[must_use]
    pub const fn retired(&self) -> &Receiver<Retired> {
        &self.retired
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        self.appliance.workers[self.worker].remove_app(self.id);
        // What it sent last is still in the cable: the port leaves when that has gone where it was going.
        let _retired = self.retired.recv_timeout(LET_GO);
        let mut roster = self.appliance.roster();
        if !roster.closing {
            self.appliance.leave(&mut roster, &self.name, true);
        }
    }
}
