//! What a worker found in the MAC table lately.
//!
//! Frames of one burst go to few stations, and so do those of the next: most look-ups were made before. Each station
//! has one place here, which it may lose to another. All of it is forgotten when the table tells anything else than it
//! did, somebody joins or leaves, or the table's clock ticks; so a worker learns of what others heard with its next
//! burst. With more stations than there are places to go round it would be in vain more often than not, and is not
//! asked.

use ports::Mac;

use crate::PortIndex;
use crate::port_index::Destination;

/// Stations that are remembered, at most.
const PLACES: usize = 1 << 10;

/// What must not have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    /// [`MacTable::version`](crate::table::MacTable::version).
    pub(crate) table: u64,
    /// Of the members.
    pub(crate) members: u64,
    /// Of the table's clock.
    pub(crate) stamp: u8,
}

/// See the module.
pub(crate) struct Recent {
    known: Known,
    as_of: Option<AsOf>,
    /// There are few enough stations.
    asked: bool,
}

/// What is known now.
pub(crate) struct Known {
    /// Stations and where frames for them go.
    destinations: Stations,
    /// Stations and the port that the table knows them behind.
    sources: Stations,
}

/// By place, a station in the upper 48 bits, and what there is to remember of it.
struct Stations(Box<[u64; PLACES]>);

impl Stations {
    fn new() -> Self {
        let mut stations = Self(Box::new([0; PLACES]));
        stations.clear();
        stations
    }

    /// Forgets all: every place has a station that has its place elsewhere.
    fn clear(&mut self) {
        for (word, place) in self.0.iter_mut().zip(0..) {
            *word = Mac::from_bits(place ^ 1).to_bits() << 16;
        }
    }

    #[inline]
    fn find(&self, station: Mac) -> Option<u8> {
        let word = self.0[place(station)];
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte")]
        (word >> 16 == station.to_bits()).then_some(word as u8)
    }

    #[inline]
    fn note(&mut self, station: Mac, what: u8) {
        self.0[place(station)] = station.to_bits() << 16 | u64::from(what);
    }
}

/// The place of a station: by the last of its bits, since stations tend to be numbered.
#[inline]
fn place(station: Mac) -> usize {
    (station.to_bits() % PLACES as u64) as usize
}

impl Recent {
    pub(crate) fn new() -> Self {
        let known = Known { destinations: Stations::new(), sources: Stations::new() };
        Self { known, as_of: None, asked: false }
    }

    /// Before a burst, with this many stations known: forgets what it knows unless it is as of this.
    #[inline]
    pub(crate) fn renew(&mut self, as_of: AsOf, stations: usize) {
        self.asked = stations <= PLACES / 2;
        if self.asked && self.as_of != Some(as_of) {
            self.forget(as_of);
        }
    }

    #[cold]
    fn forget(&mut self, as_of: AsOf) {
        self.known.destinations.clear();
        self.known.sources.clear();
        self.as_of = Some(as_of);
    }

    /// What is known, if there is any use in asking.
    #[inline]
    pub(crate) fn known(&self) -> Option<&Known> {
        self.asked.then_some(&self.known)
    }

    /// Where frames for a station go.
    #[inline]
    pub(crate) fn destination(&self, station: Mac) -> Option<Destination> {
        self.known()?.destination(station)
    }

    /// Whether the table knows a station behind a port, as heard at the present tick.
    #[inline]
    pub(crate) fn is_heard(&self, station: Mac, behind: PortIndex) -> bool {
        self.known().is_some_and(|known| known.is_heard(station, behind))
    }

    /// Notes where frames for a station go.
    #[inline]
    pub(crate) fn seek(&mut self, station: Mac, to: Destination) {
        if self.asked {
            self.known.destinations.note(station, to);
        }
    }

    /// Notes that a station was heard behind a port, where frames for it go.
    #[inline]
    pub(crate) fn hear(&mut self, station: Mac, behind: PortIndex) {
        if self.asked {
            self.known.sources.note(station, behind.number());
        }
    }
}

impl Known {
    /// Where frames for a station go.
    #[inline]
    pub(crate) fn destination(&self, station: Mac) -> Option<Destination> {
        self.destinations.find(station)
    }

    /// Whether a station is known behind a port.
    #[inline]
    pub(crate) fn is_heard(&self, station: Mac, behind: PortIndex) -> bool {
        self.sources.find(station) == Some(behind.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AS_OF: AsOf = AsOf { table: 1, members: 2, stamp: 3 };

    #[test]
    fn what_is_noted_is_found_until_anything_changes() {
        let (station, same_place) = (Mac::from_bits(0x0200_0000_0007), Mac::from_bits(0x0200_0001_0007));
        let [a, b] = [4, 5].map(|n| PortIndex::new(n).unwrap());
        for change in [AsOf { table: 7, ..AS_OF }, AsOf { members: 7, ..AS_OF }, AsOf { stamp: 7, ..AS_OF }] {
            let mut recent = Recent::new();
            recent.renew(AS_OF, 2);
            recent.seek(station, 4);
            recent.hear(station, a);
            recent.renew(AS_OF, 2);
            assert_eq!((recent.destination(station), recent.destination(same_place)), (Some(4), None));
            assert!(recent.is_heard(station, a) && !recent.is_heard(station, b));
            recent.renew(change, 2);
            assert_eq!(recent.destination(station), None);
            assert!(!recent.is_heard(station, a));
        }
    }

    #[test]
    fn among_many_nobody_is_remembered() {
        let (station, port) = (Mac::from_bits(0x0200_0000_0007), PortIndex::new(4).unwrap());
        let mut recent = Recent::new();
        recent.renew(AS_OF, PLACES);
        recent.seek(station, 4);
        recent.hear(station, port);
        assert!(recent.destination(station).is_none() && !recent.is_heard(station, port));
        recent.renew(AS_OF, 2);
        assert!(recent.destination(station).is_none() && !recent.is_heard(station, port));
    }

    #[test]
    fn nobody_is_known_at_first() {
        let mut recent = Recent::new();
        recent.renew(AS_OF, 0);
        for n in (0..1 << 12).chain([Mac::BROADCAST.to_bits()]) {
            let station = Mac::from_bits(n);
            assert_eq!(recent.destination(station), None, "{station}");
            assert!((0..254).all(|port| !recent.is_heard(station, PortIndex::new(port).unwrap())));
        }
    }
}
