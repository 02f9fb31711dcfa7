//! A unix stream socket with frames in it, as QEMU's `-netdev stream` speaks it (QEMU `net/stream.c`, `net_fill_rstate` of
//! `net/net.c`): four bytes of length, big endian, and the frame. No offload metadata, no shared memory: for QEMUs and
//! machines that have none, and for any program that can open a socket.
//!
//! What comes is read many frames at a time into memory of the port's own, and what goes is written many at a time out of
//! it. A socket may stop anywhere in a frame: what is cut off is completed by the next read or write.

#[cfg(any(test, feature = "contract"))]
pub mod hostile;
mod incoming;
mod outgoing;
mod peers;
mod rx;
mod tx;

use std::path::PathBuf;
use std::sync::Arc;

use rustix::net::SocketType;

use crate::draft::{DRAFT_BYTES, Drafting};
use crate::identity::station;
use crate::peer::{Link, Place, Waiting};
use crate::{BURST, Capabilities, Counters, Error, Port, Rings};

/// Bytes of the length before each frame.
const LENGTH: usize = 4;

/// What the other side takes: no more than a wire does.
const TAKES: Capabilities = Capabilities::wire(1500);

/// How to open such a port.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unix socket.
    pub path: PathBuf,
    /// Connect to a socket that the other side listens on (`server=on` there), and again when it is lost, instead of
    /// listening.
    pub client: bool,
}

/// A port for whoever connects. It is there at once, and frames to it fail as long as nobody is connected.
///
/// # Errors
/// If the socket cannot be listened on.
pub fn open(name: &str, options: Options) -> Result<Port, Error> {
    let waiting = Waiting::new(name)?;
    let shared = Arc::new(peers::Shared::new(name, &waiting, 1)?);
    let peers = peers::Peers::new(name, shared.clone());
    let (notes, peer) = (vec![arguments(name, &options)], Some(shared.presence().clone()));
    let place = Place { path: options.path, kind: SocketType::STREAM, client: options.client };
    let link = Arc::new(Link::start(name, place, waiting, peers)?);
    let counters = Arc::<Counters>::default();
    let rx = rx::StreamRx::new(shared.clone(), link.clone(), counters.clone());
    let tx = tx::StreamTx::new(shared, link);
    let rings = Rings {
        tx_slots: BURST as u32,
        rx_slots: BURST as u32,
        tx_rings: 1,
        rx_rings: 1,
        memory_bytes: rx.memory_bytes() + tx.memory_bytes() + DRAFT_BYTES,
        ..Rings::default()
    };
    let tx = Drafting::new(tx, counters.clone());
    Ok(Port { counters, rings, notes, peer, ..Port::new(rx, tx) })
}

/// What to tell QEMU. The guest has an address of its own: QEMU gives all of them the same.
fn arguments(name: &str, options: &Options) -> String {
    let (server, path) = (if options.client { "on" } else { "off" }, options.path.display());
    let mac = station(name);
    format!(
        "-netdev stream,id=n0,server={server},addr.type=unix,addr.path={path} \
         -device virtio-net-pci,netdev=n0,mac={mac}"
    )
}
