//! vhost-user: a guest of a stock QEMU, or another driver of a virtio network device, by shared memory
//! (QEMU `docs/interop/vhost-user.rst`; virtio 1.2, 5.1).
//!
//! We are the device. The guest's transmit rings are our receiving half, its receive rings our transmitting half; both
//! work in the guest's own memory, which is copied out of and into once. One thread a port speaks the protocol.
//!
//! Everything in guest memory is a claim. Addresses are looked up and checked before they are used, indices and lengths are
//! read once, chains are cut, and a guest that breaks the rules loses its port.

mod completion;
mod control;
#[cfg(any(test, feature = "contract"))]
pub mod driver;
mod front_ends;
#[cfg(any(test, feature = "contract"))]
pub mod hostile;
mod memory;
mod message;
mod queue;
mod rx;
mod session;
mod socket;
mod tx;

use std::path::PathBuf;
use std::sync::Arc;

use rustix::net::SocketType;

use crate::draft::Drafting;
use crate::identity::station;
use crate::offload::Offloads;
use crate::peer::{Link, Place, RINGS, Waiting};
use crate::{Capabilities, Counters, Error, Port, Rings, Rx};

/// Device features (virtio 1.2, 5.1.3 and 6).
const CSUM: u64 = 1 << 0;
const GUEST_CSUM: u64 = 1 << 1;
const MTU: u64 = 1 << 3;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
const MRG_RXBUF: u64 = 1 << 15;
const MQ: u64 = 1 << 22;
const INDIRECT_DESC: u64 = 1 << 28;
const EVENT_IDX: u64 = 1 << 29;
/// `VHOST_USER_F_PROTOCOL_FEATURES`: not of the device, but without it no front-end speaks of protocol features.
const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;
/// Chains are completed in the order in which they came, as we do it anyway: DPDK's driver has a shorter way then.
const IN_ORDER: u64 = 1 << 35;
const GUEST_USO4: u64 = 1 << 54;
const GUEST_USO6: u64 = 1 << 55;
const HOST_USO: u64 = 1 << 56;

/// What gives the headers of a guest's frames a meaning.
const HOST_OFFLOADS: u64 = CSUM | HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_USO;
/// Bytes before each frame: `struct virtio_net_hdr_v1`, whose first ten are [`Offload`](crate::Offload).
const HEADER: usize = 12;
/// Longest frame of a guest.
const MAX_CHAIN_BYTES: u64 = Capabilities::MAX_SUPER_FRAME as u64;
/// MTU of a guest that was told none.
const MTU_UNSAID: u32 = 1500;

/// How to open a port for a guest.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unix socket.
    pub path: PathBuf,
    /// Connect to a socket that the front-end listens on (`server=on` there), and again when it is lost, instead of
    /// listening.
    pub client: bool,
    /// Pairs of rings to offer, 1 to 8.
    pub queues: u8,
    /// In how many shares the rings are received, 1 to `queues`: the first is the port's [`Rx`], those of other
    /// workers are in [`Port::more_rx`].
    pub workers: u8,
    /// Whether to offer checksums and segmentation in either direction.
    pub offloads: bool,
}

/// A port for a guest. It is there at once, and frames to it fail as long as nobody is connected.
///
/// # Errors
/// If the number of queues is out of range, or the socket cannot be listened on.
pub fn open(name: &str, options: Options) -> Result<Port, Error> {
    if !(1..=RINGS).contains(&usize::from(options.queues)) {
        let what = format!("queues={}: 1 to {RINGS}", options.queues);
        return Err(Error::Invalid { name: name.to_owned(), what });
    }
    if !(1..=options.queues).contains(&options.workers) {
        let what = format!("workers={}: 1 to as many as queues={}", options.workers, options.queues);
        return Err(Error::Invalid { name: name.to_owned(), what });
    }
    let waiting = Waiting::new(name)?;
    let shares = usize::from(options.workers);
    let shared = Arc::new(session::Shared::new(name, &waiting, shares)?);
    let queues = u32::from(options.queues);
    let notes = vec![arguments(name, &options), EMULATED.to_owned()];
    let peer = Some(shared.presence().clone());
    let place = Place { path: options.path.clone(), kind: SocketType::STREAM, client: options.client };
    let front_ends = front_ends::FrontEnds::new(name, options, shared.clone());
    let link = Arc::new(Link::start(name, place, waiting, front_ends)?);
    // The guest's own rings, as long as QEMU makes them; its memory it says when it comes (`Presence::shared_bytes`).
    let rings =
        Rings { tx_slots: 256, rx_slots: 256, tx_rings: queues, rx_rings: queues, ..Rings::default() };
    let counters = Arc::new(if shares > 1 { Counters::for_several() } else { Counters::default() });
    let half = |share| rx::VhostRx::new(shared.clone(), link.clone(), share, counters.clone());
    let (rx, more_rx) = (half(0), (1..shares).map(|share| Box::new(half(share)) as Box<dyn Rx>).collect());
    let tx = Drafting::new(tx::VhostTx::new(shared, link), counters.clone());
    Ok(Port { more_rx, counters, rings, notes, peer, ..Port::new(rx, tx) })
}

/// It unmasks MSI-X vectors in its table of KVM's irqfds, which an emulated guest has not.
const EMULATED: &str = "with QEMU 7.2 and no KVM, add ,vectors=0 at the end: it crashes else";

/// What to tell QEMU. The guest has an address of its own: QEMU gives all of them the same.
fn arguments(name: &str, options: &Options) -> String {
    let (path, mac) = (options.path.display(), station(name));
    let (server, queues) = (if options.client { ",server=on" } else { ",reconnect=1" }, options.queues);
    let (many, vectors) =
        if queues > 1 { (format!(",queues={queues}"), ",mq=on") } else { (String::new(), "") };
    format!(
        "-object memory-backend-memfd,id=m0,size=256M,share=on -machine memory-backend=m0 -m 256M \
         -chardev socket,id=c0,path={path}{server} -netdev vhost-user,id=n0,chardev=c0{many} \
         -device virtio-net-pci,netdev=n0,mac={mac}{vectors}"
    )
}

/// What is offered to a driver.
const fn features(offloads: bool) -> u64 {
    let plain = MTU | MRG_RXBUF | MQ | INDIRECT_DESC | EVENT_IDX | PROTOCOL_FEATURES | VERSION_1 | IN_ORDER;
    let guest = GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN | GUEST_USO4 | GUEST_USO6;
    if offloads { plain | HOST_OFFLOADS | guest } else { plain }
}

/// What a driver with these features takes at this MTU. Without buffers that merge, it has to post 64 KiB for each super-frame, and
/// does when it asks for them (virtio 1.2, 5.1.6.3.1).
fn capabilities(features: u64, mtu: u32) -> Capabilities {
    let has = |bits: u64| features & bits == bits;
    let pairs = [
        (GUEST_CSUM, Offloads::CSUM),
        (GUEST_TSO4, Offloads::TSO4),
        (GUEST_TSO6, Offloads::TSO6),
        (GUEST_ECN, Offloads::TSO_ECN),
        (GUEST_USO4 | GUEST_USO6, Offloads::USO),
    ];
    let offloads =
        pairs.iter().filter(|(bits, _)| has(*bits)).fold(Offloads::empty(), |all, (_, one)| all | *one);
    Capabilities { offloads, ..Capabilities::all(mtu) }
}
