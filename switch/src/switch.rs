//! A switch: its name, its members, its MAC table. Shared by all workers; frames move through a
//! [`Forwarder`](crate::Forwarder).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ports::{Mac, Time};

use crate::members::Members;
use crate::table::MacTable;
use crate::{Error, Joining, Member, PortIndex};

/// What can be chosen of a switch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a station is remembered after it was last heard: 1 s to 1,000,000 s (IEEE 802.1D-2004, 7.9.2, has
    /// 10 s to 1,000,000 s); what lies outside is taken as the nearest.
    pub ageing: Duration,
    /// Stations that the MAC table has room for, 1 to 2^26. It takes 16 to 32 bytes of memory for each.
    pub stations: usize,
}

impl Default for Options {
    /// 300 s (IEEE 802.1D's recommendation) and 65,536 stations.
    fn default() -> Self {
        Self { ageing: Duration::from_secs(300), stations: 1 << 16 }
    }
}

/// A line of the MAC table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its address.
    pub mac: Mac,
    /// The port it was last heard behind.
    pub port: PortIndex,
    /// Time since then, give or take a 32nd of the ageing time.
    pub age: Duration,
}

/// A learning bridge of up to [`MAX_PORTS`](crate::MAX_PORTS) ports.
pub struct Switch {
    name: String,
    table: MacTable,
    members: Mutex<Arc<Members>>,
    /// Of the newest members; changes after them.
    version: AtomicU64,
}

impl Switch {
    /// A switch without members.
    #[must_use]
    pub fn new(name: &str, options: Options) -> Self {
        Self {
            name: name.to_owned(),
            table: MacTable::new(options.stations, options.ageing),
            members: Mutex::new(Arc::new(Members::none())),
            version: AtomicU64::new(0),
        }
    }

    /// The name of the switch, such as `vale0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a port a member: from its forwarders' next pass on, frames reach it.
    ///
    /// # Errors
    /// If a member of that name is there, or [`MAX_PORTS`](crate::MAX_PORTS) are. The port is dropped.
    pub fn join(&self, joining: Joining) -> Result<PortIndex, Error> {
        let mut members = self.lock();
        if members.iter().any(|m| m.name() == joining.name) {
            return Err(Error::Taken { switch: self.name.clone(), port: joining.name });
        }
        let index = members.vacancy().ok_or_else(|| Error::Full { switch: self.name.clone() })?;
        let next = members.with(Arc::new(Member::new(index, joining)));
        self.adopt(&mut members, next);
        Ok(index)
    }

    /// Ends a membership. When this returns, nothing is transmitted to the port any more, its [`Tx`](ports::Tx)
    /// is dropped, and no station is known behind it. Frames on their way to it are counted as
    /// [`PortGone`](ports::Reason::PortGone). The caller stops forwarding from the port first.
    pub fn leave(&self, index: PortIndex) -> Option<Arc<Member>> {
        let mut members = self.lock();
        let member = members.at(index)?.clone();
        let next = members.without(index);
        self.adopt(&mut members, next);
        // A worker that still has the old members may hear a station behind this port later than the purge below.
        // It writes its entry and then looks at `gone`; `close` sets `gone`, and then the purge reads the entries.
        // In one total order, one of the two sees the other; and the index is not free for another port before
        // the lock is.
        let tx = member.close();
        self.table.purge(index);
        drop(members);
        drop(tx); // after the lock: closing a port takes its time
        Some(member)
    }

    /// The members, by index.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.lock().iter().cloned().collect()
    }

    /// The stations that are known.
    #[must_use]
    pub fn stations(&self, now: Time) -> Vec<Station> {
        self.table.stations(now)
    }

    /// How long a station is remembered.
    #[must_use]
    pub fn ageing(&self) -> Duration {
        Duration::from_nanos(self.table.ageing().ns())
    }

    /// Changes how long stations are remembered, those included that are known already; for the range see
    /// [`Options::ageing`].
    pub fn set_ageing(&self, ageing: Duration, now: Time) {
        self.table.set_ageing(ageing, now);
    }

    /// Frees the room of stations not heard for the ageing time, a part of the table at a time. Every pass of a
    /// forwarder does so too; this is for a switch without traffic. They are not used from the moment they are
    /// stale, whenever this is called.
    pub fn age(&self, now: Time) {
        self.table.age(now);
    }

    pub(crate) const fn table(&self) -> &MacTable {
        &self.table
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn snapshot(&self) -> Arc<Members> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Members>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adopt(&self, members: &mut Arc<Members>, next: Members) {
        let version = next.version;
        *members = Arc::new(next);
        self.version.store(version, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use ports::Frame;

    use super::*;
    use crate::WhenFull;
    use crate::classify::{Classes, Classifier};
    use crate::recent::Recent;

    /// A worker that still has the old members hears a station behind a port that left, after the purge.
    #[test]
    fn a_late_worker_leaves_no_station_behind_a_port_that_left() {
        let switch = Switch::new("vale0", Options::default());
        let join = |name: &str| {
            let (tx, counters) = (ports::null::open().tx, Arc::default());
            switch.join(Joining { name: name.to_owned(), tx, counters, when_full: WhenFull::Drop }).unwrap()
        };
        let (leaving, staying) = (join("leaving"), join("staying"));
        let hear = |at: PortIndex, members: &Members, station: u8| {
            let mut frame = [0xff; 60];
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, station]);
            let tick = switch.table().ageing().tick(Time::ZERO);
            let ingress = members.at(at).unwrap();
            Classifier::new(switch.table(), members, ingress, tick, &mut Recent::new()).burst(
                &[Frame::new(&frame)],
                &[],
                &mut Classes::new(),
            );
        };
        let old = switch.snapshot();
        hear(leaving, &old, 1);
        assert_eq!(switch.stations(Time::ZERO).len(), 1);
        switch.leave(leaving);
        hear(leaving, &old, 1);
        hear(leaving, &old, 2);
        hear(staying, &old, 3);
        let known: Vec<_> = switch.stations(Time::ZERO).iter().map(|s| (s.mac, s.port)).collect();
        assert_eq!(known, [(Mac::new([2, 0, 0, 0, 0, 3]), staying)]);
    }
}
