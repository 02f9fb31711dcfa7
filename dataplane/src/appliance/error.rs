//! Why the appliance did not do what was asked.

use crate::name;
use crate::worker::cores::NoCore;

/// Not done. The text is for users: it names the thing, what is wrong, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is no port name.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// The port could not be opened.
    #[error(transparent)]
    Port(#[from] ports::Error),
    /// The core is not one of the workers'.
    #[error(transparent)]
    Core(#[from] NoCore),
    /// There are not as many workers as the port is to be received by.
    #[error("{name}: workers={asked}: there are {there} (try: valed --cores)")]
    Workers {
        /// The port.
        name: String,
        /// How many it asks for.
        asked: usize,
        /// How many there are.
        there: usize,
    },
    /// The switch has a port of that name.
    #[error("{0}: already attached (try: vale-ctl -d {0})")]
    Attached(String),
    /// The switch has no port of that name.
    #[error("{0}: no such port (try: vale-ctl)")]
    NoPort(String),
    /// There is no such switch.
    #[error("{0}: no such switch (try: vale-ctl)")]
    NoSwitch(String),
    /// The port was made for an app and leaves with it.
    #[error("{name}: in use by {program} (end that program, and the port goes)")]
    InUse {
        /// The port.
        name: String,
        /// Whose it is.
        program: &'static str,
    },
    /// The app's port was asked for with a backend that has no room for apps.
    #[error(
        "{name}: an app's port is virtual, not {backend} (try: attach {name}, and name another port here)"
    )]
    NotVirtual {
        /// The port.
        name: String,
        /// What was asked for.
        backend: &'static str,
    },
    /// The host's stack was to join beside an interface that is not there by AF_XDP.
    #[error(
        "{interface}: not supported: the host's stack beside {beside}: what is sent to it would come back by \
         {interface} (try: vale-ctl -h {switch}:{interface}, or leave the host out)"
    )]
    NoHost {
        /// The switch.
        switch: String,
        /// The interface.
        interface: String,
        /// What there is on the interface.
        beside: String,
    },
    /// The host's stack was to join beside what is no interface.
    #[error("{name}: {backend} has no host's stack beside it (try: without -h)")]
    NoStack {
        /// The port.
        name: String,
        /// What is behind it.
        backend: &'static str,
    },
    /// The switch does not take another port.
    #[error("{name}: {why}")]
    Switch {
        /// The port.
        name: String,
        /// What the switch says.
        why: String,
    },
    /// A persistent port of that name is there already.
    #[error("{0}: exists already (try: another name, or ip link)")]
    Exists(String),
    /// Somebody deleted the interface of a persistent port.
    #[error("{0}: the interface is gone (try: vale-ctl -n {0}, which makes it anew)")]
    Gone(String),
    /// There is no persistent port of that name.
    #[error("{0}: no persistent port (try: vale-ctl ports; -r removes what -n made)")]
    NotPersistent(String),
    /// The interface is on a switch.
    #[error("{name}: busy: attached as {port} (try: vale-ctl -d {port})")]
    Busy {
        /// The interface.
        name: String,
        /// Where it is attached.
        port: String,
    },
    /// The app does not want to run like this.
    #[error("{0}")]
    App(String),
}

impl Error {
    /// Whether it would be otherwise in another network namespace: it says which interfaces there are, or how one stands.
    pub(crate) const fn is_of_namespace(&self) -> bool {
        use ports::Error::{Down, NoInterface};
        matches!(self, Self::Port(NoInterface(_) | Down(_)) | Self::Exists(_))
    }
}
