//! What is behind a port: `BACKEND[:KEY=VALUE,...]`.

use std::fmt;

/// What is behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// An interface by AF_XDP.
    Afxdp,
    /// A TAP, made if it is not there.
    Tap,
    /// An interface by raw socket, offloads kept.
    Packet,
    /// A pair of frame rings, with an app at the far end.
    Virtual,
    /// Nothing: swallows every frame.
    Null,
    /// The host stack's side of an interface.
    Host,
    /// A guest of a stock QEMU, or another virtio driver, by shared memory.
    VhostUser,
    /// A guest of a stock QEMU, or another program, by a stream socket.
    Stream,
    /// The same by datagrams.
    Dgram,
    /// Another program, DPDK's or VPP's, by shared memory.
    Memif,
    /// Capture files. Has no word after `@`: it is on no switch, and its name takes the rest of the line.
    Pcap,
}

impl Backend {
    /// Every backend that is named after `@`, in the order in which users are told of them.
    pub const ALL: [Self; 10] = [
        Self::Afxdp,
        Self::Tap,
        Self::Packet,
        Self::Virtual,
        Self::Null,
        Self::Host,
        Self::VhostUser,
        Self::Stream,
        Self::Dgram,
        Self::Memif,
    ];

    /// The word after `@`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Afxdp => "afxdp",
            Self::Tap => "tap",
            Self::Packet => "packet",
            Self::Virtual => "virtual",
            Self::Null => "null",
            Self::Host => "host",
            Self::VhostUser => "vhost-user",
            Self::Stream => "stream",
            Self::Dgram => "dgram",
            Self::Memif => "memif",
            Self::Pcap => "pcap",
        }
    }

    /// Whether the port's name is the name of a network interface.
    #[must_use]
    pub const fn is_interface(self) -> bool {
        !matches!(self, Self::Virtual | Self::Null | Self::Pcap) && !self.has_socket()
    }

    /// Whether the port's other side comes by a unix socket (option `path`).
    #[must_use]
    pub const fn has_socket(self) -> bool {
        matches!(self, Self::VhostUser | Self::Stream | Self::Dgram | Self::Memif)
    }
}

/// What a key without a value means.
const ON: &str = "on";

/// `key=value,...` after the backend, in the order given; keys are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Options(pub(super) Vec<(String, String)>);

impl Options {
    /// The value of `key`, if it was given.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The keys that were given.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(k, _)| k.as_str())
    }
}

/// A backend as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// What is behind the port.
    pub backend: Backend,
    /// How it is to be set up.
    pub options: Options,
}

impl Source {
    /// `backend` without options.
    #[must_use]
    pub const fn new(backend: Backend) -> Self {
        Self { backend, options: Options(Vec::new()) }
    }

    /// The same with the paths of its sockets as they are from the root on: the daemon is in another directory than its clients.
    #[must_use]
    pub fn from_root(mut self) -> Self {
        for (_, path) in self.options.0.iter_mut().filter(|(key, _)| matches!(&**key, "path" | "peer")) {
            if let Some(absolute) =
                std::path::absolute(&*path).ok().and_then(|p| p.into_os_string().into_string().ok())
            {
                *path = absolute;
            }
        }
        self
    }

    /// The same with one more option, unless it was given.
    #[must_use]
    pub fn or_option(mut self, key: &str, value: String) -> Self {
        if self.options.value(key).is_none() {
            self.options.0.push((key.to_owned(), value));
        }
        self
    }
}

/// What stands after `@`.
pub(super) fn parse(text: &str) -> Result<Source, String> {
    let (word, options) = text.split_once(':').map_or((text, None), |(w, o)| (w, Some(o)));
    if word == Backend::Pcap.name() {
        return Err(
            "a capture is on no switch (try: pcap:FILE, or pkt-gen -f tx -P FILE on a switch)".to_owned()
        );
    }
    if word == "conf" {
        return Err(
            "of @conf: pkt-gen takes slots=N and the numbers of rings; elsewhere the backend says how large \
                    they are (try: @virtual:slots=N, @afxdp:slots=N)"
                .to_owned(),
        );
    }
    let backend = Backend::ALL.into_iter().find(|b| b.name() == word).ok_or_else(|| {
        let known = Backend::ALL.map(Backend::name).join(", ");
        format!("{word:?} is no backend; there are {known}")
    })?;
    let options = options.map_or_else(|| Ok(Options::default()), parse_options)?;
    Ok(Source { backend, options })
}

fn parse_options(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    for option in text.split(',') {
        let (key, value) = option.split_once('=').unwrap_or((option, ON));
        // As in netmap, '-' and '_' are the same in a key.
        let key = key.replace('-', "_");
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("option {option:?} has no proper key: KEY=VALUE"));
        }
        if value.is_empty() || value.chars().any(|c| c.is_control() || c == '@') {
            return Err(format!("option {key} has no proper value"));
        }
        if options.value(&key).is_some() {
            return Err(format!("option {key} is given twice"));
        }
        options.0.push((key, value.to_owned()));
    }
    Ok(options)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.name())?;
        for (i, (key, value)) in self.options.0.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}
