//! Who is on which switch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use ports::{Counters, Link, LinkState, Mac, Port, Presence, Rings, Rx, Tx};
use switch::{PortIndex, Switch};

use super::Error;
use crate::control::message::Counts;
use crate::name::{Backend, ValePort};
use crate::trouble::Watchman;
use crate::worker::AppId;

/// What a port is there for.
pub(super) enum Purpose {
    /// Attached by a user.
    Attached,
    /// Attached by a user; goes back to the persistent ports when detached, and its transmitting half comes
    /// this way.
    Persistent(Receiver<Box<dyn Tx>>),
    /// Made for an app, and leaves with it.
    Hosted {
        /// What the user calls it.
        program: &'static str,
        /// Its threads.
        seats: Vec<Seat>,
        /// Tells its host that everything is about to be detached.
        closing: Sender<Closing>,
    },
}

/// Everything is about to be detached.
pub(crate) struct Closing;

/// Where one thread of an app runs.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    pub(super) worker: usize,
    pub(super) id: AppId,
}

/// What is known of a port whose halves are elsewhere.
pub(super) struct About {
    pub(super) mac: Option<Mac>,
    pub(super) counters: Arc<Counters>,
    pub(super) rings: Rings,
    pub(super) mem_id: u64,
    pub(super) notes: Vec<String>,
    pub(super) peer: Option<Presence>,
    pub(super) link: Option<Link>,
}

impl About {
    /// What it keeps frames in, the memory of a peer included that is there.
    pub(super) fn rings(&self) -> Rings {
        let shared = self.peer.as_ref().map_or(0, Presence::shared_bytes);
        Rings { memory_bytes: self.rings.memory_bytes + shared, ..self.rings }
    }

    /// The port again, of its receiving halves, at least one, and the other one.
    pub(super) fn port(self, halves: Vec<Box<dyn Rx>>, tx: Box<dyn Tx>) -> Option<Port> {
        let Self { mac, counters, rings, mem_id: _, notes, peer, link } = self;
        let mut halves = halves.into_iter();
        let (rx, more_rx) = (halves.next()?, halves.collect());
        Some(Port { rx, more_rx, tx, mac, counters, rings, notes, peer, link })
    }
}

/// A port on its switch.
pub(super) struct Entry {
    pub(super) name: ValePort,
    pub(super) index: PortIndex,
    pub(super) backend: Backend,
    /// Those of its receiving halves, at least one, in their order.
    pub(super) workers: Vec<usize>,
    pub(super) purpose: Purpose,
    pub(super) about: About,
    /// The far end of a virtual port that no app holds.
    #[expect(dead_code, reason = "held so that the cable has two ends")]
    pub(super) far: Option<Port>,
    /// Tells the user of trouble.
    pub(super) watchman: Watchman,
}

impl Entry {
    /// Whose the port is, if it is an app's.
    pub(super) const fn program(&self) -> Option<&'static str> {
        if let Purpose::Hosted { program, .. } = self.purpose { Some(program) } else { None }
    }

    /// What to tell whoever wants the port away, if it is an app's: only the end of the app's program removes it.
    pub(super) fn in_use(&self) -> Option<Error> {
        self.program().map(|program| Error::InUse { name: self.name.short(), program })
    }
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
pub(super) struct Persistent {
    pub(super) mem_id: u64,
    /// Here while it is on no switch.
    pub(super) port: Option<Port>,
    /// Where it is otherwise.
    pub(super) attached: Option<String>,
}

impl Persistent {
    /// Whether it is on no switch, and somebody has deleted its interface.
    pub(super) fn is_gone(&self) -> bool {
        let link = self.port.as_ref().and_then(|port| port.link.as_ref());
        link.is_some_and(|link| link.state() == LinkState::Gone)
    }
}

/// Everything that is attached.
#[derive(Default)]
pub(super) struct Roster {
    pub(super) homes: BTreeMap<String, Home>,
    pub(super) persistent: BTreeMap<String, Persistent>,
    /// Switches made so far: they are spread over the workers in turn.
    made: usize,
    /// The ports of apps that have ended stay, to be counted with the rest: everything is about to be detached.
    pub(super) closing: bool,
    /// Pieces of memory numbered so far: each port has its own, and netmap's lines have a number for it.
    memories: u64,
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

    /// A number for the memory of a new port, from 1.
    pub(super) fn number_memory(&mut self) -> u64 {
        self.memories += 1;
        self.memories
    }

    pub(super) fn entry(&self, port: &ValePort) -> Option<(&Home, &Entry)> {
        let home = self.homes.get(&port.switch)?;
        Some((home, home.entries.get(&port.key())?))
    }

    /// Says who has this name, if somebody does.
    pub(super) fn check_free(&self, port: &ValePort) -> Result<(), Error> {
        self.entry(port)
            .map_or(Ok(()), |(_, entry)| Err(entry.in_use().unwrap_or_else(|| Error::Attached(port.short()))))
    }

    pub(super) fn entry_mut(&mut self, port: &ValePort) -> Option<&mut Entry> {
        self.homes.get_mut(&port.switch)?.entries.get_mut(&port.key())
    }

    /// Who is on this interface, or on its host's side, on whatever switch.
    pub(super) fn of_interface(&self, interface: &str, host: bool) -> Option<&Entry> {
        let is_it = |e: &&Entry| {
            e.backend.is_interface() && e.name.port == interface && (e.backend == Backend::Host) == host
        };
        self.homes.values().flat_map(|h| h.entries.values()).find(is_it)
    }

    /// Whether the host's side of an interface may join: while the interface is here by AF_XDP. By any other way of
    /// being on it, or without, what is sent to the host would come back by the interface, for ever.
    pub(super) fn check_host(&self, side: &ValePort) -> Result<(), Error> {
        let beside = self.of_interface(&side.port, false);
        if beside.is_some_and(|entry| entry.backend == Backend::Afxdp) {
            return Ok(());
        }
        let beside =
            beside.map_or_else(|| "no AF_XDP port".to_owned(), |entry| format!("@{}", entry.backend.name()));
        Err(no_host(side, beside))
    }

    /// Everybody, switch by switch, in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<&Home> {
        let mut homes = self.homes.values().collect::<Vec<_>>();
        homes.sort_unstable_by_key(|h| h.bridge_idx);
        homes
    }
}

/// Whether a port and the host's side of it may join together, as far as its name says.
pub(super) fn check_sides(name: &ValePort) -> Result<(), Error> {
    match name.source.as_ref().map(|source| source.backend) {
        None | Some(Backend::Afxdp) => Ok(()),
        Some(backend) if backend.is_interface() => Err(no_host(name, format!("@{}", backend.name()))),
        Some(backend) => Err(Error::NoStack { name: name.short(), backend: backend.name() }),
    }
}

fn no_host(side: &ValePort, beside: String) -> Error {
    Error::NoHost { switch: side.switch.clone(), interface: side.port.clone(), beside }
}

impl Home {
    /// The ports in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<&Entry> {
        let mut entries = self.entries.values().collect::<Vec<_>>();
        entries.sort_unstable_by_key(|e| e.index);
        entries
    }
}
