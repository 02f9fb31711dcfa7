//! The MAC table: behind which port each station was heard last.
//!
//! Open addressing without a lock. An entry is one 64-bit word (station 48, port 8, age stamp 8 bits), so that
//! none is ever torn, and hearing a known station where it was costs one load and compare. A station lives in a
//! window of two neighbouring cache lines, 16 entries, chosen by a hash with a secret of the table's own, so that
//! nobody can aim stations at one window.
//!
//! Eviction rule: while its window has a vacant or stale entry, a new station takes that; in a full window it takes
//! the place of the station that was not heard for the longest time.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ports::{Mac, Time};

use crate::clock::{Ageing, Tick};
use crate::{PortIndex, Station};

/// Entries of a cache line.
const LINE: usize = 8;
/// The table is swept once in this part of an ageing time: often enough that no stamp wraps unseen (see `sweep`).
const SWEEPS: u64 = 2;
/// Steps of a sweep, so that no one pass pays for all of it.
const STEPS: u64 = 64;
/// Times that a lost race is run again; the station's next frame tries anew.
const ATTEMPTS: usize = 4;

/// One entry; zero is vacant, since no station has the address zero.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const VACANT: Self = Self(0);

    const fn new(mac: Mac, port: PortIndex, stamp: u8) -> Self {
        Self(mac.to_bits() << 16 | (port.number() as u64) << 8 | stamp as u64)
    }

    const fn is_of(self, mac: Mac) -> bool {
        self.0 >> 16 == mac.to_bits()
    }

    const fn mac(self) -> Mac {
        Mac::from_bits(self.0 >> 16)
    }

    const fn port(self) -> Option<PortIndex> {
        PortIndex::new((self.0 >> 8 & 0xff) as usize)
    }

    const fn stamp(self) -> u8 {
        (self.0 & 0xff) as u8
    }
}

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; LINE]);

/// See the module.
pub(crate) struct MacTable {
    lines: Box<[Line]>,
    mask: usize,
    secret: [u64; 2],
    ageing_ns: AtomicU64,
    /// When the next step of the sweep is due, ns.
    sweep_due: AtomicU64,
    sweep: Mutex<Sweep>,
}

/// How far the sweep is.
struct Sweep {
    line: usize,
    at: Time,
}

impl MacTable {
    /// A table for `stations` stations. It has at least twice as many entries: windows fill unevenly, and at
    /// half load one in 270 overflows.
    pub(crate) fn new(stations: usize, ageing: Duration) -> Self {
        let random = RandomState::new();
        let lines = stations.clamp(1, 1 << 26).next_power_of_two().div_ceil(LINE / 2).max(2);
        Self {
            lines: (0..lines).map(|_| Line::default()).collect(),
            mask: lines - 1,
            secret: [random.hash_one(1), random.hash_one(2) | 1],
            ageing_ns: AtomicU64::new(Ageing::new(ageing).ns()),
            sweep_due: AtomicU64::new(0),
            sweep: Mutex::new(Sweep { line: 0, at: Time::ZERO }),
        }
    }

    pub(crate) fn ageing(&self) -> Ageing {
        Ageing::from_ns(self.ageing_ns.load(Ordering::Relaxed))
    }

    /// The port behind which a station was heard within the ageing time.
    #[inline]
    pub(crate) fn port_of(&self, mac: Mac, tick: Tick) -> Option<PortIndex> {
        let (_, entry) = self.find(mac)?;
        if tick.is_fresh(entry.stamp()) { entry.port() } else { None }
    }

    /// Hears a unicast station behind a port. Says whether the table told otherwise before.
    #[inline]
    pub(crate) fn learn(&self, mac: Mac, port: PortIndex, tick: Tick) -> bool {
        if let Some((_, entry)) = self.find(mac)
            && entry.port() == Some(port)
            && tick.age(entry.stamp()) == 0
        {
            return false;
        }
        self.record(mac, port, tick)
    }

    /// Forgets a station if it is still behind that port.
    pub(crate) fn forget(&self, mac: Mac, port: PortIndex) {
        if let Some((slot, entry)) = self.find(mac)
            && entry.port() == Some(port)
        {
            let _ = replace(slot, entry, Entry::VACANT); // fails only if somebody heard it elsewhere
        }
    }

    /// Forgets every station behind a port.
    pub(crate) fn purge(&self, port: PortIndex) {
        self.update(&self.lines, |entry| if entry.port() == Some(port) { Entry::VACANT } else { entry });
    }

    /// Every station heard within the ageing time.
    pub(crate) fn stations(&self, now: Time) -> Vec<Station> {
        let ageing = self.ageing();
        let tick = ageing.tick(now);
        let entries =
            self.lines.iter().flat_map(|line| &line.0).map(|slot| Entry(slot.load(Ordering::Relaxed)));
        entries
            .filter(|entry| *entry != Entry::VACANT && tick.is_fresh(entry.stamp()))
            .filter_map(|entry| {
                let age = ageing.time(tick.age(entry.stamp()));
                Some(Station { mac: entry.mac(), port: entry.port()?, age })
            })
            .collect()
    }

    /// Takes the next step of the sweep if it is due.
    #[inline]
    pub(crate) fn age(&self, now: Time) {
        if now.0 >= self.sweep_due.load(Ordering::Relaxed) {
            self.step(now);
        }
    }

    /// Changes the ageing time; stations keep their ages.
    pub(crate) fn set_ageing(&self, time: Duration, now: Time) {
        self.age(now); // as long as the old ticks can be told apart
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, new) = (self.ageing(), Ageing::new(time));
        self.ageing_ns.store(new.ns(), Ordering::Relaxed);
        let (old_tick, new_tick) = (old.tick(now), new.tick(now));
        self.update(&self.lines, |entry| {
            let ticks = new.ticks(old.time(old_tick.age(entry.stamp())));
            match entry.port() {
                Some(port) if !new_tick.is_stale(ticks) => {
                    Entry::new(entry.mac(), port, new_tick.stamp.wrapping_sub(ticks))
                }
                _ => Entry::VACANT,
            }
        });
        *sweep = Sweep { line: 0, at: now };
        self.sweep_due.store(now.0 + new.ns() / SWEEPS / STEPS, Ordering::Relaxed);
    }

    /// The two lines of a station's window, the one to try first first.
    #[inline]
    fn window(&self, mac: Mac) -> [&Line; 2] {
        let product = u128::from(mac.to_bits() ^ self.secret[0]) * u128::from(self.secret[1]);
        #[expect(clippy::cast_possible_truncation, reason = "a hash")]
        let home = ((product >> 64) as usize ^ product as usize) & self.mask;
        [&self.lines[home], &self.lines[home ^ 1]]
    }

    #[inline]
    fn find(&self, mac: Mac) -> Option<(&AtomicU64, Entry)> {
        self.window(mac).into_iter().flat_map(|line| &line.0).find_map(|slot| {
            let entry = Entry(slot.load(Ordering::Relaxed));
            entry.is_of(mac).then_some((slot, entry))
        })
    }

    /// Writes a station that is new, moved or older than now.
    #[cold]
    fn record(&self, mac: Mac, port: PortIndex, tick: Tick) -> bool {
        let wanted = Entry::new(mac, port, tick.stamp);
        for _ in 0..ATTEMPTS {
            if let Some((slot, entry)) = self.find(mac) {
                if replace(slot, entry, wanted) {
                    return entry.port() != Some(port) || !tick.is_fresh(entry.stamp());
                }
            } else {
                let (slot, entry) = self.victim(mac, tick);
                if replace(slot, entry, wanted) {
                    self.drop_doubles(mac);
                    return true;
                }
            }
        }
        false
    }

    /// The entry that a new station takes: see the eviction rule.
    fn victim(&self, mac: Mac, tick: Tick) -> (&AtomicU64, Entry) {
        let [home, next] = self.window(mac);
        let mut victim = (&home.0[0], Entry(home.0[0].load(Ordering::Relaxed)));
        for slot in home.0.iter().chain(&next.0) {
            let entry = Entry(slot.load(Ordering::Relaxed));
            if entry == Entry::VACANT || !tick.is_fresh(entry.stamp()) {
                return (slot, entry);
            }
            if tick.age(entry.stamp()) > tick.age(victim.1.stamp()) {
                victim = (slot, entry);
            }
        }
        victim
    }

    /// Two workers that hear a new station at once may pick different vacant entries. Each looks after it wrote,
    /// so at least one sees both, and all keep the first.
    fn drop_doubles(&self, mac: Mac) {
        let slots = self.window(mac).into_iter().flat_map(|line| &line.0);
        let of_mac = slots.filter_map(|slot| {
            let entry = Entry(slot.load(Ordering::SeqCst));
            entry.is_of(mac).then_some((slot, entry))
        });
        for (slot, entry) in of_mac.skip(1) {
            let _ = replace(slot, entry, Entry::VACANT);
        }
    }

    /// One step of the sweep, or more if steps were missed.
    ///
    /// An entry is passed by at most half an ageing time before it goes stale, and the next step may be late: as
    /// long as it is not later than an ageing time, no stamp is older than 2.5 times 64 ticks and thus none
    /// wrapped. If it is later, all that was heard before is stale.
    #[cold]
    fn step(&self, now: Time) {
        let Ok(mut sweep) = self.sweep.try_lock() else { return };
        let ageing = self.ageing();
        let tick = ageing.tick(now);
        let late_ns = now.0.saturating_sub(sweep.at.0);
        let cycle_ns = ageing.ns() / SWEEPS;
        if late_ns > ageing.ns() + ageing.ns() / 16 {
            self.update(&self.lines, |_| Entry::VACANT);
        } else {
            let share = u128::from(late_ns.min(cycle_ns)) * self.lines.len() as u128;
            let count = usize::try_from(share.div_ceil(u128::from(cycle_ns))).unwrap_or(self.lines.len());
            let end = sweep.line + count;
            let fresh = |entry: Entry| if tick.is_fresh(entry.stamp()) { entry } else { Entry::VACANT };
            self.update(&self.lines[sweep.line..end.min(self.lines.len())], fresh);
            self.update(&self.lines[..end.saturating_sub(self.lines.len())], fresh);
            sweep.line = end % self.lines.len();
        }
        sweep.at = now;
        self.sweep_due.store(now.0 + cycle_ns / STEPS, Ordering::Relaxed);
    }

    /// Rewrites every entry of these lines that `new` changes.
    fn update(&self, lines: &[Line], new: impl Fn(Entry) -> Entry) {
        for slot in lines.iter().flat_map(|line| &line.0) {
            let mut entry = Entry(slot.load(Ordering::SeqCst));
            while entry != Entry::VACANT && new(entry) != entry && !replace(slot, entry, new(entry)) {
                entry = Entry(slot.load(Ordering::SeqCst));
            }
        }
    }
}

/// Sequentially consistent, for the two races that depend on it: `drop_doubles`, and a port's own `leave`.
fn replace(slot: &AtomicU64, old: Entry, new: Entry) -> bool {
    slot.compare_exchange(old.0, new.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const AGEING: Duration = Duration::from_secs(300);

    #[derive(Clone, Debug)]
    enum Event {
        Hear { station: u64, port: usize },
        Sleep { ms: u64 },
        Age,
        Purge { port: usize },
        Forget { station: u64, port: usize },
    }

    fn event() -> impl Strategy<Value = Event> {
        let (station, port) = (1u64..60, 0usize..4);
        prop_oneof![
            20 => (station.clone(), port.clone()).prop_map(|(station, port)| Event::Hear { station, port }),
            5 => (0u64..20_000).prop_map(|ms| Event::Sleep { ms }),
            1 => (0u64..4_000_000).prop_map(|ms| Event::Sleep { ms }),
            3 => Just(Event::Age),
            1 => port.clone().prop_map(|port| Event::Purge { port }),
            1 => (station, port).prop_map(|(station, port)| Event::Forget { station, port }),
        ]
    }

    fn mac(n: u64) -> Mac {
        Mac::from_bits(0x0200_0000_0000 | n)
    }

    fn port(n: usize) -> PortIndex {
        PortIndex::new(n).unwrap()
    }

    /// What was heard last, in plain words.
    #[derive(Default)]
    struct Model(HashMap<u64, (PortIndex, Time)>);

    impl Model {
        /// Where a station must be said to be, as far as it is certain: it may be remembered a sixteenth longer.
        fn expected(&self, station: u64, now: Time) -> Option<Option<PortIndex>> {
            match self.0.get(&station) {
                Some((port, heard)) if now.since(*heard) <= AGEING => Some(Some(*port)),
                Some((_, heard)) if now.since(*heard) <= AGEING + AGEING / 16 => None,
                _ => Some(None),
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(events in proptest::collection::vec(event(), 1..300)) {
            let table = MacTable::new(1 << 10, AGEING); // so large that no window fills up with 60 stations
            let (mut model, mut now) = (Model::default(), Time::from_secs(7));
            for event in events {
                match event {
                    Event::Hear { station, port: n } => {
                        table.age(now);
                        let tick = table.ageing().tick(now);
                        let before = table.port_of(mac(station), tick);
                        let changed = table.learn(mac(station), port(n), tick);
                        prop_assert_eq!(changed, before != Some(port(n)));
                        model.0.insert(station, (port(n), now));
                    }
                    Event::Sleep { ms } => now = now + Duration::from_millis(ms),
                    Event::Age => table.age(now),
                    Event::Purge { port: n } => {
                        table.purge(port(n));
                        model.0.retain(|_, (p, _)| *p != port(n));
                    }
                    Event::Forget { station, port: n } => {
                        table.forget(mac(station), port(n));
                        if model.0.get(&station).is_some_and(|(p, _)| *p == port(n)) {
                            model.0.remove(&station);
                        }
                    }
                }
                table.age(now);
                let tick = table.ageing().tick(now);
                let listed: HashMap<_, _> = table.stations(now).iter().map(|s| (s.mac, s.port)).collect();
                for station in 1..60 {
                    let found = table.port_of(mac(station), tick);
                    prop_assert_eq!(found, listed.get(&mac(station)).copied());
                    if let Some(expected) = model.expected(station, now) {
                        prop_assert_eq!(found, expected, "station {} at {:?}", station, now);
                    }
                }
            }
        }

        /// Evicts only when a window is full, and then who was not heard for the longest time.
        #[test]
        fn evicts_the_longest_unheard(order in proptest::collection::vec(1u64..40, 1..400)) {
            let table = MacTable::new(1, AGEING); // one window
            prop_assert_eq!(table.lines.len() * LINE, 16);
            let mut recent = Vec::<(u64, Time)>::new();
            let mut now = Time::from_secs(7);
            for station in order {
                now = now + table.ageing().time(1); // so that no two stations are of one age
                let tick = table.ageing().tick(now);
                table.learn(mac(station), port(0), tick);
                recent.retain(|(s, heard)| *s != station && now.since(*heard) <= AGEING);
                recent.insert(0, (station, now));
                recent.truncate(16);
                for (station, _) in &recent {
                    prop_assert_eq!(table.port_of(mac(*station), tick), Some(port(0)), "{}", station);
                }
            }
        }

        #[test]
        fn ages_survive_a_new_ageing_time(age in 0u64..290, new in 1u64..100_000) {
            let table = MacTable::new(16, AGEING);
            let heard = Time::from_secs(1_000_000);
            table.age(heard);
            table.learn(mac(1), port(0), table.ageing().tick(heard));
            let now = heard + Duration::from_secs(age);
            table.age(now);
            let new = Duration::from_secs(new);
            table.set_ageing(new, now);
            prop_assert_eq!(Duration::from_nanos(table.ageing().ns()), new);
            // A tick of the old or the new time either way.
            let slack = (AGEING + new) / 32;
            let age = Duration::from_secs(age);
            match table.stations(now)[..] {
                [station] => {
                    prop_assert!(age <= new + slack);
                    prop_assert!(station.age.abs_diff(age) <= slack, "{:?} {:?}", station.age, age);
                }
                _ => prop_assert!(age + slack > new),
            }
        }
    }

    #[test]
    fn a_table_takes_twice_its_stations() {
        for stations in [1, 8, 9, 1000, 1 << 16] {
            assert!(MacTable::new(stations, AGEING).lines.len() * LINE >= 2 * stations, "{stations}");
        }
        let table = MacTable::new(1 << 12, AGEING);
        let tick = table.ageing().tick(Time::ZERO);
        for n in 0..1 << 12 {
            table.learn(mac(n + 1), port(0), tick);
        }
        let known = table.stations(Time::ZERO).len();
        assert!(known > (1 << 12) - 64, "{known} of {} found room", 1 << 12);
    }

    /// As two workers leave them that hear a new station at once while room comes free in its window.
    #[test]
    fn of_doubles_the_first_stays() {
        let table = MacTable::new(1, AGEING);
        let slots: Vec<_> = table.window(mac(1)).into_iter().flat_map(|line| &line.0).collect();
        for (slot, behind) in [(3, 1), (9, 2), (15, 3)] {
            slots[slot].store(Entry::new(mac(1), port(behind), 0).0, Ordering::Relaxed);
        }
        table.drop_doubles(mac(1));
        let known: Vec<_> = table.stations(Time::ZERO).iter().map(|s| s.port).collect();
        assert_eq!(known, [port(1)]);
    }

    #[test]
    fn a_long_silence_makes_nobody_young_again() {
        let heard = Time::from_secs(1_000_000);
        for seconds in (320..10_000).step_by(7) {
            let table = MacTable::new(1, AGEING);
            table.age(heard);
            table.learn(mac(1), port(0), table.ageing().tick(heard));
            let now = heard + Duration::from_secs(seconds);
            table.age(now);
            assert_eq!(table.stations(now), [], "after {seconds} s");
        }
    }
}
