//! One burst on its way from its ingress to its destinations.

use std::sync::MutexGuard;

use arrayvec::ArrayVec;
use ports::{BURST, Frame, Reason, Time};

use crate::backlog::{Backlog, THROUGH};
use crate::classify::{Classes, Classifier};
use crate::load::{Delivered, Load};
use crate::members::Members;
use crate::offload::Scratch;
use crate::piles::Piles;
use crate::port_index::{Destination, FLOOD, PortSet};
use crate::recent::Recent;
use crate::{Member, PortIndex, Switch, WhenFull};

/// Ports further on whose slots are asked for while one port's are written to.
const AHEAD: usize = 4;

/// Bytes of copies that one pass makes of flooded frames. More would push out of the caches what was copied first before
/// its receivers come to it, and the slots that they drain before there is anything to copy into them again.
const FLOODED: usize = 4 << 20;

/// Memory that bursts are worked on in, made once.
pub(crate) struct Workspace {
    recent: Recent,
    classes: Box<Classes>,
    piles: Piles,
    scratch: Scratch,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self {
            recent: Recent::new(),
            classes: Box::new(Classes::new()),
            piles: Piles::new(),
            scratch: Scratch::new(),
        }
    }
}

/// What there is to know of a burst under way.
pub(crate) struct Crossing<'p> {
    pub(crate) switch: &'p Switch,
    pub(crate) members: &'p Members,
    pub(crate) ingress: &'p Member,
    /// Of an ingress of which frames wait, or are to wait now.
    pub(crate) backlog: Option<MutexGuard<'p, Backlog>>,
    /// Members that frames were copied to.
    pub(crate) touched: &'p mut PortSet,
    pub(crate) now: Time,
    /// Everything counted for these frames, on any port: frames out, segments out, drops.
    pub(crate) outcomes: u64,
}

/// The burst in its first step's order.
struct Sorted<'b, 'f> {
    burst: &'b [Frame<'f>],
    classes: &'b Classes,
    /// What became earlier of the first of the frames; see [`Backlog`].
    states: &'b [u16],
}

impl<'p> Crossing<'p> {
    /// Moves a frame that came alone, if there is nothing to it: it goes as it is, where is known, and needs not wait for room.
    /// What a burst takes to set up is most of what it takes to move one frame. Says whether it is done; else nothing has
    /// happened.
    pub(crate) fn alone(&mut self, frame: &Frame<'_>, workspace: &mut Workspace) -> bool {
        let Workspace { recent, scratch, .. } = workspace;
        let tick = self.switch.table().ageing().tick(self.now);
        let classifier = Classifier::new(self.switch.table(), self.members, self.ingress, tick, recent);
        let plain = frame.offload().is_none() && self.backlog.is_none();
        let Some(to) = classifier.alone(frame).filter(|_| plain) else { return false };
        let load = Load { frames: std::slice::from_ref(frame), starts: &[], plain: Some(frame.len()) };
        let done = match PortIndex::new(to.into()) {
            Some(to) => self.unicast_alone(&load, to, scratch),
            None => self.flood_alone(&load, scratch),
        };
        if done {
            self.ingress.counters().add_rx(1, frame.len() as u64);
        }
        done
    }

    /// As [`Self::alone`], to one port.
    #[inline]
    fn unicast_alone(&mut self, load: &Load<'_, '_>, to: PortIndex, scratch: &mut Scratch) -> bool {
        let Some(egress) = self.members.at(to) else { return false };
        self.touched.insert(to);
        let delivered = egress.deliver(load, scratch, self.now);
        if delivered.done == 0 {
            if self.ingress.when_full() == WhenFull::Wait && !delivered.stopped {
                return false;
            }
            egress.counters().add_drops(Reason::Full, 1);
        }
        true
    }

    /// As [`Self::alone`], to all other ports.
    fn flood_alone(&mut self, load: &Load<'_, '_>, scratch: &mut Scratch) -> bool {
        for to in self.others() {
            let Some(egress) = self.members.at(to) else { continue };
            self.touched.insert(to);
            let delivered = egress.deliver(load, scratch, self.now);
            self.outcomes += delivered.outcomes;
            if delivered.done == 0 {
                egress.counters().add_drops(Reason::Full, 1);
                self.outcomes += 1;
            }
        }
        self.count_copies(1);
        true
    }

    /// Moves the burst, or the first frames of one that is too much to flood at a time. Says how many frames are counted
    /// now, and how many can be given back to the port.
    pub(crate) fn run(mut self, burst: &[Frame<'_>], workspace: &mut Workspace) -> (usize, usize) {
        let waited = self.backlog.as_mut().map(|backlog| backlog.take(burst.len()));
        let states = waited.as_deref().unwrap_or_default();
        let Workspace { recent, classes, piles, scratch } = workspace;
        let tick = self.switch.table().ageing().tick(self.now);
        let mut classify = |burst: &[Frame<'_>], classes: &mut Classes| {
            Classifier::new(self.switch.table(), self.members, self.ingress, tick, recent)
                .burst(burst, states, classes);
        };
        let mut burst = burst;
        classify(burst, classes);
        if states.is_empty()
            && let Some(first) = self.too_much(burst, classes)
        {
            burst = first;
            classify(burst, classes);
        }
        if classes.drops.sum() > 0 {
            classes.drops.count(self.ingress.counters());
            self.outcomes += classes.drops.sum();
        }
        let sorted = Sorted { burst, classes, states };
        match classes.destinations().first() {
            _ if classes.mixed => self.scatter(&sorted, piles, scratch),
            Some(&FLOOD) => self.flood(&sorted, scratch),
            Some(&to) => self.unicast(&sorted, to, scratch),
            None => {}
        }
        self.finish(&sorted)
    }

    /// If copies of what is flooded come to more than [`FLOODED`]: the first frames, of which they do not; one at least.
    #[inline]
    fn too_much<'b, 'f>(&self, burst: &'b [Frame<'f>], classes: &Classes) -> Option<&'b [Frame<'f>]> {
        if !classes.mixed && classes.destinations().first() != Some(&FLOOD) {
            return None;
        }
        let copies = self.members.count().saturating_sub(1);
        let most = FLOODED.checked_div(copies).filter(|most| classes.sums.bytes > *most as u64)?;
        let mut room = most;
        let fits = |(frame, to): (&Frame<'_>, &Destination)| {
            room = room.checked_sub(if *to == FLOOD { frame.len() } else { 0 })?;
            Some(())
        };
        let fitting = burst.iter().zip(classes.destinations()).map_while(fits).count();
        (fitting < burst.len()).then(|| &burst[..fitting.max(1)])
    }

    /// All frames go to one port, or nowhere.
    fn unicast(&mut self, sorted: &Sorted<'_, '_>, to: Destination, scratch: &mut Scratch) {
        if let Some(to) = PortIndex::new(to.into()) {
            let places = 0..sorted.burst.len();
            self.deliver(sorted, to, &sorted.whole(), places.map(|place| (place, false)), scratch);
        }
    }

    /// All frames go to all ports.
    fn flood(&mut self, sorted: &Sorted<'_, '_>, scratch: &mut Scratch) {
        for to in self.others() {
            let places = 0..sorted.burst.len();
            self.deliver(sorted, to, &sorted.whole(), places.map(|place| (place, true)), scratch);
        }
    }

    /// Frames go to several ports: one after the other gets its own, in order.
    #[inline(never)]
    fn scatter(&mut self, sorted: &Sorted<'_, '_>, piles: &mut Piles, scratch: &mut Scratch) {
        piles.fill(sorted.classes.destinations());
        let floods = piles.floods();
        let ports = if floods { self.others() } else { piles.ports() };
        let (mut frames, mut starts) = (ArrayVec::<_, BURST>::new(), ArrayVec::<_, BURST>::new());
        if !floods {
            frames.extend(piles.unicast().map(|place| sorted.burst[place]));
        }
        let mut ahead = ports;
        for to in ahead.by_ref().take(AHEAD) {
            self.members.prefetch(to, piles.len(to));
        }
        for to in ports {
            if let Some(to) = ahead.next() {
                self.members.prefetch(to, piles.len(to));
            }
            let places = piles.merged(to);
            if !sorted.states.is_empty() {
                starts.clear();
                starts.extend(places.clone().map(|(place, _)| sorted.start(place)));
            }
            if floods {
                frames.clear();
                frames.extend(places.clone().map(|(place, _)| sorted.burst[place]));
            }
            let own = if floods { &frames } else { &frames[piles.range(to)] };
            let load = Load { frames: own, starts: &starts, plain: sorted.classes.sums.plain() };
            self.deliver(sorted, to, &load, places, scratch);
        }
    }

    /// Every member but the ingress.
    fn others(&self) -> PortSet {
        self.members.present().without(self.ingress.index())
    }

    /// Copies a load, the frames at these places (and whether they are flooded), into a port.
    #[inline]
    fn deliver(
        &mut self,
        sorted: &Sorted<'_, '_>,
        to: PortIndex,
        load: &Load<'_, '_>,
        places: impl Iterator<Item = (usize, bool)>,
        scratch: &mut Scratch,
    ) {
        let Some(egress) = self.members.at(to) else { return };
        self.touched.insert(to);
        let delivered = egress.deliver(load, scratch, self.now);
        self.outcomes += delivered.outcomes;
        if delivered.done < load.frames.len() {
            self.no_room(sorted, egress, &delivered, places.skip(delivered.done));
        }
    }

    /// Holds or drops the frames that an egress had no room for.
    #[cold]
    fn no_room(
        &mut self,
        sorted: &Sorted<'_, '_>,
        egress: &Member,
        delivered: &Delivered,
        rest: impl Iterator<Item = (usize, bool)>,
    ) {
        let mut full = 0;
        let mut first = Some(delivered.pieces);
        let waits = self.ingress.when_full() == WhenFull::Wait && !delivered.stopped;
        for (place, flooded) in rest {
            let pieces = first.take().unwrap_or_else(|| sorted.start(place));
            if waits && !flooded {
                let backlog = self.backlog.get_or_insert_with(|| self.ingress.backlog());
                backlog.hold(place, sorted.burst.len(), pieces);
            } else {
                full += 1;
            }
        }
        if full > 0 {
            egress.counters().add_drops(Reason::Full, full);
            self.outcomes += full;
        }
    }

    /// Counts what came in. What waits is not in yet.
    fn finish(mut self, sorted: &Sorted<'_, '_>) -> (usize, usize) {
        let n = sorted.burst.len();
        let (mut received, mut bytes, mut done) = (n, sorted.classes.sums.bytes, n);
        if let Some(backlog) = &mut self.backlog {
            received -= sorted.states.iter().filter(|state| **state == THROUGH).count() + backlog.waiting();
            if backlog.waiting() > 0 {
                let waiting = sorted.burst.iter().enumerate().filter(|(i, _)| backlog.holds(*i));
                bytes -= waiting.map(|(_, frame)| frame.len() as u64).sum::<u64>();
            }
            done = backlog.settle(n);
            self.ingress.set_waiting(done < n);
        }
        self.ingress.counters().add_rx(received as u64, bytes);
        self.count_copies(received as u64);
        (received, done)
    }

    /// Counts what became of so many frames beyond one thing each.
    fn count_copies(&self, received: u64) {
        let copies = self.outcomes.saturating_sub(received);
        if copies > 0 {
            self.ingress.counters().add_copies(copies);
        }
    }
}

impl<'b, 'f> Sorted<'b, 'f> {
    /// All frames, none of which has waited.
    fn whole(&self) -> Load<'b, 'f> {
        Load { frames: self.burst, starts: &[], plain: self.classes.sums.plain() }
    }

    /// How many segments of a frame are through already.
    fn start(&self, place: usize) -> u16 {
        self.states.get(place).copied().unwrap_or_default()
    }
}
