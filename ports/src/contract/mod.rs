//! The contract of a port as a suite of tests that every backend passes, and what such tests need: the far
//! side of a port, recognisable frames, network namespaces.
//!
//! ```no_run
//! use ports::contract::{Cable, Far, suite};
//! use ports::{Capabilities, Port, virtual_port};
//! suite(&mut || {
//!     let (port, other) = virtual_port::pair("v", 256, Capabilities::all(1500)).unwrap();
//!     (port, Box::new(Cable::new(other)) as Box<dyn Far>)
//! });
//! ```

mod allocations;
mod cable;
mod conversation;
mod corpus;
mod egress;
mod frames;
mod ingress;
mod link;
mod namespace;
mod scattered;
mod wire;

pub use allocations::Allocations;
pub use cable::Cable;
pub use conversation::{Seen, conversation};
pub use corpus::corpus;
pub use frames::{STATION, frame, sequence, super_frame};
pub use link::{Link, eventually, open_when_free};
pub use namespace::{beside, in_namespace, ip, link_says, veth};
pub use scattered::Scattered;
pub use wire::Wire;

use crate::{Offload, Port};

/// What is beyond a port: sends frames towards it, and receives what the port sent.
pub trait Far {
    /// Sends one frame towards the port. Returns false if it found no room.
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool;

    /// The next frame of [`STATION`] that the port sent, if one is there. Frames of others are passed over:
    /// a kernel in between may have frames of its own.
    fn receive(&mut self) -> Option<(Vec<u8>, Offload)>;

    /// Frames that left the port and were lost before [`receive`](Self::receive), so far.
    fn lost(&mut self) -> u64 {
        0
    }

    /// Fewest frames that may wait for the port at a time.
    fn queue(&self) -> usize {
        32
    }

    /// Whether offload metadata travels with the frames.
    fn carries_offloads(&self) -> bool {
        false
    }
}

type Check = fn(Link);

/// What is asked of a receiving half, and of a port as a whole.
const INGRESS: [(&str, Check); 9] = [
    ("ingress: every size arrives intact", ingress::sizes),
    ("ingress: order and count survive a flood", ingress::flood),
    ("ingress: what is not released comes again, first", ingress::partial_release),
    ("ingress: any mixture of sends and releases keeps order", ingress::mixture),
    ("ingress: a full burst is left alone", ingress::full_burst),
    ("ingress: runts do no harm", ingress::runts),
    ("ingress: the descriptor wakes who armed", ingress::wake),
    ("ingress: offload metadata arrives", ingress::offloads),
    ("a dropped port leaves the far side unharmed", egress::dropped),
];

/// What is asked of a transmitting half.
const EGRESS: [(&str, Check); 7] = [
    ("egress: every size leaves intact", egress::sizes),
    ("egress: a prefix is taken, the rest later", egress::flood),
    ("egress: reserved frames leave when committed", egress::reserve),
    ("egress: an abandoned reservation sends nothing", egress::abandoned),
    ("egress: a frame too long is failed, not stalled on", egress::too_long),
    ("egress: runts are taken", egress::runts),
    ("egress: offload metadata leaves", egress::offloads),
];

/// Runs every test of the contract, each on a new port that `make` gives with its far side. The port takes and
/// gives frames of 60 to 1514 bytes; nothing has been sent through it.
///
/// # Panics
/// If the port breaks the contract, or `make` fails.
pub fn suite(make: &mut dyn FnMut() -> (Port, Box<dyn Far>)) {
    run(&INGRESS, make);
    egress_suite(make);
}

/// The part of [`suite`] for what is sent, for a port to which nothing can be sent once it is open.
///
/// # Panics
/// As [`suite`].
pub fn egress_suite(make: &mut dyn FnMut() -> (Port, Box<dyn Far>)) {
    run(&EGRESS, make);
}

fn run(checks: &[(&str, Check)], make: &mut dyn FnMut() -> (Port, Box<dyn Far>)) {
    for (name, check) in checks {
        eprintln!("contract: {name}");
        let (port, far) = make();
        let rings = port.rings;
        assert!(rings.tx_slots > 0 && rings.tx_rings > 0, "{rings:?}");
        assert!(rings.memory_bytes > 0 || port.peer.is_some(), "{rings:?}");
        check(Link::new(port, far));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Frame, null, virtual_port};

    #[test]
    fn virtual_ports_pass() {
        for slots in [64, 128, 1024, 16384] {
            suite(&mut || {
                let (port, other) = virtual_port::pair("v", slots, Capabilities::all(1500)).unwrap();
                (port, Box::new(Cable::new(other)))
            });
        }
    }

    #[test]
    fn virtual_ports_without_offloads_pass_from_either_end() {
        suite(&mut || {
            let (other, port) = virtual_port::pair("v", 256, Capabilities::wire(1500)).unwrap();
            (port, Box::new(Cable::new(other)))
        });
    }

    /// What of the contract can be seen of a port without a far side.
    #[test]
    fn the_null_port_passes() {
        let mut link = Link::new(null::open(), Box::new(Nowhere));
        let frames: Vec<_> = (0..1000).map(|i| frame(i, 60 + i as usize)).collect();
        let sent = link.put(&frames);
        assert_eq!(sent.taken, 1000);
        assert_eq!(sent.bytes, frames.iter().map(|f| f.len() as u64).sum::<u64>());
        assert_eq!(link.port.tx.reserve(1514).unwrap().len(), 1514);
        assert!(link.port.tx.reserve(1 << 20).is_none());
        link.port.tx.commit(2000, Offload::NONE);
        assert_eq!(link.port.tx.transmit(&[Frame::new(&[])]).taken, 1);
        assert!(!link.port.rx.arm());
        let mut burst = crate::Burst::new();
        link.port.rx.receive(&mut burst);
        assert!(burst.is_empty());
    }

    struct Nowhere;

    impl Far for Nowhere {
        fn send(&mut self, _: &[u8], _: Offload) -> bool {
            false
        }
        fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
            None
        }
    }
}
