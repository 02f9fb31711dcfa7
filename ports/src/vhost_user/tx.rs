//! To the guest: its receive rings.

use std::cmp::Ordering;
use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::queue::{Broken, Queue};
use super::session::{Held, Shared};
use super::{HEADER, MRG_RXBUF, PAIRS};
use crate::draft::Draft;
use crate::peer::Link;
use crate::piece::Piece;
use crate::{Capabilities, Counters, Frame, Offload, Reason, Sent, Tx};

/// Most buffers that one frame is spread over, and most chains of them: a super-frame takes 44 of 1500 bytes.
const BUFFERS: usize = 256;

/// The transmitting half.
pub(super) struct VhostTx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    draft: Draft,
}

/// What became of one frame.
enum Put {
    Delivered,
    NoRoom,
    Failed,
}

/// A burst on its way into one ring.
struct Filling<'q> {
    queue: &'q Queue,
    mergeable: bool,
    /// Chains that waited when last looked, and how many of them are filled.
    waiting: u16,
    filled: u16,
}

type Buffers = ArrayVec<(NonNull<u8>, u32), BUFFERS>;

impl<'q> Filling<'q> {
    const fn new(queue: &'q Queue, mergeable: bool) -> Self {
        Self { queue, mergeable, waiting: 0, filled: 0 }
    }

    /// Copies one frame into as many chains as it takes.
    fn put(&mut self, frame: &Frame<'_>) -> Result<Put, Broken> {
        let total = HEADER + frame.len();
        let (mut buffers, mut room) = (Buffers::new(), 0);
        let mut chains = ArrayVec::<(u16, usize), BUFFERS>::new();
        while room < total {
            let n = self.filled + u16::try_from(chains.len()).unwrap_or(u16::MAX);
            if n >= self.waiting {
                self.waiting = self.queue.waiting()?;
                match n.cmp(&self.waiting) {
                    Ordering::Less => {}
                    Ordering::Equal => return Ok(Put::NoRoom),
                    Ordering::Greater => return Err(Broken::Index), // it goes backwards
                }
            }
            if buffers.is_full() {
                return Err(Broken::Small);
            }
            if !chains.is_empty() && !self.mergeable {
                return Ok(Put::Failed);
            }
            let (head, before) = (self.queue.head(n), room);
            self.queue.walk(head, true, |at, len| {
                if buffers.try_push((at, len)).is_err() {
                    return false;
                }
                room += len as usize;
                room < total
            })?;
            chains.push((head, room.min(total) - before));
        }
        let count = u16::try_from(chains.len()).unwrap_or(u16::MAX);
        write(frame, count, &buffers);
        for (i, (head, len)) in (self.filled..).zip(chains) {
            self.queue.complete(i, head, u32::try_from(len).unwrap_or(u32::MAX));
        }
        self.filled += count;
        Ok(Put::Delivered)
    }
}

/// Writes the header and the frame into these buffers, which have room for both.
#[inline]
fn write(frame: &Frame<'_>, chains: u16, buffers: &[(NonNull<u8>, u32)]) {
    let mut header = [0; HEADER];
    header[..Offload::LEN].copy_from_slice(&frame.offload().to_bytes());
    header[Offload::LEN..].copy_from_slice(&chains.to_le_bytes());
    if let [(at, _)] = buffers {
        let at = at.as_ptr();
        // SAFETY: the lone buffer has room for header and frame, and no other half of ours touches it ...
        unsafe { at.cast::<[u8; HEADER]>().write_unaligned(header) };
        // SAFETY: ... of which the frame, which is in another port's memory, begins behind the header.
        unsafe { frame.copy_to(at.wrapping_add(HEADER)) };
        return;
    }
    let runs = std::iter::once(Piece { start: header.as_ptr(), len: HEADER as u32 }).chain(frame.runs());
    scatter(runs, buffers);
}

/// Copies runs of bytes into buffers, one after the other, as far as there is room.
fn scatter(runs: impl Iterator<Item = Piece>, buffers: &[(NonNull<u8>, u32)]) {
    let mut buffers = buffers.iter().copied();
    let (mut to, mut room) = (std::ptr::null_mut::<u8>(), 0);
    for Piece { mut start, mut len } in runs {
        while len > 0 {
            if room == 0 {
                let Some((next, length)) = buffers.next() else { return };
                (to, room) = (next.as_ptr(), length);
                continue;
            }
            let n = len.min(room);
            // SAFETY: `n` bytes are left of both the run and the buffer, which are memory of two ports.
            unsafe { std::ptr::copy_nonoverlapping(start, to, n as usize) };
            (start, to) = (start.wrapping_add(n as usize), to.wrapping_add(n as usize));
            (len, room) = (len - n, room - n);
        }
    }
}

impl VhostTx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        Self { shared, _link: link, counters, draft: Draft::new() }
    }

    /// Copies frames into the rings of a session: by its flow, each has a ring.
    fn fill(session: &Held, frames: &[Frame<'_>]) -> (Sent, Option<Broken>) {
        let (mut sent, mut broken) = (Sent::default(), None);
        let mergeable = session.features & MRG_RXBUF != 0;
        let running = session.receive_rings().iter().filter_map(|ring| ring.running());
        let mut rings: ArrayVec<_, PAIRS> = running.map(|queue| Filling::new(queue, mergeable)).collect();
        for frame in frames {
            let ring = if rings.len() > 1 { spread(frame, rings.len()) } else { 0 };
            let Some(ring) = rings.get_mut(ring) else { break }; // none: not started yet, and nobody knows when
            let fits = session.capabilities.takes(frame.len(), frame.offload());
            match if fits { ring.put(frame) } else { Ok(Put::Failed) } {
                Ok(Put::Delivered) => {
                    sent.frames += 1;
                    sent.bytes += frame.len() as u64;
                }
                Ok(Put::Failed) => {}
                Ok(Put::NoRoom) => break,
                Err(why) => {
                    broken = Some(why);
                    break;
                }
            }
            sent.taken += 1;
        }
        for ring in rings.iter().filter(|ring| ring.filled > 0 && !session.is_over()) {
            ring.queue.publish(ring.filled);
        }
        (sent, broken)
    }

    /// Copies frames into the rings of the session that is; without one they fail.
    fn send(shared: &Shared, frames: &[Frame<'_>]) -> Sent {
        let Some(session) = shared.session() else {
            return Sent { taken: frames.len(), ..Sent::default() }; // nobody is there
        };
        let (sent, broken) = Self::fill(&session, frames);
        if let Some(broken) = broken {
            shared.fail(&session, broken);
        }
        sent
    }

    /// Whether nothing waits: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        let Some(frame) = self.draft.pending() else { return true };
        let sent = Self::send(&self.shared, &[frame]);
        if sent.taken == 0 {
            return false;
        }
        if sent.frames == 0 {
            self.counters.add_drops(Reason::Error, 1);
        }
        self.draft.settled();
        true
    }
}

/// The ring of a frame: by its stations, so that frames between the same two keep their order.
fn spread(frame: &Frame<'_>, rings: usize) -> usize {
    let bits = frame.stations().map_or(0, |(dst, src)| dst.to_bits() ^ src.to_bits());
    usize::try_from(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0) % rings
}

impl Tx for VhostTx {
    fn capabilities(&self) -> Capabilities {
        self.shared.session().map_or(super::ABSENT, |session| session.capabilities)
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.draft.abandon();
        if self.settle() { Self::send(&self.shared, frames) } else { Sent::default() }
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
        if let Some(session) = self.shared.session() {
            session.receive_rings().iter().for_each(super::session::Ring::call_if_wanted);
        }
        settled
    }
}
