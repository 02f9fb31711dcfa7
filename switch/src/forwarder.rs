//! One worker's hold on one switch, and the pass that moves frames.

use std::sync::{Arc, MutexGuard};

use arrayvec::ArrayVec;
use ports::{BURST, Burst, Frame, Reason, Rx, Time};

use crate::backlog::{Backlog, THROUGH};
use crate::chains::Chains;
use crate::classify::{Classes, Classifier, Destination, FLOOD};
use crate::load::{Delivered, Load};
use crate::members::Members;
use crate::offload::Scratch;
use crate::port_index::PortSet;
use crate::{Member, PortIndex, Switch, WhenFull};

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
    chains: Chains,
    scratch: Scratch,
}

impl Forwarder {
    /// A hold on the switch as it is now.
    #[must_use]
    pub fn new(switch: Arc<Switch>) -> Self {
        let members = switch.snapshot();
        Self { switch, members, touched: PortSet::default(), chains: Chains::new(), scratch: Scratch::new() }
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
        let crossing = Crossing {
            switch: &self.switch,
            members: &self.members,
            ingress,
            backlog: (ingress.when_full() == WhenFull::Wait).then(|| ingress.backlog()),
            touched: &mut self.touched,
            chains: &mut self.chains,
            scratch: &mut self.scratch,
            now,
            outcomes: 0,
        };
        let frames = burst.len();
        let (received, done) = crossing.run(&burst);
        drop(burst);
        rx.release(done);
        Pass { received, held: frames - done }
    }

    /// Makes what was copied visible: flushes every member touched since the last flush, once. Returns whether all of
    /// it is on its way; members of which some is not stay touched, and want another flush soon, traffic or not.
    pub fn flush(&mut self) -> bool {
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

/// One burst on its way from its ingress to its destinations.
struct Crossing<'p> {
    switch: &'p Switch,
    members: &'p Members,
    ingress: &'p Member,
    /// Of an ingress whose frames wait.
    backlog: Option<MutexGuard<'p, Backlog>>,
    touched: &'p mut PortSet,
    chains: &'p mut Chains,
    scratch: &'p mut Scratch,
    now: Time,
    /// Everything counted for these frames, on any port: frames out, segments out, drops.
    outcomes: u64,
}

/// The frames for one egress in a mixed burst, in order.
#[derive(Default)]
struct Gathered<'f> {
    frames: ArrayVec<Frame<'f>, BURST>,
    /// Their places in the burst, and whether they are flooded.
    places: ArrayVec<(usize, bool), BURST>,
    /// See [`Load::starts`].
    starts: ArrayVec<u16, BURST>,
}

impl<'p> Crossing<'p> {
    /// Moves the burst. Says how many frames are counted now, and how many can be given back to the port.
    fn run(mut self, burst: &[Frame<'_>]) -> (usize, usize) {
        let states = self.backlog.as_mut().map(|backlog| backlog.take(burst.len())).unwrap_or_default();
        let tick = self.switch.table().ageing().tick(self.now);
        let classes =
            Classifier::new(self.switch.table(), self.members, self.ingress, tick).burst(burst, &states);
        self.outcomes += classes.sums.count_drops(self.ingress.counters());
        match classes.destinations().first() {
            _ if classes.mixed => self.scatter(burst, &classes, &states),
            Some(&FLOOD) => self.flood(burst, &classes),
            Some(&to) => self.unicast(burst, &classes, to),
            None => {}
        }
        self.finish(burst, classes.sums.bytes, &states)
    }

    /// All frames go to one port, or nowhere.
    fn unicast(&mut self, burst: &[Frame<'_>], classes: &Classes, to: Destination) {
        let Some(to) = PortIndex::new(to.into()) else { return };
        let load = Load { frames: burst, starts: &[], plain: classes.sums.plain() };
        if let Some((egress, delivered)) = self.deliver(to, &load) {
            let rest = (delivered.done..burst.len()).map(|place| (place, false));
            self.no_room(egress, &delivered, rest, &[], burst.len());
        }
    }

    /// All frames go to all ports.
    fn flood(&mut self, burst: &[Frame<'_>], classes: &Classes) {
        let load = Load { frames: burst, starts: &[], plain: classes.sums.plain() };
        for to in self.others() {
            if let Some((egress, delivered)) = self.deliver(to, &load) {
                let rest = (delivered.done..burst.len()).map(|place| (place, true));
                self.no_room(egress, &delivered, rest, &[], burst.len());
            }
        }
    }

    /// Frames go to several ports: one after the other gets its own, in order.
    fn scatter(&mut self, burst: &[Frame<'_>], classes: &Classes, states: &[u16]) {
        self.chains.clear();
        for (i, to) in (0..).zip(classes.destinations()) {
            match PortIndex::new(usize::from(*to)) {
                Some(to) => self.chains.unicast(i, to),
                None if *to == FLOOD => self.chains.flood(i),
                None => {}
            }
        }
        let ports = if self.chains.floods() { self.others() } else { self.chains.ports() };
        let mut own = Gathered::default();
        for to in ports {
            own.gather(burst, self.chains.merged(to), states);
            let load = Load { frames: &own.frames, starts: &own.starts, plain: classes.sums.plain() };
            if let Some((egress, delivered)) = self.deliver(to, &load) {
                let rest = own.places.iter().skip(delivered.done).copied();
                self.no_room(egress, &delivered, rest, states, burst.len());
            }
        }
    }

    /// Every member but the ingress.
    fn others(&self) -> PortSet {
        self.members.present().without(self.ingress.index())
    }

    fn deliver(&mut self, to: PortIndex, load: &Load<'_, '_>) -> Option<(&'p Member, Delivered)> {
        let egress = self.members.at(to)?;
        self.touched.insert(to);
        let delivered = egress.deliver(load, self.scratch, self.now);
        self.outcomes += delivered.outcomes;
        Some((egress, delivered))
    }

    /// Holds or drops the frames (and whether they are flooded) that an egress had no room for, of a burst of `n`.
    fn no_room(
        &mut self,
        egress: &Member,
        delivered: &Delivered,
        rest: impl Iterator<Item = (usize, bool)>,
        states: &[u16],
        n: usize,
    ) {
        let mut full = 0;
        let mut first = Some(delivered.pieces);
        for (place, flooded) in rest {
            let pieces = first.take().unwrap_or_else(|| states.get(place).copied().unwrap_or_default());
            match &mut self.backlog {
                Some(backlog) if !flooded && !delivered.stopped => backlog.hold(place, n, pieces),
                _ => full += 1,
            }
        }
        if full > 0 {
            egress.counters().add_drops(Reason::Full, full);
            self.outcomes += full;
        }
    }

    /// Counts what came in. What waits is not in yet.
    fn finish(mut self, burst: &[Frame<'_>], bytes: u64, states: &[u16]) -> (usize, usize) {
        let (mut received, mut bytes, mut done) = (burst.len(), bytes, burst.len());
        if let Some(backlog) = &mut self.backlog {
            received -= states.iter().filter(|state| **state == THROUGH).count() + backlog.waiting();
            if backlog.waiting() > 0 {
                let waiting = burst.iter().enumerate().filter(|(i, _)| backlog.holds(*i));
                bytes -= waiting.map(|(_, frame)| frame.len() as u64).sum::<u64>();
            }
            done = backlog.settle(burst.len());
        }
        let counters = self.ingress.counters();
        counters.add_rx(received as u64, bytes);
        let copies = self.outcomes.saturating_sub(received as u64);
        if copies > 0 {
            counters.add_copies(copies);
        }
        (received, done)
    }
}

impl<'f> Gathered<'f> {
    fn gather(&mut self, burst: &[Frame<'f>], places: impl Iterator<Item = (usize, bool)>, states: &[u16]) {
        self.frames.clear();
        self.places.clear();
        self.starts.clear();
        self.places.extend(places);
        self.frames.extend(self.places.iter().map(|(place, _)| burst[*place]));
        if !states.is_empty() {
            let start = |place: usize| states.get(place).copied().unwrap_or_default();
            self.starts.extend(self.places.iter().map(|(place, _)| start(*place)));
        }
    }
}
