//! To the peer: the rings that we fill.

use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::RINGS;
use super::ring::{Broken, Buffer, Ring};
use super::session::{Session, Shared};
use crate::draft::Draft;
use crate::peer::Link;
use crate::piece::scatter;
use crate::prefetch::claim;
use crate::ring::layout::NEXT;
use crate::{Capabilities, Counters, Frame, Offload, Sent, Tx, flow};

/// Most buffers that one frame is spread over.
const BUFFERS: usize = 256;
/// Slots that are looked at ahead of those that are filled, so that the processor fetches the buffers of all at once.
const AHEAD: usize = 32;

type Ahead = ArrayVec<Buffer, AHEAD>;

/// The transmitting half.
pub(super) struct MemifTx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    draft: Draft,
    /// For each ring, scratch memory of [`Filling`].
    ahead: Box<[Ahead; RINGS]>,
}

/// What became of one frame.
enum Put {
    Delivered,
    NoRoom,
}

/// A burst on its way into one ring.
struct Filling<'r> {
    ring: &'r Ring,
    /// Slots that were ours when last looked at; of these, how many were looked up, and how many are filled.
    available: u16,
    seen: u16,
    filled: u16,
    /// The slots from `filled` up to `seen`: those from `next` on.
    ahead: &'r mut Ahead,
    next: usize,
}

impl<'r> Filling<'r> {
    fn new(ring: &'r Ring, ahead: &'r mut Ahead) -> Self {
        ahead.clear();
        Self { ring, available: 0, seen: 0, filled: 0, ahead, next: 0 }
    }

    /// The next slot, if one is there. `want` is how many may follow.
    #[inline]
    fn slot(&mut self, want: usize) -> Result<Option<Buffer>, Broken> {
        if self.next == self.ahead.len() && !self.look(want)? {
            return Ok(None);
        }
        let buffer = self.ahead.get(self.next).copied();
        self.next += 1;
        Ok(buffer)
    }

    /// Looks at more slots. Says whether there are any.
    fn look(&mut self, want: usize) -> Result<bool, Broken> {
        if self.seen >= self.available {
            self.available = self.ring.available()?;
        }
        // Less than what is filled already: it goes backwards.
        let more = self.available.checked_sub(self.seen).ok_or(Broken::Index)?;
        self.ahead.clear();
        self.next = 0;
        for _ in 0..usize::from(more).min(want).min(AHEAD) {
            let buffer = self.ring.room(self.seen)?;
            claim(buffer.at.as_ptr());
            self.ahead.push(buffer);
            self.seen += 1;
        }
        Ok(!self.ahead.is_empty())
    }

    /// Copies one frame into as many slots as it takes; `want` are still to come, with this one.
    #[inline]
    fn put(&mut self, frame: &Frame<'_>, want: usize) -> Result<Put, Broken> {
        let Some(buffer) = self.slot(want)? else { return Ok(Put::NoRoom) };
        if frame.len() > buffer.len as usize {
            return self.spread(frame, buffer);
        }
        // SAFETY: the buffer has room for the frame, which is in another port's memory; no other half of ours touches it.
        unsafe { frame.copy_to(buffer.at.as_ptr()) };
        #[expect(clippy::cast_possible_truncation, reason = "not longer than the buffer")]
        self.ring.fill(self.filled, 0, buffer, frame.len() as u32);
        self.filled += 1;
        Ok(Put::Delivered)
    }

    /// Copies a frame into a chain of slots of which the first has not room for all of it.
    #[inline(never)]
    fn spread(&mut self, frame: &Frame<'_>, first: Buffer) -> Result<Put, Broken> {
        let mut chain = ArrayVec::<Buffer, BUFFERS>::new();
        let (mut room, mut next) = (0, Some(first));
        while let Some(buffer) = next {
            room += buffer.len as usize;
            chain.push(buffer);
            if room >= frame.len() {
                self.link(frame, &chain);
                return Ok(Put::Delivered);
            }
            if chain.is_full() || chain.len() == usize::from(self.ring.slots()) {
                return Err(Broken::Small);
            }
            next = self.slot(1)?;
        }
        self.rewind();
        Ok(Put::NoRoom)
    }

    /// Fills a chain of slots that have room for the frame.
    fn link(&mut self, frame: &Frame<'_>, chain: &[Buffer]) {
        let places: ArrayVec<(NonNull<u8>, u32), BUFFERS> = chain.iter().map(|b| (b.at, b.len)).collect();
        // SAFETY: the runs of a frame are readable, and each buffer was looked up; no other half of ours touches them.
        unsafe { scatter(frame.runs(), &places) };
        let mut left = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for buffer in chain {
            let len = left.min(buffer.len);
            left -= len;
            self.ring.fill(self.filled, if left > 0 { NEXT } else { 0 }, *buffer, len);
            self.filled += 1;
        }
    }

    /// Looks again at what was looked at and is not filled.
    fn rewind(&mut self) {
        self.ahead.clear();
        (self.seen, self.next) = (self.filled, 0);
    }
}

impl MemifTx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        let ahead = Box::new([const { Ahead::new_const() }; RINGS]);
        Self { shared, _link: link, counters, draft: Draft::new(), ahead }
    }
}

/// Copies frames into the rings of a session: by its flow, each has a ring.
fn fill(session: &Session, frames: &[Frame<'_>], ahead: &mut [Ahead]) -> (Sent, Option<Broken>) {
    let (mut sent, mut broken) = (Sent::default(), None);
    let rings = session.transmit.iter().zip(ahead).map(|(ring, ahead)| Filling::new(ring, ahead));
    let mut rings: ArrayVec<_, RINGS> = rings.take(RINGS).collect();
    for (i, frame) in frames.iter().enumerate() {
        let ring = if rings.len() > 1 { spread(frame, rings.len()) } else { 0 };
        let Some(ring) = rings.get_mut(ring) else { break };
        if session.capabilities.takes(frame.len(), frame.offload()) {
            match ring.put(frame, frames.len() - i) {
                Ok(Put::Delivered) => {
                    sent.frames += 1;
                    sent.bytes += frame.len() as u64;
                }
                Ok(Put::NoRoom) => break,
                Err(why) => broken = Some(why),
            }
        }
        sent.taken += 1;
        if broken.is_some() {
            break;
        }
    }
    for ring in rings.iter().filter(|ring| ring.filled > 0) {
        ring.ring.advance(ring.filled);
    }
    (sent, broken)
}

/// Copies frames into the rings of the session that is; without one they fail.
fn send(shared: &Shared, frames: &[Frame<'_>], ahead: &mut [Ahead]) -> Sent {
    let Some(session) = shared.session() else {
        return Sent { taken: frames.len(), ..Sent::default() }; // nobody is there
    };
    let (sent, broken) = fill(&session, frames, ahead);
    if let Some(broken) = broken {
        shared.fail(&session, broken);
    }
    sent
}

/// The ring of a frame: by its flow, whose frames keep their order.
fn spread(frame: &Frame<'_>, rings: usize) -> usize {
    usize::try_from(flow::hash(frame) % rings as u64).unwrap_or(0)
}

impl Tx for MemifTx {
    fn capabilities(&self) -> Capabilities {
        self.shared.session().map_or(super::ABSENT, |session| session.capabilities)
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.abandon();
        if self.settle() { send(&self.shared, frames, &mut *self.ahead) } else { Sent::default() }
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.draft.abandon();
        self.settle();
        self.draft.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.draft.commit(len, offload);
        self.settle();
    }

    fn flush(&mut self) -> bool {
        let settled = self.settle();
        self.shared.session().iter().flat_map(|s| &s.transmit).for_each(Ring::kick_if_wanted);
        settled
    }
}

impl MemifTx {
    fn settle(&mut self) -> bool {
        let Self { shared, counters, draft, ahead, .. } = self;
        draft.settle(counters, |frames| send(shared, frames, &mut **ahead))
    }
}
