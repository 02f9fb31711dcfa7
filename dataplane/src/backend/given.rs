//! The options that stand behind a port's backend, and what they mean.

use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use ports::offload::Offloads;
use ports::{Error, afxdp, dgram, memif, vhost_user};

use crate::name::Source;

/// The option that every backend takes: the core whose worker receives from the port, or the first that do.
const CORE: &str = "core";

/// The options that were given for a port.
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a Source,
}

impl Given<'_> {
    pub(super) fn invalid(&self, what: String) -> Error {
        Error::Invalid { name: self.name.to_owned(), what }
    }

    /// Refuses options that are not `keys`.
    pub(super) fn are_known(&self, keys: &[&str]) -> Result<(), Error> {
        let known = [keys, &[CORE]].concat();
        match self.source.options.keys().find(|k| !known.contains(k)) {
            Some(key) => {
                let backend = self.source.backend.name();
                Err(self.invalid(format!("{backend} has no option {key}; there are {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    pub(super) fn number<T: FromStr<Err = ParseIntError>>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.source.options.value(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|e: ParseIntError| {
            let why =
                if *e.kind() == IntErrorKind::PosOverflow { "too large" } else { "not a number from 0 up" };
            self.invalid(format!("option {key}={text}: {why}"))
        })
    }

    /// The meaning of the word that was given for `key`, or of the first of `words`.
    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, Error> {
        let given = self.source.options.value(key).unwrap_or(words[0].0);
        words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.invalid(format!("option {key}={given}: there are {list}"))
        })
    }

    pub(super) fn core(&self) -> Result<Option<usize>, Error> {
        self.number(CORE)
    }

    pub(super) fn afxdp(&self) -> Result<afxdp::Options, Error> {
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

    pub(super) fn memif(&self) -> Result<memif::Options, Error> {
        Ok(memif::Options {
            path: self.path()?,
            client: self.client()?,
            id: self.number("id")?.unwrap_or(0),
            secret: self.source.options.value("secret").unwrap_or_default().to_owned(),
            queues: self.number("queues")?.unwrap_or(1),
        })
    }

    pub(super) fn vhost_user(&self) -> Result<vhost_user::Options, Error> {
        Ok(vhost_user::Options {
            path: self.path()?,
            client: self.client()?,
            queues: self.number("queues")?.unwrap_or(1),
            workers: self.number("workers")?.unwrap_or(1),
            offloads: !self.offloads()?.is_empty(),
        })
    }

    pub(super) fn dgram(&self) -> Result<dgram::Options, Error> {
        let path = self.path()?;
        let peer = self.source.options.value("peer").map(PathBuf::from);
        Ok(dgram::Options { peer: peer.unwrap_or_else(|| path.with_added_extension("q")), path })
    }

    /// The socket of a port that others come to by one.
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        let path = self.source.options.value("path");
        path.map(PathBuf::from).ok_or_else(|| self.invalid("needs an option path=SOCKET".to_owned()))
    }

    /// Whether we go to them.
    pub(super) fn client(&self) -> Result<bool, Error> {
        self.word("client", &[("off", false), ("on", true)])
    }

    pub(super) fn offloads(&self) -> Result<Offloads, Error> {
        self.word("offloads", &[("on", Offloads::all()), ("off", Offloads::empty())])
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::open;
    use crate::name::{Name, PlainPort};

    fn refusal(name: &str) -> String {
        let Ok(Name::Plain(PlainPort { port, source })) = name.parse() else { panic!("{name}") };
        open(&port, &source).err().unwrap().to_string()
    }

    #[test]
    fn options_are_checked_before_anything_is_opened() {
        for (name, why) in [
            ("nope@afxdp:mode=fast", "nope: option mode=fast: there are auto, native, generic"),
            ("nope@afxdp:queues=some", "nope: option queues=some: not a number from 0 up"),
            ("nope@afxdp:queues=-1", "nope: option queues=-1: not a number from 0 up"),
            ("nope@afxdp:queues=99999999999", "nope: option queues=99999999999: too large"),
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
}
