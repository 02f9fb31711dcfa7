//! A switch with virtual ports, and the app's end of each in hand.

use std::sync::Arc;

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{Burst, Capabilities, Frame, Mac, Offload, Port, Rx, Time};
use switch::{Forwarder, Joining, Options, PortIndex, Switch, WhenFull};

/// The station behind port `n`.
pub(crate) fn mac(n: usize) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n as u64)
}

/// A frame between two stations, of `len` bytes.
pub(crate) fn frame(dst: Mac, src: Mac, len: usize) -> Vec<u8> {
    let mut frame = vec![0x5a; len];
    frame[..6].copy_from_slice(&dst.octets());
    frame[6..12].copy_from_slice(&src.octets());
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // IEEE's EtherType for experiments
    frame
}

/// Ports on a switch, and the app's ends of them.
pub(crate) struct Rig {
    forwarder: Forwarder,
    indices: Vec<PortIndex>,
    rxs: Vec<Box<dyn Rx>>,
    apps: Vec<Port>,
}

impl Rig {
    /// Ports that take what `takes` says, a station behind each, which the switch knows.
    pub(crate) fn new(ports: usize, takes: Capabilities) -> Self {
        Self::with_options(ports, takes, Options::default())
    }

    /// The same, on a switch with these options.
    pub(crate) fn with_options(ports: usize, takes: Capabilities, options: Options) -> Self {
        let switch = Arc::new(Switch::new("vale0", options));
        let mut rig = Self {
            forwarder: Forwarder::new(switch.clone()),
            indices: Vec::new(),
            rxs: Vec::new(),
            apps: Vec::new(),
        };
        for n in 0..ports {
            let name = n.to_string();
            let (port, app) = virtual_port::pair(&name, DEFAULT_SLOTS, takes).expect("memory for a ring");
            let counters = port.counters.clone();
            let joining = Joining { name, tx: port.tx, counters, when_full: WhenFull::Wait };
            rig.indices.push(switch.join(joining).expect("a new name"));
            rig.rxs.push(port.rx);
            rig.apps.push(app);
        }
        for n in 0..ports {
            rig.send(n, &[Frame::new(&frame(Mac::BROADCAST, mac(n), 60))]);
            rig.pass(n);
        }
        for n in 0..ports {
            rig.drain(n);
        }
        rig
    }

    /// Has app `n` transmit frames, by copying them.
    pub(crate) fn send(&mut self, n: usize, frames: &[Frame<'_>]) {
        self.apps[n].tx.transmit(frames);
        self.apps[n].tx.flush();
    }

    /// Has the switch move a burst from port `n`.
    pub(crate) fn pass(&mut self, n: usize) {
        self.forwarder.forward(self.indices[n], &mut *self.rxs[n], Time::now());
        self.forwarder.flush();
    }

    /// Has app `n` take the burst that waits for it. How many frames that were.
    pub(crate) fn drain(&mut self, n: usize) -> usize {
        let mut burst = Burst::new();
        self.apps[n].rx.receive(&mut burst);
        let frames = burst.len();
        drop(burst);
        self.apps[n].rx.release(frames);
        frames
    }

    /// Sends a burst from port 0 in copies, moves it, and takes it out of the ports it went to.
    pub(crate) fn burst(&mut self, frames: &[Frame<'_>], to: impl Iterator<Item = usize>) -> usize {
        self.send(0, frames);
        self.pass(0);
        to.map(|n| self.drain(n)).sum()
    }

    /// Sends a burst from port 0 to port 1 as a generator does, which writes into the ring.
    pub(crate) fn generate(&mut self, template: &[u8], burst: usize) -> usize {
        self.write(template.len(), burst, |slot| slot.copy_from_slice(template))
    }

    /// Sends a burst from port 0 to port 1 of frames that `fill` writes into their slots, as many as there is room for.
    pub(crate) fn write(&mut self, len: usize, burst: usize, mut fill: impl FnMut(&mut [u8])) -> usize {
        let tx = &mut self.apps[0].tx;
        let mut sent = 0;
        while sent < burst {
            let Some(slot) = tx.reserve(len) else { break };
            fill(slot);
            tx.commit(len, Offload::NONE);
            sent += 1;
        }
        tx.flush();
        let mut received = 0;
        while received < sent {
            self.pass(0);
            received += self.drain(1);
        }
        received
    }
}
