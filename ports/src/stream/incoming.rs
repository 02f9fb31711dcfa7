//! Frames out of a stream of bytes, wherever it is cut.

use arrayvec::ArrayVec;

use super::LENGTH;
use crate::{BURST, Capabilities, Frame};

/// Longest frame that anybody announces.
const LONGEST: usize = Capabilities::MAX_SUPER_FRAME as usize;
/// Most bytes of a frame with its length.
const MESSAGE: usize = LENGTH + LONGEST;
/// Bytes of memory: more than a socket holds by default (`net.core.wmem_default`), so that one read takes all of it, and
/// little enough to stay in the second-level cache.
const ARENA: usize = 1 << 18;
const _: () = assert!(ARENA > 2 * MESSAGE);

/// A length that no frame has: 0, or more than 64 KiB and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense(pub(super) u32);

/// Where a frame is.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    len: usize,
}

/// Bytes that were read, and the frames found in them.
///
/// What was read is parsed as far as frames are asked for, and more is read only when less than a frame is left. If by then
/// all frames were released, it starts at the front again, with the beginning of the one that was cut; in a port that is
/// kept up with, frames land in the same few warm cache lines.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    /// Bytes up to here are frames that were found.
    parsed: usize,
    /// Bytes up to here were read.
    end: usize,
    /// Frames found and not released.
    places: ArrayVec<Place, BURST>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { bytes: vec![0; ARENA], parsed: 0, end: 0, places: ArrayVec::new() }
    }
}

impl Incoming {
    /// Bytes of memory.
    pub(super) const fn memory_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Finds frames in what was read until `limit` are there; says whether they are.
    ///
    /// # Errors
    /// For a length that no frame has. Nothing behind it makes sense, either: [`Self::cut`] it.
    pub(super) fn parse(&mut self, limit: usize) -> Result<bool, Nonsense> {
        while self.places.len() < limit.min(BURST) {
            let Some((place, whole)) = self.next()? else { return Ok(false) };
            if !whole {
                return Ok(false);
            }
            self.parsed = place.start + place.len;
            self.places.push(place);
        }
        Ok(true)
    }

    /// The frame that comes next, if its length was read, and whether all of it was.
    fn next(&self) -> Result<Option<(Place, bool)>, Nonsense> {
        let read = &self.bytes[self.parsed..self.end];
        let Some(length) = read.first_chunk::<LENGTH>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*length);
        let len = announced as usize;
        if !(1..=LONGEST).contains(&len) {
            return Err(Nonsense(announced));
        }
        Ok(Some((Place { start: self.parsed + LENGTH, len }, read.len() >= LENGTH + len)))
    }

    /// Room for more bytes, for a read; none while frames are held that the rest of the next one would not fit behind.
    /// What was read of it is [`Self::add`]ed.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.places.is_empty() {
            self.bytes.copy_within(self.parsed..self.end, 0);
            self.end -= self.parsed;
            self.parsed = 0;
        }
        if self.parsed + MESSAGE > ARENA {
            return &mut [];
        }
        &mut self.bytes[self.end..]
    }

    /// Takes in `n` bytes that were read into the [`Self::room`].
    pub(super) fn add(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end + n);
    }

    /// Forgets what was read and is no frame yet.
    pub(super) fn cut(&mut self) {
        self.end = self.parsed;
    }

    /// The frames found, oldest first.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.places.iter().map(|place| Frame::new(&self.bytes[place.start..place.start + place.len]))
    }

    /// Gives back the oldest `n` frames.
    pub(super) fn release(&mut self, n: usize) {
        self.places.drain(..n.min(self.places.len()));
    }

    /// Whether there is a frame to be had without reading, or nonsense.
    pub(super) fn waits(&self) -> bool {
        !self.places.is_empty() || !matches!(self.next(), Ok(None | Some((_, false))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames as they stand in a stream.
    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let one = |frame: &Vec<u8>| [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat();
        frames.iter().flat_map(one).collect()
    }

    proptest! {
        /// However reads and releases fall, the frames that come out are those that went in.
        #[test]
        fn frames_are_put_together_wherever_they_are_cut(
            lens in prop::collection::vec(prop_oneof![1..2000usize, 30_000..LONGEST + 1], 1..30),
            reads in prop::collection::vec(prop_oneof![1..10usize, 1..100_000usize], 1..50),
            releases in prop::collection::vec(0..300usize, 1..50),
            limit in 1..400usize,
        ) {
            let frames: Vec<_> = (0..).zip(lens).map(|(n, len)| vec![n; len]).collect();
            let stream = stream(&frames);
            let (mut incoming, mut left) = (Incoming::default(), &stream[..]);
            let (mut out, mut reads, mut releases) = (Vec::new(), reads.iter().cycle(), releases.iter().cycle());
            let mut idle = 0;
            while out.len() < frames.len() {
                if !incoming.parse(limit).unwrap() {
                    let room = incoming.room();
                    let n = left.len().min(room.len()).min(*reads.next().unwrap());
                    room[..n].copy_from_slice(&left[..n]);
                    incoming.add(n);
                    left = &left[n..];
                }
                let releases = *releases.next().unwrap();
                out.extend(incoming.frames().take(releases).map(|frame| frame.to_vec()));
                incoming.release(releases);
                idle = if releases == 0 { idle + 1 } else { 0 };
                prop_assert!(idle <= 50);
                if idle == 50 {
                    return Ok(()); // nothing is ever released
                }
            }
            prop_assert_eq!(out, frames);
            prop_assert!(!incoming.waits() && incoming.parse(1) == Ok(false));
        }
    }

    #[test]
    fn a_length_without_sense_is_found_behind_what_has_some() {
        for length in [0, u32::try_from(LONGEST).unwrap() + 1, u32::MAX] {
            let mut incoming = Incoming::default();
            let bytes = [&stream(&[vec![7; 60]])[..], &length.to_be_bytes()].concat();
            incoming.room()[..bytes.len()].copy_from_slice(&bytes);
            incoming.add(bytes.len() - 1);
            assert_eq!(incoming.parse(9), Ok(false));
            incoming.add(1);
            assert!(incoming.waits());
            assert_eq!(incoming.parse(9), Err(Nonsense(length)));
            incoming.cut();
            assert_eq!((incoming.parse(9), incoming.frames().count()), (Ok(false), 1));
        }
    }
}
