//! A switch with in-memory ports, and a worker of it that a test turns by hand.

use std::sync::Arc;

use ports::{Capabilities, Mac, Time};
use switch::{Forwarder, Options, Pass, Switch, WhenFull};

use crate::support::{TestPort, balance, frame};

pub(crate) struct Bridge {
    pub(crate) switch: Arc<Switch>,
    pub(crate) forwarder: Forwarder,
    pub(crate) ports: Vec<TestPort>,
    pub(crate) now: Time,
}

impl Bridge {
    pub(crate) fn new(ports: usize) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let forwarder = Forwarder::new(switch.clone());
        let mut bridge = Self { switch, forwarder, ports: Vec::new(), now: Time::from_secs(1000) };
        for n in 0..ports {
            bridge.join(&n.to_string());
        }
        bridge
    }

    pub(crate) fn join(&mut self, name: &str) {
        let takes = Capabilities::wire(1500);
        self.ports.push(TestPort::join(&self.switch, name, WhenFull::Drop, takes));
    }

    pub(crate) fn pass(&mut self, port: usize) -> Pass {
        let port = &mut self.ports[port];
        self.forwarder.forward(port.index, &mut port.source, self.now)
    }

    /// Sends one frame, and says how many each port got.
    pub(crate) fn send(&mut self, port: usize, dst: Mac, src: Mac) -> Vec<usize> {
        self.ports[port].send(frame(dst, src));
        self.pass(port);
        self.counts()
    }

    pub(crate) fn counts(&self) -> Vec<usize> {
        self.ports.iter().map(TestPort::count).collect()
    }

    pub(crate) fn is_balanced(&self) -> bool {
        let (put_in, came_out) = balance(self.ports.iter().map(|p| &p.counters));
        put_in == came_out
    }
}
