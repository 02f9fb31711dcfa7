//! memif: another program's shared memory interface, DPDK's `net_memif` or VPP's (protocol 2.0, `memif.h` of libmemif).
//!
//! As server we listen, and the client brings the memory; as client it is ours. Either way frames lie in rings of
//! buffers that both processes have mapped, and are copied out of and into them once. One thread a port speaks the
//! protocol.
//!
//! Everything that a peer says, on the socket or in memory, is a claim: regions, rings, descriptors and indices are
//! looked up and checked before they are used, and a peer that breaks the rules loses its session.

mod client;
mod conversation;
#[cfg(any(test, feature = "contract"))]
pub mod hostile;
mod memory;
pub mod message;
mod peers;
mod ring;
mod rx;
mod server;
mod session;
#[cfg(any(test, feature = "contract"))]
pub mod stranger;
mod tx;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use rustix::net::SocketType;

use crate::draft::Drafting;
use crate::peer::{Link, Place, RINGS, Waiting};
use crate::ring::SLOT;
use crate::{Counters, Error, Port, Rings};

/// Slots of our rings as client, as a power of two.
const LOG2_SLOTS: u8 = 10;
/// Longest secret: DPDK ends it with a zero.
const MAX_SECRET: usize = message::SECRET - 1;

/// How to open a port for another program.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unix socket.
    pub path: PathBuf,
    /// Connect to a socket that the other program listens on (`role=server` there), and again when it is lost, instead of
    /// listening.
    pub client: bool,
    /// The number of the interface: several may share the socket of a server.
    pub id: u32,
    /// What a client has to say to be let in, up to 23 bytes; nothing if empty.
    pub secret: String,
    /// Pairs of rings, 1 to 8: as many as are taken of a client, or made for a server.
    pub queues: u8,
}

/// A port for another program. It is there at once, and frames to it fail as long as nobody is connected.
///
/// # Errors
/// If an option is out of range, or the socket cannot be listened on.
pub fn open(name: &str, options: Options) -> Result<Port, Error> {
    let invalid = |what| Err(Error::Invalid { name: name.to_owned(), what });
    if !(1..=RINGS).contains(&usize::from(options.queues)) {
        return invalid(format!("queues={}: 1 to {RINGS}", options.queues));
    }
    if options.secret.len() > MAX_SECRET {
        return invalid(format!("secret: {} bytes, of at most {MAX_SECRET}", options.secret.len()));
    }
    let waiting = Waiting::new(name)?;
    let shared = Arc::new(session::Shared::new(name, &waiting, 1)?);
    let place = Place { path: options.path.clone(), kind: SocketType::SEQPACKET, client: options.client };
    let (rings, notes) = (rings(&options), arguments(name, &options));
    let peer = Some(shared.presence().clone());
    let peers = peers::Peers::new(name, options, shared.clone());
    let link = Arc::new(Link::start(name, place, waiting, peers)?);
    let counters = Arc::<Counters>::default();
    let rx = rx::MemifRx::new(shared.clone(), link.clone(), counters.clone());
    let tx = Drafting::new(tx::MemifTx::new(shared, link), counters.clone());
    Ok(Port { counters, rings, notes, peer, ..Port::new(rx, tx) })
}

/// Rings as we make them; a client's are what it says when it comes.
fn rings(options: &Options) -> Rings {
    let (slots, queues) = (1 << LOG2_SLOTS, u16::from(options.queues));
    Rings {
        tx_slots: slots,
        rx_slots: slots,
        tx_rings: queues.into(),
        rx_rings: queues.into(),
        memory_bytes: memory_bytes(2 * queues, LOG2_SLOTS),
        ..Rings::default()
    }
}

/// Bytes of so many rings, and of their buffers.
const fn memory_bytes(rings: u16, log2: u8) -> u64 {
    rings as u64 * (ring::Place::bytes(log2) + ((SLOT as u64) << log2))
}

/// What to tell the other program.
fn arguments(name: &str, options: &Options) -> Vec<String> {
    let Options { path, client, id, secret, queues } = options;
    let path = path.display();
    let (theirs, vpp) = if *client { ("server", "master") } else { ("client", "slave no-zero-copy") };
    let (dpdk_secret, vpp_secret) = if secret.is_empty() {
        (String::new(), String::new())
    } else {
        (format!(",secret={secret}"), format!(" secret {secret}"))
    };
    let (dpdk_queues, vpp_queues) = if *queues > 1 {
        (format!(" --rxq={queues} --txq={queues}"), format!(" rx-queues {queues} tx-queues {queues}"))
    } else {
        (String::new(), String::new())
    };
    // Of its own, or the second program takes itself for a part of the first; the buffers that testpmd makes of its own
    // accord do not fit into -m 256.
    let prefix = name.replace(':', "-");
    let dpdk = format!(
        "DPDK: dpdk-testpmd --no-huge -m 256 --no-pci --file-prefix={prefix} \
         --vdev=net_memif0,role={theirs},id={id},socket-abstract=no,socket={path}{dpdk_secret} \
         -- --total-num-mbufs=8192{dpdk_queues}"
    );
    let vpp = format!(
        "VPP: create memif socket id 1 filename {path}; \
         create interface memif id {id} socket-id 1 {vpp}{vpp_secret}{vpp_queues}"
    );
    vec![dpdk, vpp]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_two_ports_have_two_prefixes() {
        let options = Options {
            path: "/run/x.sock".into(),
            client: false,
            id: 0,
            secret: "sesame".to_owned(),
            queues: 2,
        };
        let dpdk = |name| arguments(name, &options).swap_remove(0);
        assert_eq!(
            dpdk("vale0:a"),
            "DPDK: dpdk-testpmd --no-huge -m 256 --no-pci --file-prefix=vale0-a \
             --vdev=net_memif0,role=client,id=0,socket-abstract=no,socket=/run/x.sock,secret=sesame \
             -- --total-num-mbufs=8192 --rxq=2 --txq=2"
        );
        assert!(dpdk("vale1:a").contains("--file-prefix=vale1-a "));
    }
}
