//! Persistent ports (`vale-ctl -n`): TAPs that live as long as the process, on a switch or off it.

use ports::{Interface, Port, Rx};

use super::roster::{Entry, Persistent, Purpose, Roster};
use super::{Appliance, Error};
use crate::backend;
use crate::name::{Backend, PlainPort, Source};

impl Appliance {
    /// Makes a persistent port.
    ///
    /// # Errors
    /// If there is one of that name, or an interface, or the TAP cannot be made.
    pub fn create(&self, interface: &str) -> Result<(), Error> {
        let name = PlainPort::tap(interface)?;
        let mut roster = self.roster();
        let there = roster.persistent.contains_key(&name.port);
        if there || Interface::find(&name.port).is_ok() {
            return Err(Error::Exists(name.port));
        }
        let port = backend::open(&name.port, &Source::new(Backend::Tap))?;
        roster.persistent.insert(name.port, Persistent { port: Some(port), attached: None });
        Ok(())
    }

    /// Removes a persistent port, and its interface with it.
    ///
    /// # Errors
    /// If it is on a switch, or was not made by [`create`](Self::create).
    pub fn remove(&self, interface: &str) -> Result<(), Error> {
        let mut roster = self.roster();
        let held = roster.persistent.get(interface);
        match held.ok_or_else(|| Error::NotPersistent(interface.to_owned()))?.attached.clone() {
            Some(port) => Err(Error::Busy { name: interface.to_owned(), port }),
            None => {
                roster.persistent.remove(interface);
                Ok(())
            }
        }
    }

    /// Puts the halves of a port together again when it has left its switch, if it is a persistent one.
    pub(super) fn shelve(roster: &mut Roster, entry: Entry, rx: Option<Box<dyn Rx>>) {
        let Purpose::Persistent(returns) = entry.purpose else { return };
        let tx = returns.try_recv().ok(); // the switch has let go of it
        let Some(held) = roster.persistent.get_mut(&entry.name.port) else { return };
        held.attached = None;
        held.port = rx.zip(tx).map(|(rx, tx)| Port {
            rx,
            tx,
            mac: entry.mac,
            counters: entry.counters,
            notes: entry.notes,
        });
        if held.port.is_none() {
            tracing::warn!("{}: lost on its way off the switch", entry.name.port);
            roster.persistent.remove(&entry.name.port);
        }
    }
}
