//! What is measured: apps on virtual ports of a switch, all on this thread, in virtual time.
#![allow(dead_code, clippy::allow_attributes, reason = "each bench uses its part")]

use std::sync::Arc;
use std::time::Duration;

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{Burst, Capabilities, Frame, Mac, Offload, Port, Rx, Time, Tx};
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

/// Has `fill` write up to `burst` frames of `len` bytes in place. Says for how many there was room.
pub(crate) fn write(tx: &mut dyn Tx, len: usize, burst: usize, mut fill: impl FnMut(&mut [u8])) -> usize {
    for sent in 0..burst {
        let Some(slot) = tx.reserve(len) else { return sent };
        fill(slot);
        tx.commit(len, Offload::NONE);
    }
    burst
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
        self.forward(ingress);
        self.flush();
    }

    /// The pass without its end.
    pub(crate) fn forward(&mut self, ingress: usize) {
        self.now.0 += PASS_NS;
        self.forwarder.forward(self.indices[ingress], &mut *self.rxs[ingress], self.now);
    }

    /// The end of a pass.
    pub(crate) fn flush(&mut self) {
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

    /// Sends a burst of its own frame from every other port, moves all, and takes them out of the ports between. Says how
    /// many frames came out.
    pub(crate) fn pairs(&mut self, frames: &[Vec<u8>], burst: usize) -> usize {
        for (pair, template) in frames.iter().enumerate() {
            let tx = &mut *self.apps[2 * pair].tx;
            write(tx, template.len(), burst, |slot| slot.copy_from_slice(template));
            tx.flush();
        }
        (0..self.apps.len()).for_each(|n| self.forward(n));
        self.flush();
        (0..frames.len()).map(|pair| self.drain(2 * pair + 1)).sum()
    }

    /// Sends a burst of one frame again and again to port 1, as a generator does.
    pub(crate) fn repeat(&mut self, template: &[u8], burst: usize) -> usize {
        let tx = &mut *self.apps[0].tx;
        let mut sent = write(tx, template.len(), 1, |slot| slot.copy_from_slice(template));
        sent += tx.repeat(burst - sent);
        tx.flush();
        self.take(sent)
    }

    /// As [`Self::burst`], written into the ring in place, as a generator does, to port 1.
    pub(crate) fn generate(&mut self, template: &[u8], burst: usize) -> usize {
        self.write(template.len(), burst, |slot| slot.copy_from_slice(template))
    }

    /// Has `fill` write frames of `len` bytes in place, as many as there is room for, moves them to port 1, and takes
    /// them out.
    pub(crate) fn write(&mut self, len: usize, burst: usize, fill: impl FnMut(&mut [u8])) -> usize {
        let sent = write(&mut *self.apps[0].tx, len, burst, fill);
        self.apps[0].tx.flush();
        self.take(sent)
    }

    /// Moves what was sent to port 1, and takes it out.
    fn take(&mut self, sent: usize) -> usize {
        let mut received = 0;
        while received < sent {
            self.pass(0);
            received += self.drain(1);
        }
        received
    }

    /// Lets time go by.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}
