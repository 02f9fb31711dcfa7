//! What can go wrong when a port is made, in words that name the thing and the way out.

use std::io;

use rustix::io::Errno;

/// A port could not be made. The text is for users: it names the thing, what is wrong, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no interface of that name here.
    #[error("{0}: no such interface (try: ip link)")]
    NoInterface(String),
    /// The interface is administratively down.
    #[error("{0}: interface is down (try: ip link set {0} up)")]
    Down(String),
    /// Somebody else holds what the port needs.
    #[error("{name}: taken: {what}")]
    Taken {
        /// The interface.
        name: String,
        /// What is taken, by whom where known, and what to try.
        what: String,
    },
    /// The caller lacks a capability.
    #[error("{name}: not permitted: needs {capability} (try: sudo, or setcap)")]
    Permission {
        /// The interface.
        name: String,
        /// For example `CAP_NET_RAW`.
        capability: &'static str,
    },
    /// The kernel or the driver cannot do what was asked.
    #[error("{name}: not supported: {what}")]
    Unsupported {
        /// The interface.
        name: String,
        /// What is missing, and what to try instead.
        what: String,
    },
    /// A number is out of range.
    #[error("{name}: {what}")]
    Invalid {
        /// The port or option.
        name: String,
        /// What is wrong with it, with the range.
        what: String,
    },
    /// A system call failed in a way that has no better words.
    #[error("{name}: {call}: {source}{}", way_out(source))]
    Io {
        /// The interface or file.
        name: String,
        /// The call that failed.
        call: &'static str,
        /// The error it gave.
        source: io::Error,
    },
}

impl Error {
    /// A failed system call on `name`.
    pub fn io(name: &str, call: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io { name: name.to_owned(), call, source: source.into() }
    }
}

/// What to try about a failed system call, where that does not depend on the call.
pub(crate) fn way_out(source: &io::Error) -> &'static str {
    match Errno::from_io_error(source) {
        Some(Errno::MFILE) => " (try: a higher ulimit -n, or LimitNOFILE= of a service)",
        _ => "",
    }
}
