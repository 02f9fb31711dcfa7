//! Who is on which switch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::Receiver;
use ports::{Counters, Mac, Port, Tx};
use switch::{PortIndex, Switch};

use crate::control::message::Counts;
use crate::name::ValePort;
use crate::trouble::Watchman;

/// What a port is there for.
pub(super) enum Purpose {
    /// Attached by a user.
    Attached,
    /// Attached by a user; goes back to the persistent ports when detached, and its transmitting half comes
    /// this way.
    Persistent(Receiver<Box<dyn Tx>>),
    /// Made for an app.
    Hosted,
}

/// A port on its switch.
pub(super) struct Entry {
    pub(super) name: ValePort,
    pub(super) index: PortIndex,
    pub(super) backend: &'static str,
    pub(super) worker: usize,
    pub(super) purpose: Purpose,
    pub(super) counters: Arc<Counters>,
    pub(super) mac: Option<Mac>,
    pub(super) notes: Vec<String>,
    /// The far end of a virtual port that no app holds.
    #[expect(dead_code, reason = "held so that the cable has two ends")]
    pub(super) far: Option<Port>,
    /// Tells the user of trouble.
    pub(super) watchman: Watchman,
}

/// A switch, with everybody on it.
pub(super) struct Home {
    pub(super) switch: Arc<Switch>,
    pub(super) bridge_idx: usize,
    /// The worker of ports that ask for no other.
    pub(super) worker: usize,
    /// By the port's part of the name.
    pub(super) entries: BTreeMap<String, Entry>,
    /// What those who left had counted.
    pub(super) departed: Counts,
}

/// A TAP that the process holds whether it is on a switch or not.
#[derive(Default)]
pub(super) struct Persistent {
    /// Here while it is on no switch.
    pub(super) port: Option<Port>,
    /// Where it is otherwise.
    pub(super) attached: Option<String>,
}

/// Everything that is attached.
#[derive(Default)]
pub(super) struct Roster {
    pub(super) homes: BTreeMap<String, Home>,
    pub(super) persistent: BTreeMap<String, Persistent>,
    /// Switches made so far: they are spread over the workers in turn.
    made: usize,
}

impl Roster {
    /// The switch of this name, made if it is not there.
    pub(super) fn home(&mut self, name: &str, workers: usize, options: &switch::Options) -> &mut Home {
        let taken = self.homes.values().map(|h| h.bridge_idx).collect::<Vec<_>>();
        let made = &mut self.made;
        self.homes.entry(name.to_owned()).or_insert_with(|| {
            *made += 1;
            Home {
                switch: Arc::new(Switch::new(name, *options)),
                bridge_idx: (0..).find(|i| !taken.contains(i)).unwrap_or_default(),
                worker: (*made - 1) % workers.max(1),
                entries: BTreeMap::new(),
                departed: Counts::default(),
            }
        })
    }

    pub(super) fn entry(&self, port: &ValePort) -> Option<(&Home, &Entry)> {
        let home = self.homes.get(&port.switch)?;
        Some((home, home.entries.get(&port.key())?))
    }

    /// Everybody, switch by switch, in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<&Home> {
        let mut homes = self.homes.values().collect::<Vec<_>>();
        homes.sort_unstable_by_key(|h| h.bridge_idx);
        homes
    }
}

impl Home {
    /// The ports in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<&Entry> {
        let mut entries = self.entries.values().collect::<Vec<_>>();
        entries.sort_unstable_by_key(|e| e.index);
        entries
    }

    /// Everything counted on the switch, by those who left too.
    pub(super) fn total(&self) -> Counts {
        self.entries.values().fold(self.departed.clone(), |mut sum, e| {
            sum.add(&e.counters.read().into());
            sum
        })
    }
}
