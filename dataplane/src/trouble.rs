//! What a user should do something about.

use std::sync::Arc;

use ports::counters::Totals;
use ports::{Counters, Interface, Link, LinkState, Peer, Port, Reason};

use crate::name::{Backend, PlainPort};

/// Watches a port for trouble, and tells of each kind once.
#[derive(Default)]
pub(crate) struct Watchman {
    /// The number of the interface behind the port, where it is one that others made.
    index: Option<u32>,
    /// Of a TAP's, which works on wherever it is moved to.
    link: Option<Link>,
    told: Option<String>,
}

impl Watchman {
    /// A watchman of the port on `interface`, which has just been opened, and may tell of its `link` itself.
    pub(crate) fn new(interface: &str, backend: Backend, link: Option<Link>) -> Self {
        let others = matches!(backend, Backend::Afxdp | Backend::Packet);
        let index = others.then(|| Interface::find(interface).ok()).flatten().map(|i| i.index);
        Self { index, link, told: None }
    }

    /// The trouble that the port has, which users know as `name`, and the cure; one line.
    pub(crate) fn hint(&self, name: &str, interface: &str, totals: &Totals) -> Option<String> {
        match self.state() {
            (LinkState::Gone, _) => {
                Some(format!("{name}: the interface is gone (try: detach the port, and ip link)"))
            }
            (LinkState::Down, way) => Some(format!("{name}: interface is down (try: {way})")),
            (LinkState::Up, _) => of_counters(name, interface, totals),
        }
    }

    /// How the interface behind the port stands, and what would bring it up.
    fn state(&self) -> (LinkState, String) {
        let up = |name: &str| format!("ip link set {name} up");
        if let Some(link) = &self.link {
            let state = link.state();
            let moved = state == LinkState::Down && Interface::find(link.name()).is_err();
            let at = if moved { ", in the network namespace that it was moved to" } else { "" };
            return (state, up(link.name()) + at);
        }
        match self.index.map(Interface::numbered) {
            Some(None) => (LinkState::Gone, String::new()),
            Some(Some(now)) if !now.up => (LinkState::Down, up(&now.name)),
            _ => (LinkState::Up, String::new()),
        }
    }

    /// Whether the interface behind the port has vanished.
    pub(crate) fn is_gone(&self) -> bool {
        self.index.is_some_and(|index| Interface::numbered(index).is_none())
    }

    /// The trouble that the port has, if it was not the last that was told.
    pub(crate) fn look(&mut self, name: &str, interface: &str, counters: &Counters) -> Option<String> {
        let hint = self.hint(name, interface, &counters.read());
        if hint == self.told {
            return None;
        }
        self.told.clone_from(&hint);
        hint
    }
}

/// Watches the ports of one interface for all of their threads.
pub(crate) struct Watch {
    on: String,
    interface: String,
    ports: Vec<(Watchman, Arc<Counters>)>,
    told: Option<String>,
}

impl Watch {
    /// Of `ports`, which were opened by that name, known to the user as `on`.
    pub(crate) fn new(name: &PlainPort, on: &str, ports: &[Port]) -> Self {
        let watched = |port: &Port| {
            (Watchman::new(&name.port, name.source.backend, port.link.clone()), port.counters.clone())
        };
        let ports = ports.iter().map(watched).collect();
        Self { on: on.to_owned(), interface: name.port.clone(), ports, told: None }
    }

    /// Trouble that has not been told, once for all ports.
    pub(crate) fn look(&mut self) -> Option<String> {
        let (on, interface) = (&self.on, &self.interface);
        // What is gone is asked for by itself, or is a TAP, which ends its app: that says so.
        let each = self.ports.iter_mut().filter(|(watchman, _)| watchman.state().0 != LinkState::Gone);
        let news = each.filter_map(|(watchman, counters)| watchman.look(on, interface, counters)).last();
        let news = news.filter(|trouble| self.told.as_ref() != Some(trouble))?;
        self.told = Some(news.clone());
        Some(news)
    }

    /// Whether the interface has vanished.
    pub(crate) fn is_gone(&self) -> bool {
        self.ports.first().is_some_and(|(watchman, _)| watchman.is_gone())
    }
}

fn of_counters(name: &str, interface: &str, totals: &Totals) -> Option<String> {
    (totals.dropped(Reason::BadChecksum) > 0).then(|| {
        format!(
            "{name}: peer leaves checksums to be filled in (try: ethtool -K PEER tx off, or attach {interface}@packet)"
        )
    })
}

/// That frames to a port fail since nobody is at its far side, if that is so. It is no trouble for the log, which has who
/// came and went.
pub(crate) fn nobody(name: &str, peer: Option<&Peer>, totals: &Totals) -> Option<String> {
    let (why, cure) = match peer? {
        Peer::Nobody => (String::new(), "start the guest or program, or detach the port"),
        Peer::Ended(why) => (format!(": {why}"), "detach the port, and attach it again"),
        Peer::Here(_) => return None,
    };
    (totals.dropped(Reason::Error) > 0).then(|| format!("{name}: nobody is connected{why} (try: {cure})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there_is_told_of_once_frames_fail() {
        let counters = Counters::default();
        let hint = |peer| nobody("vale0:vm3", Some(peer).as_ref(), &counters.read());
        assert_eq!(hint(Peer::Nobody), None);
        counters.add_drops(Reason::Error, 3);
        let told = hint(Peer::Nobody).unwrap();
        assert!(told.starts_with("vale0:vm3: nobody is connected (try: "), "{told}");
        assert!(hint(Peer::Ended("it lied".to_owned())).unwrap().contains("connected: it lied (try: "));
        assert_eq!(hint(Peer::Here("2 of 2 rings".to_owned())), None);
        assert_eq!(nobody("vale0:eth0", None, &counters.read()), None);
    }

    #[test]
    fn trouble_is_told_once() {
        let (counters, mut watchman) = (Counters::default(), Watchman::default());
        assert_eq!(watchman.look("vale0:veth0", "veth0", &counters), None);
        counters.add_drops(Reason::BadChecksum, 1);
        let told = watchman.look("vale0:veth0", "veth0", &counters).unwrap();
        assert!(told.starts_with("vale0:veth0: peer") && told.contains("veth0@packet"), "{told}");
        assert_eq!(watchman.look("vale0:veth0", "veth0", &counters), None);
        watchman.index = Some(u32::MAX >> 1);
        let told = watchman.look("vale0:veth0", "veth0", &counters).unwrap();
        assert!(told.starts_with("vale0:veth0: the interface is gone"), "{told}");
        assert_eq!(watchman.look("vale0:veth0", "veth0", &counters), None);
    }
}
