//! The first step of a pass: learn where each frame came from, look up where it goes.

use ports::{BURST, Counters, Flow, Frame, Mac, Offload, Reason};

use crate::Member;
use crate::backlog::THROUGH;
use crate::clock::Tick;
use crate::members::Members;
use crate::port_index::{Destination, FLOOD, NOWHERE};
use crate::recent::{AsOf, Recent};
use crate::table::MacTable;

/// What one burst comes to.
pub(crate) struct Classes {
    /// Where each frame goes.
    to: [Destination; BURST],
    /// Frames classified.
    count: usize,
    /// Whether frames go to more than one destination.
    pub(crate) mixed: bool,
    pub(crate) sums: Sums,
    pub(crate) drops: Drops,
}

impl Classes {
    /// Of no burst.
    pub(crate) fn new() -> Self {
        Self { to: [NOWHERE; BURST], count: 0, mixed: false, sums: Sums::default(), drops: Drops::default() }
    }

    /// The destinations, frame by frame.
    #[inline]
    pub(crate) fn destinations(&self) -> &[Destination] {
        self.to.get(..self.count).unwrap_or_default()
    }
}

/// What the frames of a burst add up to, those that were through earlier not included.
#[derive(Default)]
pub(crate) struct Sums {
    pub(crate) bytes: u64,
    longest: u32,
    /// [`Offload::bits`] of all of them.
    bits: u16,
}

impl Sums {
    #[inline]
    fn add(&mut self, frame: &Frame<'_>) {
        self.bytes += frame.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "a frame's length has 32 bits")]
        let len = frame.len() as u32;
        self.longest = self.longest.max(len);
        self.bits |= frame.offload().bits();
    }

    /// If no frame has offload metadata to honour, the length of the longest.
    pub(crate) fn plain(&self) -> Option<usize> {
        (self.bits & Offload::WORK == 0).then_some(self.longest as usize)
    }
}

/// The frames of a burst that go nowhere, by reason.
#[derive(Default)]
pub(crate) struct Drops {
    runts: u64,
    reflected: u64,
    lonely: u64,
}

impl Drops {
    /// All of them.
    #[inline]
    pub(crate) const fn sum(&self) -> u64 {
        self.runts + self.reflected + self.lonely
    }

    #[cold]
    pub(crate) fn count(&self, counters: &Counters) {
        let drops = [
            (Reason::Runt, self.runts),
            (Reason::Reflect, self.reflected),
            (Reason::NoDestination, self.lonely),
        ];
        for (reason, n) in drops.into_iter().filter(|(_, n)| *n > 0) {
            counters.add_drops(reason, n);
        }
    }
}

/// Classifies bursts of one ingress.
pub(crate) struct Classifier<'p> {
    table: &'p MacTable,
    members: &'p Members,
    ingress: &'p Member,
    tick: Tick,
    recent: &'p mut Recent,
    /// The source heard last, which tends to be that of the next frame too. Not kept from burst to burst, or a station
    /// that moved away and back would not be followed (as VALE's `last_smac`).
    heard: Mac,
    drops: Drops,
}

impl<'p> Classifier<'p> {
    pub(crate) fn new(
        table: &'p MacTable,
        members: &'p Members,
        ingress: &'p Member,
        tick: Tick,
        recent: &'p mut Recent,
    ) -> Self {
        let as_of = AsOf { table: table.version(), members: members.version, stamp: tick.stamp };
        recent.renew(as_of, table.known());
        // No station has address zero: frames from it teach nothing.
        Self { table, members, ingress, tick, recent, heard: Mac::ZERO, drops: Drops::default() }
    }

    /// Classifies a burst, of whose first frames `states` says whether they are through.
    pub(crate) fn burst(mut self, burst: &[Frame<'_>], states: &[u16], classes: &mut Classes) {
        if self.table.is_large() {
            self.prefetch(burst);
        }
        classes.sums = Sums::default();
        classes.count = burst.len();
        if states.is_empty() {
            self.fresh(burst, classes);
        } else {
            classes.mixed = true;
            for (i, (frame, its)) in burst.iter().zip(&mut classes.to).enumerate() {
                *its = NOWHERE;
                if states.get(i) != Some(&THROUGH) {
                    classes.sums.add(frame);
                    *its = self.flow(frame.flow().unwrap_or(Flow::RUNT));
                }
            }
        }
        classes.drops = self.drops;
    }

    /// Classifies a burst of which no frame was received before.
    fn fresh(&mut self, burst: &[Frame<'_>], classes: &mut Classes) {
        let mut sums = Sums::default();
        let mut before = (Flow::NONE, NOWHERE);
        let (mut frames, mut to) = (burst, &mut classes.to[..]);
        while !frames.is_empty() {
            let known = self.known(frames, to, &mut before, &mut sums);
            (frames, to) = (&frames[known..], &mut to[known..]);
            let ([frame, rest @ ..], [its, others @ ..]) = (frames, to) else { break };
            sums.add(frame);
            let flow = frame.flow().unwrap_or(Flow::RUNT);
            *its = self.flow(flow);
            // Frames that go nowhere are counted one by one.
            before = if *its == NOWHERE { (Flow::NONE, NOWHERE) } else { (flow, *its) };
            (frames, to) = (rest, others);
        }
        let first = classes.to[0];
        classes.mixed = classes.destinations().iter().fold(0, |other, to| other | (*to ^ first)) != 0;
        classes.sums = sums;
    }

    /// Classifies the first frames, as far as it is known without the table where they go. Says how many. `before` is the
    /// flow of the frame before and where it went. A function of its own, so that all it works with is in registers.
    #[inline(never)]
    fn known(
        &self,
        burst: &[Frame<'_>],
        to: &mut [Destination],
        before: &mut (Flow, Destination),
        sums: &mut Sums,
    ) -> usize {
        let look_up = self.quick();
        let (mut flow, mut destination) = *before;
        let mut added = std::mem::take(sums);
        let mut known = 0;
        for (frame, its) in burst.iter().zip(to) {
            let Some(next) = frame.flow() else { break };
            if next != flow {
                let Some(found) = look_up(next, flow) else { break };
                (flow, destination) = (next, found);
            }
            added.add(frame);
            *its = destination;
            known += 1;
        }
        (*before, *sums) = ((flow, destination), added);
        known
    }

    /// Asks the processor for what this burst is going to be looked up in: all at once takes no longer than one
    /// after the other.
    #[inline(never)]
    fn prefetch(&self, burst: &[Frame<'_>]) {
        let mut before = Flow::NONE;
        for flow in burst.iter().filter_map(Frame::flow) {
            if flow.dst() != before.dst() {
                self.table.prefetch(flow.dst());
            }
            if flow.src() != before.src() {
                self.table.prefetch(flow.src());
            }
            before = flow;
        }
    }

    /// What says where frames of a flow go, if that is known without the table. The source of the flow before was heard.
    #[inline]
    fn quick(&self) -> impl Fn(Flow, Flow) -> Option<Destination> {
        let here = self.ingress.index();
        let known = self.recent.known().filter(|_| self.has_company());
        move |flow, before| {
            let known = known?;
            let heard = flow.is_from_same(before) || known.is_heard(flow.src(), here);
            known.destination(flow.dst()).filter(|to| heard && *to != here.number())
        }
    }

    /// Where this frame goes, if that is known without the table: to one port or to all.
    #[inline]
    pub(crate) fn alone(&self, frame: &Frame<'_>) -> Option<Destination> {
        self.quick()(frame.flow()?, Flow::NONE)
    }

    /// Whether there is somebody to go to; else that is counted.
    fn has_company(&self) -> bool {
        self.members.count() >= 2
    }

    /// Where a frame of this flow goes.
    #[inline(never)]
    fn flow(&mut self, flow: Flow) -> Destination {
        if flow == Flow::RUNT {
            self.drops.runts += 1;
            return NOWHERE;
        }
        let (dst, src) = (flow.dst(), flow.src());
        if src != self.heard && !self.recent.is_heard(src, self.ingress.index()) {
            self.learn(src);
        }
        let to = self.recent.destination(dst).unwrap_or_else(|| self.look_up(dst));
        if to == self.ingress.index().number() {
            self.drops.reflected += 1;
            return NOWHERE;
        }
        if !self.has_company() {
            self.drops.lonely += 1;
            return NOWHERE;
        }
        to
    }

    #[inline(never)]
    fn learn(&mut self, src: Mac) {
        let ingress = self.ingress.index();
        self.heard = src;
        self.recent.hear(src, ingress);
        if src.is_unicast() && self.table.learn(src, ingress, self.tick) {
            self.recent.seek(src, self.members.reach(ingress.number()));
            if self.ingress.is_gone() {
                self.table.forget(src, ingress); // see `Switch::leave`
            }
        }
    }

    /// Unknown stations, groups and broadcast go to all; so does a station behind a port that is not there.
    #[inline]
    fn look_up(&mut self, dst: Mac) -> Destination {
        let port = if dst.is_unicast() { self.table.port_of(dst, self.tick) } else { None };
        let to = port.map_or(FLOOD, |number| self.members.reach(number));
        self.recent.seek(dst, to);
        to
    }
}
