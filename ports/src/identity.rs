//! Station addresses for ports that have no interface, and for guests.

use crate::Mac;

/// An address for the port called `name`, the same each time on this machine and in this network namespace, and
/// another elsewhere: two machines on one wire may both call a port `vale0:ep`.
#[must_use]
pub fn station(name: &str) -> Mac {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    Mac::local(&format!("{} {} {name}", machine.trim(), namespace.display()))
}
