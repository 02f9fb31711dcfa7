//! From a name to an open port.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ports::offload::Offloads;
use ports::{
    Capabilities, Error, Port, afxdp, dgram, host, memif, packet, pcap, stream, tap, vhost_user, virtual_port,
};

use crate::apps;
use crate::name::{Backend, Source};

/// The option that every backend takes: the core whose worker receives from the port.
pub const CORE: &str = "core";

/// Opens the port that `source` describes on `name` (an interface, where the backend has interfaces).
///
/// # Errors
/// As the backend says, or [`Error::Invalid`] for an option that it does not know.
pub fn open(name: &str, source: &Source) -> Result<Port, Error> {
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
            given.are_known(&["path", "client", "queues", "offloads"])?;
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
    Given { name, source }.number(CORE)
}

/// The options that were given for a port.
struct Given<'a> {
    name: &'a str,
    source: &'a Source,
}

impl Given<'_> {
    fn invalid(&self, what: String) -> Error {
        Error::Invalid { name: self.name.to_owned(), what }
    }

    /// Refuses options that are not `keys`.
    fn are_known(&self, keys: &[&str]) -> Result<(), Error> {
        let known = [keys, &[CORE]].concat();
        match self.source.options.keys().find(|k| !known.contains(k)) {
            Some(key) => {
                let backend = self.source.backend.name();
                Err(self.invalid(format!("{backend} has no option {key}; there are {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn number<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.source.options.value(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|e| self.invalid(format!("option {key}={text}: {e}")))
    }

    /// The meaning of the word that was given for `key`, or of the first of `words`.
    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, Error> {
        let given = self.source.options.value(key).unwrap_or(words[0].0);
        words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.invalid(format!("option {key}={given}: there are {list}"))
        })
    }

    fn afxdp(&self) -> Result<afxdp::Options, Error> {
        let default = afxdp::Options::default();
        let modes =
            [("auto", afxdp::Mode::Auto), ("native", afxdp::Mode::Native), ("generic", afxdp::Mode::Generic)];
        Ok(afxdp::Options {
            mode: self.word("mode", &modes)?,
            zero_copy: self.word("zero_copy", &[("on", true), ("off", false)])?,
            queues: self.number("queues")?.or(default.queues),
            slots: self.number("slots")?.unwrap_or(default.slots),
        })
    }

    fn memif(&self) -> Result<memif::Options, Error> {
        Ok(memif::Options {
            path: self.path()?,
            client: self.client()?,
            id: self.number("id")?.unwrap_or(0),
            secret: self.source.options.value("secret").unwrap_or_default().to_owned(),
            queues: self.number("queues")?.unwrap_or(1),
        })
    }

    fn vhost_user(&self) -> Result<vhost_user::Options, Error> {
        Ok(vhost_user::Options {
            path: self.path()?,
            client: self.client()?,
            queues: self.number("queues")?.unwrap_or(1),
            offloads: !self.offloads()?.is_empty(),
        })
    }

    fn dgram(&self) -> Result<dgram::Options, Error> {
        let path = self.path()?;
        let peer = self.source.options.value("peer").map(PathBuf::from);
        Ok(dgram::Options { peer: peer.unwrap_or_else(|| path.with_added_extension("q")), path })
    }

    /// The socket of a port that others come to by one.
    fn path(&self) -> Result<PathBuf, Error> {
        let path = self.source.options.value("path");
        path.map(PathBuf::from).ok_or_else(|| self.invalid("needs an option path=SOCKET".to_owned()))
    }

    /// Whether we go to them.
    fn client(&self) -> Result<bool, Error> {
        self.word("client", &[("off", false), ("on", true)])
    }

    fn offloads(&self) -> Result<Offloads, Error> {
        self.word("offloads", &[("on", Offloads::all()), ("off", Offloads::empty())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Name, PlainPort, ValePort};

    fn refusal(name: &str) -> String {
        let Ok(Name::Plain(PlainPort { port, source })) = name.parse() else { panic!("{name}") };
        open(&port, &source).err().unwrap().to_string()
    }

    #[test]
    fn options_are_checked_before_anything_is_opened() {
        for (name, why) in [
            ("nope@afxdp:mode=fast", "nope: option mode=fast: there are auto, native, generic"),
            ("nope@afxdp:queues=some", "nope: option queues=some: invalid digit"),
            ("nope@tap:mode=native", "nope: tap has no option mode; there are offloads, core"),
            ("nope@packet:offloads=yes", "option offloads=yes: there are on, off"),
            ("null@null:slots=7", "null has no option slots; there are core"),
            ("nope^", "nope: no such interface (try: ip link)"),
            ("nope", "nope: no such interface (try: ip link)"),
        ] {
            let e = refusal(name);
            assert!(e.contains(why), "{name}: {e}");
        }
    }

    #[test]
    fn a_cable_has_the_slots_asked_for() {
        let slots = |name: &str| cable("x", name.parse::<ValePort>().unwrap().source.as_ref()).err();
        assert!(slots("vale0:x@virtual:slots=64").is_none());
        assert!(slots("vale0:x").is_none());
        assert!(slots("vale0:x@virtual:slots=65").unwrap().to_string().contains("power of two"));
        assert!(slots("vale0:x@virtual:slots=999999").unwrap().to_string().contains("slots=999999"));
    }
}
