//! Persistent ports (`vale-ctl -n`): TAPs that live as long as the process, on a switch or off it.

use ports::{Interface, Rx};

use super::roster::{About, Persistent, Purpose, Roster};
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
        let held = roster.persistent.get(&name.port);
        let there = Interface::find(&name.port).is_ok();
        if let Some(port) = held.and_then(|held| held.attached.clone()).filter(|_| !there) {
            return Err(Error::Busy { name: name.port, port });
        }
        if held.is_some_and(|held| !held.is_gone()) || there {
            return Err(Error::Exists(name.port));
        }
        let port = backend::open(&name.port, &Source::new(Backend::Tap))?;
        let mem_id = roster.number_memory();
        roster.persistent.insert(name.port, Persistent { mem_id, port: Some(port), attached: None });
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

    /// Puts the halves of a port together again when it is on no switch any more, or did not get onto one, if it
    /// is a persistent one. Its interface is called `name`.
    pub(super) fn shelve(
        roster: &mut Roster,
        name: &str,
        purpose: &Purpose,
        about: About,
        halves: Vec<Box<dyn Rx>>,
    ) {
        let Purpose::Persistent(returns) = purpose else { return };
        let tx = returns.try_recv().ok(); // the switch has let go of it
        let Some(held) = roster.persistent.get_mut(name) else { return };
        held.attached = None;
        about.counters.reset(); // what it counted stays with the switch
        held.port = tx.and_then(|tx| about.port(halves, tx));
        if held.port.is_none() {
            tracing::warn!("{name}: lost on its way off the switch");
            roster.persistent.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::Options;
    use crate::name::ValePort;

    #[test]
    fn a_full_switch_leaves_it_where_it_was() {
        let appliance = Appliance::new(Options { cores: vec![0], ..Options::default() }).unwrap();
        let held = Persistent { mem_id: 77, port: Some(ports::null::open()), attached: None };
        appliance.roster().persistent.insert("per0".to_owned(), held);
        let vale = |name: String| name.parse::<ValePort>().unwrap();
        let fill = |i| appliance.attach(&vale(format!("vale0:p{i}@null")), false).map(drop);
        let full = (0..).find(|i| fill(*i).is_err()).unwrap();
        assert_eq!(full, 254);
        let per0 = vale("vale0:per0".to_owned());
        let is_listed_as = |name| appliance.list().iter().any(|r| r.name == name && r.mem_id == 77);
        for _ in 0..2 {
            let e = appliance.attach(&per0, false).unwrap_err().to_string();
            assert!(e.starts_with("vale0:per0: ") && e.contains("254"), "{e}");
            assert!(is_listed_as("per0"), "still there, on no switch");
        }
        appliance.detach(&vale("vale0:p3".to_owned())).unwrap();
        appliance.attach(&per0, false).unwrap();
        assert!(is_listed_as("vale0:per0"));
        appliance.detach(&per0).unwrap();
        assert!(is_listed_as("per0"));
        appliance.remove("per0").unwrap();
    }
}
