//! From a name to an open port.

mod given;

use std::path::Path;

use ports::{
    Capabilities, Error, Port, afxdp, dgram, host, memif, packet, pcap, stream, tap, vhost_user, virtual_port,
};

use crate::apps;
use crate::name::{Backend, Source};

use given::Given;

/// Opens the port that `source` describes on `name` (an interface, where the backend has interfaces), for one thread.
///
/// # Errors
/// As the backend says, or [`Error::Invalid`] for an option that it does not know, or that asks for more workers.
pub fn open(name: &str, source: &Source) -> Result<Port, Error> {
    let port = open_shared(name, source)?;
    match port.more_rx.len() {
        0 => Ok(port),
        more => Err(Given { name, source }.invalid(format!("option workers={}: on a switch only", more + 1))),
    }
}

/// As [`open`], for as many workers as `source` asks for.
///
/// # Errors
/// As the backend says, or [`Error::Invalid`] for an option that it does not know.
pub fn open_shared(name: &str, source: &Source) -> Result<Port, Error> {
    let given = Given { name, source };
    match source.backend {
        Backend::Afxdp => {
            given.are_known(&["mode", "zero_copy", "queues", "slots"])?;
            afxdp::open(name, &given.afxdp()?)
        }
        Backend::Tap => {
            given.are_known(&["offloads"])?;
            tap::open(name, tap::Options { offloads: given.offloads()? })
        }
        Backend::Packet => {
            given.are_known(&["offloads"])?;
            packet::open(name, packet::Options { offloads: given.offloads()? })
        }
        Backend::Null => {
            given.are_known(&[])?;
            Ok(ports::null::open())
        }
        Backend::Virtual => cable(name, Some(source)).map(|(near, _)| near),
        Backend::Host => {
            given.are_known(&[])?;
            host::open(name)
        }
        Backend::VhostUser => {
            given.are_known(&["path", "client", "queues", "workers", "offloads"])?;
            vhost_user::open(name, given.vhost_user()?)
        }
        Backend::Stream => {
            given.are_known(&["path", "client"])?;
            stream::open(name, stream::Options { path: given.path()?, client: given.client()? })
        }
        Backend::Dgram => {
            given.are_known(&["path", "peer"])?;
            dgram::open(name, &given.dgram()?)
        }
        Backend::Memif => {
            given.are_known(&["path", "client", "id", "secret", "queues"])?;
            memif::open(name, given.memif()?)
        }
        Backend::Pcap => {
            let what = "a capture is on no switch".to_owned();
            Err(Error::Unsupported { name: name.to_owned(), what })
        }
    }
}

/// As [`open`], with a port for each of several threads, each of which has a queue to itself.
///
/// # Errors
/// As [`open`], or if there are not as many queues.
pub fn open_queues(name: &str, source: &Source, count: usize) -> Result<Vec<Port>, Error> {
    let given = Given { name, source };
    let queues = u32::try_from(count).unwrap_or(u32::MAX);
    match source.backend {
        Backend::Afxdp => {
            given.are_known(&["mode", "zero_copy", "slots"])?; // the threads decide on `queues`
            afxdp::open_queues(name, &given.afxdp()?, queues)
        }
        Backend::Tap => {
            given.are_known(&["offloads"])?;
            tap::open_queues(name, tap::Options { offloads: given.offloads()? }, queues)
        }
        Backend::Packet => {
            given.are_known(&["offloads"])?;
            packet::open_queues(name, packet::Options { offloads: given.offloads()? }, queues)
        }
        Backend::Null => (0..count).map(|_| open(name, source)).collect(),
        Backend::Virtual
        | Backend::Host
        | Backend::Pcap
        | Backend::VhostUser
        | Backend::Stream
        | Backend::Dgram
        | Backend::Memif => {
            let what = format!("for one thread only, not {count} (leave -p out)");
            Err(given.invalid(what))
        }
    }
}

/// As [`open`], for an app: what a capture file is there for depends on which halves of the port it uses.
///
/// # Errors
/// As [`open`], or [`Error::Invalid`] if one file is to be both read and written.
pub fn open_for(name: &str, source: &Source, app: &apps::Config) -> Result<Port, Error> {
    if source.backend != Backend::Pcap {
        return open(name, source);
    }
    let direction = app.direction();
    let (read, write) = match name.split_once(',') {
        Some(two) => two,
        None if direction.receives && direction.transmits => {
            let what = format!("this takes two files, to read and to write (try: pcap:{name},WRITE)");
            return Err(Error::Invalid { name: format!("pcap:{name}"), what });
        }
        None => (name, name),
    };
    // Also what the app does not use, or reads by itself, is not to be written over.
    let pair = name.contains(',').then_some(Path::new(read));
    for kept in pair.into_iter().chain(app.file()).filter(|_| direction.transmits) {
        pcap::are_two(kept, Path::new(write))?;
    }
    pcap::open(pcap::Files {
        read: direction.receives.then_some(Path::new(read)),
        write: direction.transmits.then_some(Path::new(write)),
    })
}

/// A cable for an app: the switch's end, and the app's.
///
/// # Errors
/// As [`virtual_port::pair`], or [`Error::Invalid`] for an option that it does not know.
pub fn cable(name: &str, source: Option<&Source>) -> Result<(Port, Port), Error> {
    let (near, mut far) = cables(name, source, 1)?;
    let far =
        far.pop().ok_or_else(|| Error::Invalid { name: name.to_owned(), what: "no queue".to_owned() })?;
    Ok((near, far))
}

/// A cable for an app of several threads: the switch's end, and one for each thread.
///
/// # Errors
/// As [`virtual_port::with_queues`], or [`Error::Invalid`] for an option that it does not know.
pub fn cables(name: &str, source: Option<&Source>, queues: usize) -> Result<(Port, Vec<Port>), Error> {
    let mut slots = virtual_port::DEFAULT_SLOTS;
    let mut capabilities = Capabilities::all(Capabilities::MAX_SUPER_FRAME - 18);
    if let Some(source) = source {
        let given = Given { name, source };
        given.are_known(&["slots", "offloads"])?;
        slots = given.number("slots")?.unwrap_or(slots);
        capabilities.offloads = given.offloads()?;
    }
    if queues == 1 {
        return virtual_port::pair(name, slots, capabilities).map(|(near, far)| (near, vec![far]));
    }
    virtual_port::with_queues(name, queues, slots, capabilities)
}

/// The core that `source` asks for.
///
/// # Errors
/// [`Error::Invalid`] if it is no number.
pub fn core(name: &str, source: &Source) -> Result<Option<usize>, Error> {
    Given { name, source }.core()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ValePort;

    #[test]
    fn a_cable_has_the_slots_asked_for() {
        let slots = |name: &str| cable("x", name.parse::<ValePort>().unwrap().source.as_ref()).err();
        assert!(slots("vale0:x@virtual:slots=64").is_none());
        assert!(slots("vale0:x").is_none());
        assert!(slots("vale0:x@virtual:slots=65").unwrap().to_string().contains("power of two"));
        assert!(slots("vale0:x@virtual:slots=999999").unwrap().to_string().contains("slots=999999"));
    }
}
