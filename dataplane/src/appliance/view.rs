//! What the appliance tells of itself.

use ports::{Presence, Time};

use super::roster::{Entry, Home};
use super::{Appliance, Error};
use crate::control::message::{PortRow, PortStats, Station, SwitchStats};
use crate::name::{Backend, ValePort};
use crate::trouble;

impl Entry {
    /// What the counters say that the user should do something about.
    fn hint(&self) -> Option<String> {
        self.watchman.hint(&self.name.short(), &self.name.port, &self.about.counters.read())
    }

    pub(super) fn warn_once(&mut self) {
        if let Some(hint) = self.watchman.look(&self.name.short(), &self.name.port, &self.about.counters) {
            tracing::warn!("{hint}");
        }
    }

    fn stats(&self) -> PortStats {
        let (name, totals) = (self.name.short(), self.about.counters.read());
        let peer = self.about.peer.as_ref().map(Presence::peer);
        let hint = self.hint().or_else(|| trouble::nobody(&name, peer.as_ref(), &totals));
        PortStats { name, counts: totals.into(), hint }
    }
}

impl Home {
    fn stats(&self, name: &str, key: Option<&str>) -> SwitchStats {
        // Read once: what the rows show adds up to the total, also under traffic.
        let all = self.sorted().into_iter().map(|e| (e.name.key(), e.stats())).collect::<Vec<_>>();
        let mut total = self.departed.clone();
        all.iter().for_each(|(_, port)| total.add(&port.counts));
        let ports = all.into_iter().filter(|(k, _)| key.is_none_or(|key| k == key)).map(|(_, port)| port);
        SwitchStats { switch: name.to_owned(), ports: ports.collect(), balance: total.balance(), total }
    }
}

impl Appliance {
    /// Every port, by switch and number; then the persistent ports that are on no switch.
    #[must_use]
    pub fn list(&self) -> Vec<PortRow> {
        let roster = self.roster();
        let row = |home: &Home, entry: &Entry| {
            let mut cores = entry.workers.iter().map(|worker| self.workers[*worker].core());
            PortRow {
                name: entry.name.short(),
                bridge_idx: Some(home.bridge_idx),
                port_idx: Some(entry.index.number().into()),
                backend: entry.program().map_or_else(|| entry.backend.name(), |_| "app").to_owned(),
                core: cores.next(),
                more_cores: cores.collect(),
                mac: entry.about.mac,
                rings: entry.about.rings(),
                mem_id: entry.about.mem_id,
                peer: entry.about.peer.as_ref().map(Presence::peer),
                notes: entry.about.notes.iter().cloned().chain(entry.hint()).collect(),
            }
        };
        let attached =
            roster.sorted().into_iter().flat_map(|h| h.sorted().into_iter().map(move |e| row(h, e)));
        let shelved = roster.persistent.iter().filter_map(|(name, held)| {
            let port = held.port.as_ref()?;
            let gone = held.is_gone().then(|| Error::Gone(name.clone()).to_string());
            Some(PortRow {
                name: name.clone(),
                bridge_idx: None,
                port_idx: None,
                backend: Backend::Tap.name().to_owned(),
                core: None,
                more_cores: Vec::new(),
                mac: port.mac,
                rings: port.rings,
                mem_id: held.mem_id,
                peer: port.peer.as_ref().map(Presence::peer),
                notes: port.notes.iter().cloned().chain(gone).collect(),
            })
        });
        attached.chain(shelved).collect()
    }

    /// Counters of a switch (`vale0`), of a port (`vale0:eth0`), or of everything.
    ///
    /// # Errors
    /// If it is not there.
    pub fn stats(&self, of: Option<&str>) -> Result<Vec<SwitchStats>, Error> {
        let roster = self.roster();
        match of {
            None => Ok(roster.sorted().iter().map(|h| h.stats(h.switch.name(), None)).collect()),
            Some(of) if !of.contains(':') => {
                let home = roster.homes.get(of).ok_or_else(|| Error::NoSwitch(of.to_owned()))?;
                Ok(vec![home.stats(of, None)])
            }
            Some(of) => {
                let port = of.parse::<ValePort>()?;
                let (home, entry) = roster.entry(&port).ok_or_else(|| Error::NoPort(port.short()))?;
                Ok(vec![home.stats(&port.switch, Some(&entry.name.key()))])
            }
        }
    }

    /// The stations that a switch knows, or all of them.
    ///
    /// # Errors
    /// If the switch is not there.
    pub fn fdb(&self, switch: Option<&str>, now: Time) -> Result<Vec<Station>, Error> {
        let roster = self.roster();
        let homes = match switch {
            None => roster.sorted(),
            Some(name) => vec![roster.homes.get(name).ok_or_else(|| Error::NoSwitch(name.to_owned()))?],
        };
        Ok(homes.into_iter().flat_map(|home| Self::stations(home, now)).collect())
    }

    fn stations(home: &Home, now: Time) -> Vec<Station> {
        let port = |index| home.entries.values().find(|e| e.index == index).map(|e| e.name.short());
        let known = home.switch.stations(now).into_iter();
        known
            .filter_map(|s| Some(Station { mac: s.mac, port: port(s.port)?, age_s: s.age.as_secs() }))
            .collect()
    }
}
