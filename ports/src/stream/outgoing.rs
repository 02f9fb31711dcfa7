//! Frames into a stream of bytes, which may take part of them.

use super::LENGTH;
use crate::{Capabilities, Frame, Sent};

/// Bytes of memory. Linux takes this many in one piece or not at all (one buffer of `unix_stream_sendmsg`, net/unix/af_unix.c),
/// so that a frame is cut only where the socket's own memory is less.
const ARENA: usize = 1 << 15;

/// What a socket did with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// It took the first so many; none if it is full.
    Taken(usize),
    /// It is broken.
    Broken,
}

/// Frames on their way, each behind its length. Between calls there is nothing in it but the rest of a frame that was cut.
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// The rest of a frame is here.
    start: usize,
    end: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { bytes: vec![0; ARENA], start: 0, end: 0 }
    }
}

impl Outgoing {
    /// Bytes of memory.
    pub(super) const fn memory_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Writes the rest of the frame that was cut, as far as it goes. Says whether all of it is on its way, or `None` if the
    /// socket is broken.
    pub(super) fn finish(&mut self, mut write: impl FnMut(&[u8]) -> Wrote) -> Option<bool> {
        while self.start < self.end {
            match write(&self.bytes[self.start..self.end]) {
                Wrote::Taken(0) => return Some(false),
                Wrote::Taken(n) => self.start = self.end.min(self.start + n),
                Wrote::Broken => return None,
            }
        }
        Some(true)
    }

    /// Forgets the rest of the frame that was cut.
    pub(super) const fn cut(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Writes frames that `takes` allows, many at a time; others fail. One that was cut counts as sent: its rest follows with
    /// the next call, or [`Self::finish`]. The second says whether the socket is broken.
    pub(super) fn transmit(
        &mut self,
        frames: &[Frame<'_>],
        takes: &Capabilities,
        mut write: impl FnMut(&[u8]) -> Wrote,
    ) -> (Sent, bool) {
        let mut sent = Sent::default();
        match self.finish(&mut write) {
            Some(true) => {}
            Some(false) => return (sent, false),
            None => return (sent, true),
        }
        while let Some(frame) = frames.get(sent.taken) {
            if !is_sound(frame, takes) {
                sent.taken += 1; // and is not delivered
                continue;
            }
            self.cut();
            self.fill(&frames[sent.taken..], takes);
            let Wrote::Taken(n) = write(&self.bytes[..self.end]) else { return (sent, true) };
            if !self.settle(n, &mut sent) {
                break;
            }
        }
        (sent, false)
    }

    /// Copies sound frames, one behind the other, as many as there are in a row and fit.
    fn fill(&mut self, frames: &[Frame<'_>], takes: &Capabilities) {
        for frame in frames.iter().take_while(|frame| is_sound(frame, takes)) {
            let Some((length, rest)) = self.bytes[self.end..].split_first_chunk_mut::<LENGTH>() else {
                return;
            };
            let Some(to) = rest.get_mut(..frame.len()) else { return };
            #[expect(clippy::cast_possible_truncation, reason = "it fits the buffer")]
            let announced = frame.len() as u32;
            *length = announced.to_be_bytes();
            frame.copy_at(0, to);
            self.end += LENGTH + frame.len();
        }
    }

    /// Counts the frames of which any of the first `n` bytes is a part. Of the last, what was not taken stays; those that
    /// come after it are still the caller's. Says whether all was taken.
    fn settle(&mut self, n: usize, sent: &mut Sent) -> bool {
        let mut at = 0;
        while at < n.min(self.end) {
            let length =
                self.bytes[at..].first_chunk::<LENGTH>().map_or(0, |length| u32::from_be_bytes(*length));
            at += LENGTH + length as usize;
            sent.taken += 1;
            sent.frames += 1;
            sent.bytes += u64::from(length);
        }
        let all = n >= self.end;
        (self.start, self.end) = if all { (0, 0) } else { (n, at) };
        all
    }
}

/// Whether a frame may go out.
fn is_sound(frame: &Frame<'_>, takes: &Capabilities) -> bool {
    frame.len() >= Frame::HEADER && takes.takes(frame.len(), frame.offload())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stream::TAKES;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However little a socket takes at a time, what is sent is what was counted, byte by byte.
        #[test]
        fn frames_are_resumed_wherever_they_are_cut(
            lens in prop::collection::vec(prop_oneof![3 => 14..1519usize, 1 => 0..14usize, 1 => 1519..40_000usize], 1..60),
            takes in prop::collection::vec(prop_oneof![0..10usize, 0..2000usize, 0..70_000usize], 1..20),
        ) {
            let frames: Vec<_> = (0..).map(|n| n as u8).zip(lens).map(|(n, len)| vec![n; len]).collect();
            let (mut outgoing, mut socket, mut takes) = (Outgoing::default(), Vec::new(), takes.iter().cycle());
            let mut expected = Vec::new();
            let mut write = |socket: &mut Vec<u8>, bytes: &[u8]| {
                let n = bytes.len().min(*takes.next().unwrap());
                socket.extend(&bytes[..n]);
                Wrote::Taken(n)
            };
            let (mut done, mut stuck) = (0, 0);
            while done < frames.len() && stuck < 100 {
                let views: Vec<_> = frames[done..].iter().take(256).map(|frame| Frame::new(frame)).collect();
                let (sent, broken) = outgoing.transmit(&views, &TAKES, |bytes| write(&mut socket, bytes));
                prop_assert!(!broken);
                let taken = &frames[done..done + sent.taken];
                let delivered = taken.iter().filter(|frame| is_sound(&Frame::new(frame), &TAKES));
                let before = expected.len();
                expected.extend(delivered.flat_map(|frame| {
                    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
                }));
                prop_assert_eq!(expected.len() - before, sent.frames as usize * LENGTH + sent.bytes as usize);
                done += sent.taken;
                stuck = if sent.taken == 0 { stuck + 1 } else { 0 };
            }
            while outgoing.finish(|bytes| write(&mut socket, bytes)) == Some(false) && stuck < 100 {
                stuck += 1;
            }
            prop_assert_eq!(&socket, &expected[..socket.len()]);
            prop_assert!(socket.len() == expected.len() || stuck == 100);
        }
    }

    #[test]
    fn a_socket_that_breaks_ends_it() {
        let bytes = [7; 60];
        let frames = [Frame::new(&bytes); 3];
        let mut outgoing = Outgoing::default();
        assert_eq!(outgoing.transmit(&frames, &TAKES, |_| Wrote::Taken(70)).0.taken, 2);
        assert_eq!(outgoing.finish(|_| Wrote::Taken(0)), Some(false));
        assert_eq!(outgoing.finish(|_| Wrote::Broken), None);
        assert_eq!(outgoing.transmit(&frames, &TAKES, |_| Wrote::Broken), (Sent::default(), true));
        outgoing.cut();
        assert_eq!(outgoing.finish(|_| Wrote::Broken), Some(true));
    }
}
