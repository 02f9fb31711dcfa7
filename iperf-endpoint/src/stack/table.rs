//! Every connection of a stack, by its name and by its tuple.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

use super::segment::Tuple;
use super::slot::{Buffers, Slot};
use crate::transport::Connection;

/// A connection's name is its place and how often the place was taken before.
const INDEX_BITS: u32 = 12;
/// Most connections at once.
pub(super) const MOST: usize = 1 << INDEX_BITS;
/// Bytes of buffers kept for connections to come.
const POOL: usize = 512 << 20;

/// The connections.
pub(super) struct Table {
    places: Vec<Place>,
    /// Longest free first, so that a name comes back as late as possible.
    free: VecDeque<usize>,
    by_tuple: HashMap<u64, usize, Seed>,
    pool: Vec<Buffers>,
    pooled: usize,
}

#[derive(Default)]
struct Place {
    slot: Option<Slot>,
    taken: u32,
}

impl Table {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            places: Vec::new(),
            free: VecDeque::new(),
            by_tuple: HashMap::with_hasher(Seed(seed)),
            pool: Vec::new(),
            pooled: 0,
        }
    }

    /// Connections there are.
    pub(super) fn len(&self) -> usize {
        self.by_tuple.len()
    }

    /// Indices that may have a connection.
    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.places.len()
    }

    pub(super) fn at(&self, index: usize) -> Option<&Slot> {
        self.places.get(index)?.slot.as_ref()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.places.get_mut(index)?.slot.as_mut()
    }

    /// The index of a connection by its tuple.
    pub(super) fn find(&self, tuple: Tuple) -> Option<usize> {
        self.by_tuple.get(&tuple.key()).copied()
    }

    /// The index of a connection by its name.
    pub(super) fn index(&self, c: Connection) -> Option<usize> {
        let index = (c.0 as usize) & (MOST - 1);
        let place = self.places.get(index)?;
        (place.slot.is_some() && place.taken & (u32::MAX >> INDEX_BITS) == c.0 >> INDEX_BITS).then_some(index)
    }

    /// The name of the connection at an index.
    pub(super) fn name(&self, index: usize) -> Connection {
        let taken = self.places.get(index).map_or(0, |p| p.taken);
        Connection(taken << INDEX_BITS | u32::try_from(index).unwrap_or(0))
    }

    /// Buffers for a new connection.
    pub(super) fn buffers(&mut self, window: usize) -> Buffers {
        match self.pool.iter().rposition(|b| b.suit(window)) {
            Some(at) => {
                let buffers = self.pool.swap_remove(at);
                self.pooled -= 2 * buffers.capacity();
                buffers
            }
            None => Buffers::new(window),
        }
    }

    /// Takes a connection in; `None`, and it is gone, if there are too many.
    pub(super) fn insert(&mut self, slot: Slot) -> Option<usize> {
        let index = match self.free.pop_front() {
            Some(index) => index,
            None if self.places.len() < MOST => {
                self.places.push(Place::default());
                self.places.len() - 1
            }
            None => return None,
        };
        let place = self.places.get_mut(index)?;
        place.taken = place.taken.wrapping_add(1);
        self.by_tuple.insert(slot.tuple.key(), index);
        place.slot = Some(slot);
        Some(index)
    }

    /// Lets a connection go; its buffers are kept for the next.
    pub(super) fn remove(&mut self, index: usize) {
        let Some(slot) = self.places.get_mut(index).and_then(|p| p.slot.take()) else { return };
        self.free.push_back(index);
        self.by_tuple.remove(&slot.tuple.key());
        if let Some(buffers) = slot.into_buffers()
            && self.pooled + 2 * buffers.capacity() <= POOL
        {
            self.pooled += 2 * buffers.capacity();
            self.pool.push(buffers);
        }
    }
}

/// Hashes tuples, which peers choose, with a seed that they do not know.
#[derive(Clone, Copy)]
struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = Fold;
    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

/// One wide multiplication, its halves folded together.
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u64(&mut self, n: u64) {
        let wide = u128::from(self.0 ^ n) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide ^ (wide >> 64)) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::flow::Flow;
    use super::super::slot::Stage;
    use super::*;

    fn slot(table: &mut Table, port: u16) -> Slot {
        let tuple = Tuple { remote: Ipv4Addr::LOCALHOST, remote_port: port, local_port: 1 };
        Slot::new(table.buffers(4096), tuple, Ipv4Addr::LOCALHOST, Stage::Held, Flow::new(1460))
    }

    #[test]
    fn names_are_not_used_again_and_buffers_are() {
        let mut t = Table::new(1);
        let s = slot(&mut t, 1);
        let first = t.insert(s).unwrap();
        let name = t.name(first);
        assert_eq!(t.index(name), Some(first));
        t.remove(first);
        assert_eq!((t.index(name), t.pool.len(), t.len()), (None, 1, 0));
        let s = slot(&mut t, 1);
        assert_eq!(t.pool.len(), 0);
        let again = t.insert(s).unwrap();
        assert_ne!(t.name(again), name);
        assert_eq!(t.find(t.at(again).unwrap().tuple), Some(again));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut t = Table::new(1);
        for port in 0..MOST {
            let s = slot(&mut t, u16::try_from(port).unwrap());
            assert!(t.insert(s).is_some());
        }
        let s = slot(&mut t, 60_000);
        assert!(t.insert(s).is_none());
    }
}
