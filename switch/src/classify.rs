//! The first step of a pass: learn where each frame came from, look up where it goes.

use ports::{BURST, Counters, Flow, Frame, Mac, Reason};

use crate::backlog::THROUGH;
use crate::clock::Tick;
use crate::members::Members;
use crate::table::MacTable;
use crate::{MAX_PORTS, Member, PortIndex};

/// Where a frame goes: a port's number, or one of the two below.
pub(crate) type Destination = u8;
/// To every port but the one it came from.
pub(crate) const FLOOD: Destination = 254;
/// Nowhere: dropped here and counted, or through in an earlier pass.
pub(crate) const NOWHERE: Destination = 255;
const _: () = assert!(MAX_PORTS == FLOOD as usize);

/// What one burst comes to.
pub(crate) struct Classes<'d> {
    /// Where each frame goes.
    pub(crate) to: &'d [Destination],
    /// Whether frames go to more than one destination.
    pub(crate) mixed: bool,
    pub(crate) sums: Sums,
}

/// What the frames of a burst add up to, those that were through earlier not included.
#[derive(Default)]
pub(crate) struct Sums {
    pub(crate) bytes: u64,
    longest: usize,
    /// Some frame has offload metadata to honour.
    offloads: bool,
    runts: u64,
    reflected: u64,
    lonely: u64,
}

impl Sums {
    #[inline]
    fn add(&mut self, frame: &Frame<'_>) {
        self.bytes += frame.len() as u64;
        self.longest = self.longest.max(frame.len());
        self.offloads |= !frame.offload().is_plain();
    }

    /// If no frame has offload metadata to honour, the length of the longest.
    pub(crate) fn plain(&self) -> Option<usize> {
        (!self.offloads).then_some(self.longest)
    }

    /// Frames that go nowhere.
    pub(crate) const fn drops(&self) -> u64 {
        self.runts + self.reflected + self.lonely
    }

    /// Counts the frames that go nowhere.
    #[cold]
    pub(crate) fn count_drops(&self, counters: &Counters) {
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
    /// Nobody else is on the switch.
    alone: bool,
    /// The source just learned: neighbours in a burst tend to be of one flow. Not kept from burst to burst, or a
    /// station that moved away and back would not be followed (as VALE's `last_smac`).
    heard: Mac,
    /// The destination just looked up, and where it is.
    sought: Mac,
    found: Destination,
}

impl<'p> Classifier<'p> {
    pub(crate) fn new(table: &'p MacTable, members: &'p Members, ingress: &'p Member, tick: Tick) -> Self {
        let alone = members.count() < 2;
        // No station has address zero: frames from it teach nothing, frames to it go to all.
        Self { table, members, ingress, tick, alone, heard: Mac::ZERO, sought: Mac::ZERO, found: FLOOD }
    }

    /// Classifies a burst, of whose first frames `states` says whether they are through.
    pub(crate) fn burst<'d>(
        mut self,
        burst: &[Frame<'_>],
        states: &[u16],
        destinations: &'d mut [Destination; BURST],
    ) -> Classes<'d> {
        let mut sums = Sums::default();
        let (mut flow, mut to, mut changes) = (Flow::NONE, None, 0);
        for (i, (frame, its)) in burst.iter().zip(&mut *destinations).enumerate() {
            let through = states.get(i) == Some(&THROUGH);
            if through || frame.flow() != Some(flow) {
                let next = if through { NOWHERE } else { self.frame(frame, &mut sums) };
                flow = if next == NOWHERE { Flow::NONE } else { frame.flow().unwrap_or(Flow::NONE) };
                changes += u32::from(to != Some(next));
                to = Some(next);
            }
            if !through {
                sums.add(frame);
            }
            *its = to.unwrap_or(NOWHERE);
        }
        let mixed = changes > 1 || !states.is_empty();
        Classes { to: &destinations[..burst.len().min(BURST)], mixed, sums }
    }

    /// Where a frame goes that is not of the flow of the one before.
    #[inline]
    fn frame(&mut self, frame: &Frame<'_>, sums: &mut Sums) -> Destination {
        let Some(flow) = frame.flow() else {
            sums.runts += 1;
            return NOWHERE;
        };
        if flow.src() != self.heard {
            self.learn(flow.src());
        }
        if flow.dst() != self.sought {
            self.look_up(flow.dst());
        }
        if self.found == self.ingress.index().number() {
            sums.reflected += 1;
            return NOWHERE;
        }
        if self.alone {
            sums.lonely += 1;
            return NOWHERE;
        }
        self.found
    }

    #[inline]
    fn learn(&mut self, src: Mac) {
        self.heard = src;
        if src.is_unicast() && self.table.learn(src, self.ingress.index(), self.tick) {
            (self.sought, self.found) = (Mac::ZERO, FLOOD);
            if self.ingress.is_gone() {
                self.table.forget(src, self.ingress.index()); // see `Switch::leave`
            }
        }
    }

    /// Unknown stations, groups and broadcast go to all; so does a station behind a port that is not there.
    #[inline]
    fn look_up(&mut self, dst: Mac) {
        self.sought = dst;
        let port = if dst.is_unicast() { self.table.port_of(dst, self.tick) } else { None };
        self.found =
            port.filter(|port| self.members.present().contains(*port)).map_or(FLOOD, PortIndex::number);
    }
}
