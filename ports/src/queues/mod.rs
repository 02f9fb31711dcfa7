//! Several ports as one: a port with several queues, each of which somebody else works at.
//!
//! ```text
//!   Gather (Rx) <-- queue 0, queue 1, ...   in turn; what waits stays first
//!   Spread (Tx) --> queue 0, queue 1, ...   by flow, so that each keeps its order
//! ```

mod gather;
mod spread;
#[cfg(test)]
mod tests;

use gather::Gather;
use spread::Spread;

use std::sync::Arc;

use crate::{Counters, Error, Port, Rings};

/// Most queues of one port (`NM_BDG_MAXRINGS` of netmap's VALE).
pub const MAX_QUEUES: usize = 16;

/// The port whose queues `ports` are, of one kind each as the other; what they count themselves is to go to
/// `counters`.
///
/// # Errors
/// [`Error::Invalid`] if there are none, or more than [`MAX_QUEUES`]; [`Error::Io`] if the process is out of
/// descriptors.
pub fn join(name: &str, ports: Vec<Port>, counters: Arc<Counters>) -> Result<Port, Error> {
    check(name, ports.len())?;
    let (mut rx, mut tx) = (Vec::new(), Vec::new());
    let (mut mac, mut notes) = (None, Vec::new());
    let mut rings = Rings::default();
    for port in ports {
        rings = sum(rings, port.rings);
        mac = mac.or(port.mac);
        notes.extend(port.notes);
        rx.push(port.rx);
        tx.push(port.tx);
    }
    Ok(Port { mac, counters, rings, notes, ..Port::new(Gather::new(name, rx)?, Spread::new(tx)) })
}

/// Checks how many queues a port is to have.
///
/// # Errors
/// [`Error::Invalid`] if there is to be none, or more than [`MAX_QUEUES`].
pub fn check(name: &str, queues: usize) -> Result<(), Error> {
    if (1..=MAX_QUEUES).contains(&queues) {
        return Ok(());
    }
    let what = format!("{queues} queues: a virtual port has 1 to {MAX_QUEUES}");
    Err(Error::Invalid { name: name.to_owned(), what })
}

/// All rings of two ports, as long as the longer's.
fn sum(one: Rings, other: Rings) -> Rings {
    Rings {
        tx_slots: one.tx_slots.max(other.tx_slots),
        rx_slots: one.rx_slots.max(other.rx_slots),
        tx_rings: one.tx_rings + other.tx_rings,
        rx_rings: one.rx_rings + other.rx_rings,
        memory_bytes: one.memory_bytes + other.memory_bytes,
        page_bytes: one.page_bytes.min(other.page_bytes),
    }
}
