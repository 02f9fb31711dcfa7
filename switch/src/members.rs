//! Who is on a switch: a snapshot that forwarders hold and that is replaced, never changed.

use std::sync::Arc;

use crate::port_index::{Destination, FLOOD, PortSet};
use crate::{MAX_PORTS, Member, PortIndex};

/// The members of a switch as of one version.
#[derive(Clone)]
pub(crate) struct Members {
    slots: Vec<Option<Arc<Member>>>,
    present: PortSet,
    count: usize,
    /// For every number: itself, if a member has it, or [`FLOOD`].
    reach: [Destination; Destination::MAX as usize + 1],
    pub(crate) version: u64,
}

impl Members {
    pub(crate) fn none() -> Self {
        Self {
            slots: vec![None; MAX_PORTS],
            present: PortSet::default(),
            count: 0,
            reach: [FLOOD; _],
            version: 0,
        }
    }

    #[inline]
    pub(crate) fn at(&self, index: PortIndex) -> Option<&Arc<Member>> {
        self.slots[index.slot()].as_ref()
    }

    /// Asks the processor for what a delivery of so many frames to a member will write to.
    #[inline]
    pub(crate) fn prefetch(&self, index: PortIndex, frames: usize) {
        if let Some(member) = self.at(index) {
            member.prefetch(frames);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.slots.iter().flatten()
    }

    pub(crate) const fn present(&self) -> PortSet {
        self.present
    }

    /// Where frames for a member of this number go: there, or to all if there is none.
    #[inline]
    pub(crate) const fn reach(&self, number: u8) -> Destination {
        self.reach[number as usize]
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The lowest index that is free.
    pub(crate) fn vacancy(&self) -> Option<PortIndex> {
        self.slots.iter().position(Option::is_none).and_then(PortIndex::new)
    }

    /// The next version, with one more member.
    pub(crate) fn with(&self, member: Arc<Member>) -> Self {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        let index = member.index();
        next.present.insert(index);
        next.slots[index.slot()] = Some(member);
        next.reach[index.slot()] = index.number();
        next.count = next.iter().count();
        next
    }

    /// The next version, with one member less.
    pub(crate) fn without(&self, index: PortIndex) -> Self {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        next.present.remove(index);
        next.slots[index.slot()] = None;
        next.reach[index.slot()] = FLOOD;
        next.count = next.iter().count();
        next
    }
}
