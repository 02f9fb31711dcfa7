//! From a name to an open port.

use ports::{Capabilities, Error, Port, virtual_port};

use crate::name::{Backend, Source};

/// The option that every backend takes: the core whose worker receives from the port.
pub const CORE: &str = "core";

/// Opens the port that `source` describes on `name` (an interface, where the backend has interfaces).
///
/// # Errors
/// As the backend says, or [`Error::Invalid`] for an option that it does not know.
pub fn open(name: &str, source: &Source) -> Result<Port, Error> {
    match source.backend {
        Backend::Null => {
            known(name, source, &[])?;
            Ok(ports::null::open())
        }
        backend => Err(Error::Unsupported {
            name: name.to_owned(),
            what: format!("the backend {} is not in this build", backend.name()),
        }),
    }
}

/// A cable for an app: the switch's end, and the app's.
///
/// # Errors
/// As [`virtual_port::pair`], or [`Error::Invalid`] for an option that it does not know.
pub fn cable(name: &str, source: Option<&Source>) -> Result<(Port, Port), Error> {
    let mut slots = virtual_port::DEFAULT_SLOTS;
    if let Some(source) = source {
        known(name, source, &["slots"])?;
        slots = number(name, source, "slots")?.unwrap_or(slots);
    }
    virtual_port::pair(name, slots, Capabilities::all(Capabilities::MAX_SUPER_FRAME - 18))
}

/// The number that was given for `key`.
///
/// # Errors
/// [`Error::Invalid`] if it is none, or out of its type's range.
pub fn number<T: std::str::FromStr>(name: &str, source: &Source, key: &str) -> Result<Option<T>, Error>
where
    T::Err: std::fmt::Display,
{
    let Some(text) = source.options.value(key) else { return Ok(None) };
    text.parse().map(Some).map_err(|e| invalid(name, format!("option {key}={text}: {e}")))
}

/// Refuses options that are not `keys`.
fn known(name: &str, source: &Source, keys: &[&str]) -> Result<(), Error> {
    let all = || keys.iter().copied().chain([CORE]);
    source.options.keys().find(|k| all().all(|known| known != *k)).map_or(Ok(()), |k| {
        let list = all().collect::<Vec<_>>().join(", ");
        Err(invalid(name, format!("{} has no option {k}; there are {list}", source.backend.name())))
    })
}

fn invalid(name: &str, what: String) -> Error {
    Error::Invalid { name: name.to_owned(), what }
}
