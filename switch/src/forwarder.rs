//! One worker's hold on one switch, and the pass that moves frames.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use ports::{Burst, Rx, Time};

use crate::crossing::{Crossing, Workspace};
use crate::members::Members;
use crate::port_index::PortSet;
use crate::{PortIndex, Switch};

/// What one pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Frames that were delivered or dropped, and counted.
    pub received: usize,
    /// Frames left in the port: they wait for room at their destination, or are through already but behind one
    /// that waits. They come again in the next pass, which must not wait for a wake-up from the port.
    pub held: usize,
}

/// One worker's hold on one switch: a snapshot of its members, and scratch space made once.
pub struct Forwarder {
    switch: Arc<Switch>,
    members: Arc<Members>,
    /// Members that frames were copied to since the last flush.
    touched: PortSet,
    workspace: Workspace,
}

impl Forwarder {
    /// A hold on the switch as it is now.
    #[must_use]
    pub fn new(switch: Arc<Switch>) -> Self {
        let members = switch.snapshot();
        Self { switch, members, touched: PortSet::default(), workspace: Workspace::new() }
    }

    /// One pass: receives a burst of frames from `rx`, the port at `ingress`, copies each to where it goes, and
    /// gives those back that went. If no port is at `ingress`, nothing is received.
    pub fn forward(&mut self, ingress: PortIndex, rx: &mut dyn Rx, now: Time) -> Pass {
        self.refresh();
        self.switch.age(now);
        let Some(ingress) = self.members.at(ingress) else { return Pass::default() };
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        if burst.is_empty() {
            return Pass::default();
        }
        let mut crossing = Crossing {
            switch: &self.switch,
            members: &self.members,
            ingress,
            backlog: ingress.waiting(),
            touched: &mut self.touched,
            now,
            outcomes: 0,
        };
        let frames = burst.len();
        let (received, done) = match *burst {
            [frame] if crossing.alone(&frame, &mut self.workspace) => (1, 1),
            _ => crossing.run(&burst, &mut self.workspace),
        };
        drop(burst);
        rx.release(done);
        Pass { received, held: frames - done }
    }

    /// Makes what was copied visible: flushes every member touched since the last flush, once. Returns whether all of
    /// it is on its way; members of which some is not stay touched, and want another flush soon, traffic or not.
    #[inline]
    pub fn flush(&mut self) -> bool {
        self.touched.is_empty() || self.flush_touched()
    }

    #[inline(never)]
    fn flush_touched(&mut self) -> bool {
        fence(Ordering::SeqCst); // for all of them; see `ports::ring::Landing::kick`
        for index in std::mem::take(&mut self.touched) {
            if self.members.at(index).is_some_and(|member| !member.flush()) {
                self.touched.insert(index);
            }
        }
        self.touched.is_empty()
    }

    /// Adopts the newest membership and lets go of members that left, as every [`Self::forward`] does; for workers
    /// that go to sleep.
    pub fn refresh(&mut self) {
        if self.members.version != self.switch.version() {
            self.flush();
            self.members = self.switch.snapshot();
        }
    }
}
