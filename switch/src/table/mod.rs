//! The MAC table: behind which port each station was heard last.
//!
//! Open addressing without a lock. An entry is one 64-bit word (station 48, port 8, age stamp 8 bits), so that
//! none is ever torn, and hearing a known station where it was costs one load and compare. A station lives in a
//! window of two neighbouring cache lines, 16 entries, chosen by a hash with a secret of the table's own, so that
//! nobody can aim stations at one window.
//!
//! Eviction rule: while its window has a vacant or stale entry, a new station takes that; in a full window it takes
//! the place of the station that was not heard for the longest time.

mod entry;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ports::{Mac, Time};

use entry::Entry;

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
/// Stations, at a line each, that fill half a megabyte: the second-level cache, or so.
const LARGE: usize = 1 << 13;

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; LINE]);

/// See the module.
pub(crate) struct MacTable {
    /// A power of two of them.
    lines: Box<[Line]>,
    /// Entries that are not vacant.
    known: AtomicUsize,
    /// See [`Self::version`].
    version: AtomicU64,
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
            known: AtomicUsize::new(0),
            version: AtomicU64::new(0),
            secret: [random.hash_one(1), random.hash_one(2) | 1],
            ageing_ns: AtomicU64::new(Ageing::new(ageing).ns()),
            sweep_due: AtomicU64::new(0),
            sweep: Mutex::new(Sweep { line: 0, at: Time::ZERO }),
        }
    }

    pub(crate) fn ageing(&self) -> Ageing {
        Ageing::from_ns(self.ageing_ns.load(Ordering::Relaxed))
    }

    /// The number of the port behind which a station was heard within the ageing time.
    #[inline]
    pub(crate) fn port_of(&self, mac: Mac, tick: Tick) -> Option<u8> {
        let (_, entry) = self.find(mac)?;
        tick.is_fresh(entry.stamp()).then_some(entry.number())
    }

    /// Changes after the table begins to tell something else of any station than before, its age aside.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Stations that are known, those included that are stale and not swept away yet.
    pub(crate) fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether stations are known in so many lines of memory that looking one up may take a while.
    pub(crate) fn is_large(&self) -> bool {
        self.known() > LARGE
    }

    /// Asks the processor for the line that a station is looked up in.
    #[inline]
    pub(crate) fn prefetch(&self, mac: Mac) {
        ports::prefetch(&raw const self.lines[self.home(mac).0]);
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
            let _ = self.replace(slot, entry, Entry::VACANT); // fails only if somebody heard it elsewhere
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

    /// The number of the first line of a station's window, and which of its entries is to be tried first: with one
    /// for each station, most are found in the first that is tried.
    #[inline]
    fn home(&self, mac: Mac) -> (usize, usize) {
        let hash = fold(fold(mac.to_bits() ^ self.secret[0], self.secret[1]), GOLDEN);
        #[expect(clippy::cast_possible_truncation, reason = "a hash")]
        (hash as usize & (self.lines.len() - 1), (hash >> (u64::BITS - LINE.ilog2())) as usize)
    }

    /// The entries of a station's window, in the order in which they are tried.
    fn window(&self, mac: Mac) -> impl Iterator<Item = &AtomicU64> {
        let (home, first) = self.home(mac);
        [home, home ^ 1].into_iter().flat_map(move |line| {
            let line = &self.lines[line].0;
            (first..first + LINE).map(move |slot| &line[slot % LINE])
        })
    }

    #[inline]
    fn find(&self, mac: Mac) -> Option<(&AtomicU64, Entry)> {
        let (home, first) = self.home(mac);
        let slot = &self.lines[home].0[first % LINE];
        let entry = Entry(slot.load(Ordering::Relaxed));
        if entry.is_of(mac) { Some((slot, entry)) } else { self.find_further(mac) }
    }

    /// As [`Self::find`], for a station that is not in the entry tried first.
    #[inline(never)]
    fn find_further(&self, mac: Mac) -> Option<(&AtomicU64, Entry)> {
        self.window(mac).find_map(|slot| {
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
                if self.replace(slot, entry, wanted) {
                    return entry.port() != Some(port) || !tick.is_fresh(entry.stamp());
                }
            } else if let Some((slot, entry)) = self.victim(mac, tick)
                && self.replace(slot, entry, wanted)
            {
                self.drop_doubles(mac);
                return true;
            }
        }
        false
    }

    /// The entry that a new station takes: see the eviction rule.
    fn victim(&self, mac: Mac, tick: Tick) -> Option<(&AtomicU64, Entry)> {
        let mut victim = None;
        let mut oldest = 0;
        for slot in self.window(mac) {
            let entry = Entry(slot.load(Ordering::Relaxed));
            if entry == Entry::VACANT || !tick.is_fresh(entry.stamp()) {
                return Some((slot, entry));
            }
            if victim.is_none() || tick.age(entry.stamp()) > oldest {
                (victim, oldest) = (Some((slot, entry)), tick.age(entry.stamp()));
            }
        }
        victim
    }

    /// Two workers that hear a new station at once may pick different vacant entries. Each looks after it wrote,
    /// so at least one sees both, and all keep the first.
    fn drop_doubles(&self, mac: Mac) {
        let of_mac = self.window(mac).filter_map(|slot| {
            let entry = Entry(slot.load(Ordering::SeqCst));
            entry.is_of(mac).then_some((slot, entry))
        });
        for (slot, entry) in of_mac.skip(1) {
            let _ = self.replace(slot, entry, Entry::VACANT);
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

    /// Sequentially consistent, for the two races that depend on it: `drop_doubles`, and a port's own `leave`.
    fn replace(&self, slot: &AtomicU64, old: Entry, new: Entry) -> bool {
        let replaced = slot.compare_exchange(old.0, new.0, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if replaced && (old.mac(), old.port()) != (new.mac(), new.port()) {
            self.version.fetch_add(1, Ordering::Release);
        }
        if replaced && (old == Entry::VACANT) != (new == Entry::VACANT) {
            let change = if old == Entry::VACANT { 1 } else { usize::MAX };
            self.known.fetch_add(change, Ordering::Relaxed); // wraps: MAX is one less
        }
        replaced
    }

    /// Rewrites every entry of these lines that `new` changes.
    fn update(&self, lines: &[Line], new: impl Fn(Entry) -> Entry) {
        for slot in lines.iter().flat_map(|line| &line.0) {
            let mut entry = Entry(slot.load(Ordering::SeqCst));
            while entry != Entry::VACANT && new(entry) != entry && !self.replace(slot, entry, new(entry)) {
                entry = Entry(slot.load(Ordering::SeqCst));
            }
        }
    }
}

/// 2^64 over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A multiplication with its upper half folded into its lower. Once is not enough: stations tend to be numbered one
/// after the other, and for one secret in some hundreds such stations pile up in a few windows.
#[expect(clippy::cast_possible_truncation, reason = "a hash")]
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}
