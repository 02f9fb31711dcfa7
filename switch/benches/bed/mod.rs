//! What is measured: apps on virtual ports of a switch, all on this thread, in virtual time.
#![allow(dead_code, clippy::allow_attributes, reason = "each bench uses its part")]

use std::sync::Arc;

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{BURST, Burst, Capabilities, Frame, Mac, Offload, Port, Rx, Time};
use switch::{Forwarder, Joining, Options, PortIndex, Switch, WhenFull};

/// Time between two passes, ns: about what they take. It is not looked up, so that it costs nothing.
const PASS_NS: u64 = 1000;

/// A frame between two stations, of `len` bytes.
pub(crate) fn frame(dst: Mac, src: Mac, len: usize) -> Vec<u8> {
    let mut frame = vec![0x5a; len];
    frame[..6].copy_from_slice(&dst.octets());
    frame[6..12].copy_from_slice(&src.octets());
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // IEEE's EtherType for experiments
    frame
}

/// Station `n`.
pub(crate) fn mac(n: usize) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n as u64)
}

/// Ports on a switch, and the apps' ends of them.
pub(crate) struct Bed {
    forwarder: Forwarder,
    indices: Vec<PortIndex>,
    rxs: Vec<Box<dyn Rx>>,
    pub(crate) apps: Vec<Port>,
    now: Time,
}

impl Bed {
    /// Ports that take what `takes` says, station n behind the nth, on a switch with room for so many stations.
    pub(crate) fn new(ports: usize, takes: Capabilities, stations: usize) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options { stations, ..Options::default() }));
        let mut bed = Self {
            forwarder: Forwarder::new(switch.clone()),
            indices: Vec::new(),
            rxs: Vec::new(),
            apps: Vec::new(),
            now: Time::from_secs(1),
        };
        for n in 0..ports {
            let name = n.to_string();
            let (port, app) = virtual_port::pair(&name, DEFAULT_SLOTS, takes).expect("memory for a ring");
            let counters = port.counters.clone();
            let joining = Joining { name, tx: port.tx, counters, when_full: WhenFull::Wait };
            bed.indices.push(switch.join(joining).expect("a new name"));
            bed.rxs.push(port.rx);
            bed.apps.push(app);
        }
        for n in 0..ports {
            bed.introduce(n, mac(n));
        }
        bed
    }

    /// Lets a station be heard behind port `n`.
    pub(crate) fn introduce(&mut self, n: usize, station: Mac) {
        self.apps[n].tx.transmit(&[Frame::new(&frame(Mac::BROADCAST, station, 60))]);
        self.pass(n);
        for n in 0..self.apps.len() {
            self.drain(n);
        }
    }

    /// One pass of the switch over one port.
    pub(crate) fn pass(&mut self, ingress: usize) {
        self.now.0 += PASS_NS;
        self.forwarder.forward(self.indices[ingress], &mut *self.rxs[ingress], self.now);
        self.forwarder.flush();
    }

    /// One pass of a receiving app; says how many frames there were.
    pub(crate) fn drain(&mut self, n: usize) -> usize {
        let mut burst = Burst::new();
        self.apps[n].rx.receive(&mut burst);
        let frames = burst.len();
        drop(burst);
        self.apps[n].rx.release(frames);
        frames
    }

    /// Sends a burst from port 0, moves it, and takes it out of the ports it went to. Says how many frames came out.
    pub(crate) fn burst(&mut self, frames: &[Frame<'_>], to: impl Iterator<Item = usize>) -> usize {
        self.apps[0].tx.transmit(frames);
        self.apps[0].tx.flush();
        self.pass(0);
        to.map(|n| self.drain(n)).sum()
    }

    /// Sends a burst of one frame again and again to port 1, as a generator does.
    pub(crate) fn repeat(&mut self, template: &[u8], burst: usize) -> usize {
        let tx = &mut self.apps[0].tx;
        if let Some(slot) = tx.reserve(template.len()) {
            slot.copy_from_slice(template);
            tx.commit(template.len(), Offload::NONE);
            tx.repeat(burst - 1);
        }
        tx.flush();
        self.pass(0);
        self.drain(1)
    }

    /// As [`Self::burst`], written into the ring in place, as a generator does, to port 1.
    pub(crate) fn generate(&mut self, template: &[u8], burst: usize) -> usize {
        let tx = &mut self.apps[0].tx;
        for _ in 0..burst {
            let Some(slot) = tx.reserve(template.len()) else { break };
            slot.copy_from_slice(template);
            tx.commit(template.len(), Offload::NONE);
        }
        tx.flush();
        self.pass(0);
        self.drain(1)
    }

    /// As [`Self::generate`], each frame from and to the stations that `flow` says.
    pub(crate) fn generate_flows(&mut self, template: &[u8], mut flow: impl FnMut() -> (Mac, Mac)) -> usize {
        let tx = &mut self.apps[0].tx;
        for _ in 0..BURST {
            let Some(slot) = tx.reserve(template.len()) else { break };
            let (dst, src) = flow();
            slot.copy_from_slice(template);
            slot[..6].copy_from_slice(&dst.octets());
            slot[6..12].copy_from_slice(&src.octets());
            tx.commit(template.len(), Offload::NONE);
        }
        tx.flush();
        self.pass(0);
        self.drain(1)
    }

    /// Lets stations `n` of these be heard behind a port.
    pub(crate) fn learn(&mut self, port: usize, stations: std::ops::Range<usize>) {
        for n in stations {
            self.apps[port].tx.transmit(&[Frame::new(&frame(mac(0), mac(n), 60))]);
            if n % BURST == 0 {
                self.pass(port);
                self.drain(0);
            }
        }
        self.pass(port);
        self.drain(0);
    }

    /// A burst from every port to the one after it, the last one's to the first.
    pub(crate) fn round(&mut self, bursts: &[Vec<Frame<'_>>]) -> usize {
        let mut arrived = 0;
        for (n, frames) in bursts.iter().enumerate() {
            self.apps[n].tx.transmit(frames);
            self.apps[n].tx.flush();
            self.pass(n);
            arrived += self.drain((n + 1) % bursts.len());
        }
        arrived
    }
}
