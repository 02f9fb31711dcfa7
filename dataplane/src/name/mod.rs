//! Port names: netmap's grammar as far as it applies, plus `@backend:key=value,...`.
//!
//! ```text
//! vale0:1                  port 1 of switch vale0: a virtual port for an app, an existing interface for `-a`
//! vale0:tap7@tap           the same, with its backend named
//! vale0:eth0@afxdp:core=1  ... and with options
//! vale0:eth0^              the host stack's side of eth0
//! eth0  netmap:eth0        an interface by itself, no switch
//! tap:x  tapx              a TAP by itself
//! null                     a port that swallows everything
//! pcap:/tmp/x.pcap         a capture file: read by who receives, written by who sends
//! pcap:in.pcap,out.pcap    ... and both, where one does both
//! ```
//!
//! Unlike netmap, `-` does not end a name (interfaces are called `br-lan`), and ring numbers, `*`, pipes and
//! memory regions are refused by name.

mod source;

use std::fmt;
use std::str::FromStr;

pub use source::{Backend, Options, Source};

/// Longest port name, bytes: netmap's `nr_name` is 64 with its NUL.
const MAX_NAME: usize = 63;
/// Longest name of an interface, bytes: `IFNAMSIZ` is 16 with its NUL.
const MAX_INTERFACE: usize = 15;

/// The grammar in one line, with which a refusal ends unless it has something better to try.
const GRAMMAR: &str = " (a port is valeX:PORT[^][@BACKEND[:KEY=VALUE,...]], or eth0, netmap:eth0, tap:X, pcap:FILE, null without a switch)";

/// A string that is no port name. The text says why, and what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}{}", if .why.ends_with(')') { "" } else { GRAMMAR })]
pub struct Error {
    name: String,
    why: String,
}

/// A port of a switch: `vale0:eth0@afxdp`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValePort {
    /// The switch, `vale` included.
    pub switch: String,
    /// The port. For backends that are interfaces, the interface.
    pub port: String,
    /// What is behind it, if the name says so. `^` is short for `@host`.
    pub source: Option<Source>,
}

/// A port by itself: `eth0@packet`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlainPort {
    /// The interface, or `null`, or the files of a capture: one, or two with a comma in between.
    pub port: String,
    /// What is behind it.
    pub source: Source,
}

/// A port, on a switch or by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// On a switch.
    Vale(ValePort),
    /// By itself.
    Plain(PlainPort),
}

impl ValePort {
    /// Whether the name asks for the host stack's side of an interface.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.source.as_ref().is_some_and(|s| s.backend == Backend::Host)
    }

    /// The name by which the switch knows the port: without backend and options.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.switch, self.key())
    }

    /// The port's part of [`short`](Self::short): `eth0`, or `eth0^` for the host stack's side.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}{}", self.port, if self.is_host() { "^" } else { "" })
    }

    /// The same interface's host stack side.
    #[must_use]
    pub fn host(&self) -> Self {
        Self { source: Some(Source::new(Backend::Host)), ..self.clone() }
    }
}

impl PlainPort {
    /// The TAP called `interface`.
    ///
    /// # Errors
    /// If that is no name of an interface.
    pub fn tap(interface: &str) -> Result<Self, Error> {
        let refused = |why| Error { name: interface.escape_default().to_string(), why };
        if interface.starts_with("vale") {
            return Err(refused("an interface, not a port of a switch (-a puts it on one)".to_owned()));
        }
        check_port(interface, true).map_err(refused)?;
        Ok(Self { port: interface.to_owned(), source: Source::new(Backend::Tap) })
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        parse(name).map_err(|why| Error { name: name.escape_default().to_string(), why })
    }
}

impl FromStr for ValePort {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name.parse()? {
            Name::Vale(port) => Ok(port),
            Name::Plain(_) => {
                Err(Error { name: name.to_owned(), why: format!("names no switch (try: vale0:{name})") })
            }
        }
    }
}

fn parse(name: &str) -> Result<Name, String> {
    if let Some(files) = name.strip_prefix("pcap:") {
        return parse_pcap(files);
    }
    let (head, source) = match name.split_once('@') {
        Some((head, source)) => (head, Some(source::parse(source)?)),
        None => (name, None),
    };
    if head.len() > MAX_NAME {
        return Err(format!("longer than {MAX_NAME} bytes"));
    }
    match head.split_once(':') {
        Some((switch, port)) if switch.starts_with("vale") => parse_vale(switch, port, source),
        Some(("netmap", port)) if source.is_none() && is_ring(port) => Err(format!(
            "rings have no numbers here (try: {port}, if that is an interface; -p for a thread each ring)"
        )),
        Some(("netmap", port)) => parse_plain(port, source, Backend::Afxdp),
        Some(("tap", port)) => parse_plain(port, source, Backend::Tap),
        Some((other, _)) => Err(format!("{other:?} is neither a switch (vale0) nor netmap, tap or pcap")),
        None if head.starts_with("vale") => Err("missing ':'".to_owned()),
        None if head == "null" => parse_plain(head, source, Backend::Null),
        None if head.starts_with("tap") => parse_plain(head, source, Backend::Tap),
        None => parse_plain(head, source, Backend::Afxdp),
    }
}

fn parse_vale(switch: &str, port: &str, source: Option<Source>) -> Result<Name, String> {
    if !switch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("{switch:?} is no switch: letters, digits and _ after vale"));
    }
    let (port, source) = match (port.strip_suffix('^'), source) {
        (None, source) => (port, source),
        (Some(port), None) => (port, Some(Source::new(Backend::Host))),
        (Some(port), Some(source)) if source.backend == Backend::Host => (port, Some(source)),
        (Some(_), Some(source)) => return Err(format!("^ is the host stack, not {}", source.backend.name())),
    };
    let interface = source.as_ref().is_some_and(|s| s.backend.is_interface());
    check_port(port, interface)?;
    Ok(Name::Vale(ValePort { switch: switch.to_owned(), port: port.to_owned(), source }))
}

fn parse_plain(port: &str, source: Option<Source>, backend: Backend) -> Result<Name, String> {
    let (port, source) = match (port.strip_suffix('^'), source) {
        (Some(port), None) => (port, Source::new(Backend::Host)),
        (_, source) => (port, source.unwrap_or_else(|| Source::new(backend))),
    };
    check_port(port, source.backend.is_interface())?;
    match source.backend {
        Backend::Virtual => Err("a virtual port is on a switch (try: vale0:1)".to_owned()),
        // Frames may be in memory of the peer's, which only a switch is prepared for.
        peer if peer.has_socket() => {
            Err(format!("a {0} port is on a switch (try: vale0:{port}@{0})", peer.name()))
        }
        Backend::Null if port != "null" => Err("null takes no other name".to_owned()),
        _ => Ok(Name::Plain(PlainPort { port: port.to_owned(), source })),
    }
}

/// Any name that a file may have, but for a comma, which stands between two.
fn parse_pcap(files: &str) -> Result<Name, String> {
    let mut names = files.split(',');
    match (names.next(), names.next(), names.next()) {
        (Some(one), other, None) if !one.is_empty() && other != Some("") => {
            Ok(Name::Plain(PlainPort { port: files.to_owned(), source: Source::new(Backend::Pcap) }))
        }
        _ => {
            Err("a capture is pcap:FILE, or pcap:READ,WRITE (try: a link to a file with a comma in its name)"
                .to_owned())
        }
    }
}

/// Whether netmap would take this for one ring pair of an interface: `eth0-3` is the fourth of eth0.
fn is_ring(port: &str) -> bool {
    port.rsplit_once('-')
        .is_some_and(|(_, ring)| !ring.is_empty() && ring.bytes().all(|b| b.is_ascii_digit()))
}

fn check_port(port: &str, interface: bool) -> Result<(), String> {
    if port.is_empty() {
        return Err("the port has no name".to_owned());
    }
    if port == "." || port == ".." {
        return Err(format!("{port:?} is no name of a port"));
    }
    if let Some(c) = port.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
        return Err(match c {
            '{' | '}' => "pipes are not available".to_owned(),
            '*' => "'*' is not available (try: vale-ctl -h, which attaches NIC and host stack)".to_owned(),
            '/' => "netmap's /flags are not available".to_owned(),
            '^' => "host rings have no numbers here; '^' comes last".to_owned(),
            c => format!("{c:?} in a port's name: letters, digits, '_', '.' and '-' only"),
        });
    }
    if interface && port.len() > MAX_INTERFACE {
        return Err(format!("an interface's name has at most {MAX_INTERFACE} bytes"));
    }
    Ok(())
}

impl fmt::Display for ValePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.switch, self.port)?;
        match &self.source {
            Some(source) if *source == Source::new(Backend::Host) => f.write_str("^"),
            Some(source) => write!(f, "@{source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PlainPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ambiguous = self.port.starts_with("tap") || self.port.starts_with("vale") || self.port == "null";
        match self.source.backend {
            Backend::Null if self.source.options == Options::default() => f.write_str("null"),
            Backend::Pcap => write!(f, "pcap:{}", self.port),
            Backend::Afxdp if self.source.options == Options::default() && !ambiguous => {
                f.write_str(&self.port)
            }
            _ if self.port.starts_with("vale") => write!(f, "netmap:{}@{}", self.port, self.source),
            _ => write!(f, "{}@{}", self.port, self.source),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vale(port) => port.fmt(f),
            Self::Plain(port) => port.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
