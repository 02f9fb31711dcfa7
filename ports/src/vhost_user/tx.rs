//! To the guest: its receive rings.

use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::queue::{Broken, Chain, Direction, Queue};
use super::session::{Held, Shared};
use super::{GUEST_CSUM, HEADER, MRG_RXBUF, PAIRS};
use crate::draft::Draft;
use crate::peer::Link;
use crate::piece::Piece;
use crate::prefetch::{claim, prefetch};
use crate::{Capabilities, Counters, Frame, Offload, OffloadFlags, Sent, Tx};

/// Most buffers that one frame is spread over, and most chains of them: a super-frame takes 44 of 1500 bytes.
const BUFFERS: usize = 256;
/// Chains that are looked at ahead of those that are filled, so that the processor fetches the buffers of all at once.
const AHEAD: usize = 32;

/// The transmitting half.
pub(super) struct VhostTx {
    shared: Arc<Shared>,
    /// The last half to go ends it.
    _link: Arc<Link>,
    counters: Arc<Counters>,
    draft: Draft,
    /// For each ring, scratch memory of [`Filling`].
    ahead: Box<[Ahead; PAIRS]>,
}

/// What became of one frame.
enum Put {
    Delivered,
    NoRoom,
    Failed,
}

type Ahead = ArrayVec<Chain, AHEAD>;
type Buffers = ArrayVec<(NonNull<u8>, u32), BUFFERS>;

/// A burst on its way into one ring.
struct Filling<'q> {
    queue: &'q Queue,
    mergeable: bool,
    /// The flags of headers that the guest is to see: none, unless it agreed to checksums (virtio 1.2, 5.1.6.4.1).
    flags: OffloadFlags,
    /// Chains that waited when last looked; of these, how many were looked at, and how many are filled.
    waiting: u16,
    seen: u16,
    filled: u16,
    /// Chains that were looked at last, and how many of them frames have got.
    ahead: &'q mut Ahead,
    next: usize,
}

impl<'q> Filling<'q> {
    fn new(queue: &'q Queue, features: u64, ahead: &'q mut Ahead) -> Self {
        let flags = if features & GUEST_CSUM == 0 { OffloadFlags::empty() } else { OffloadFlags::all() };
        ahead.clear();
        Self {
            queue,
            mergeable: features & MRG_RXBUF != 0,
            flags,
            waiting: 0,
            seen: 0,
            filled: 0,
            ahead,
            next: 0,
        }
    }

    /// The header of a frame in so many chains.
    #[inline]
    fn header(&self, frame: &Frame<'_>, chains: usize) -> [u8; HEADER] {
        let mut offload = frame.offload();
        offload.flags &= self.flags.bits();
        let mut header = [0; HEADER];
        header[..Offload::LEN].copy_from_slice(&offload.to_bytes());
        header[Offload::LEN..].copy_from_slice(&u16::try_from(chains).unwrap_or(u16::MAX).to_le_bytes());
        header
    }

    /// The next chain, if one is there. `want` is how many may follow.
    #[inline]
    fn chain(&mut self, want: usize) -> Result<Option<Chain>, Broken> {
        if self.next == self.ahead.len() && !self.look(want)? {
            return Ok(None);
        }
        let chain = self.ahead.get(self.next).copied();
        self.next += 1;
        Ok(chain)
    }

    /// Looks at more chains. Says whether there are any.
    fn look(&mut self, want: usize) -> Result<bool, Broken> {
        if self.seen >= self.waiting {
            self.waiting = self.queue.waiting()?;
        }
        // Less than what is filled already: it goes backwards.
        let more = self.waiting.checked_sub(self.seen).ok_or(Broken::Index)?;
        self.ahead.clear();
        self.next = 0;
        for _ in 0..usize::from(more).min(want).min(AHEAD) {
            let chain = self.queue.chain(self.seen, Direction::ToGuest)?;
            if let Some((at, _)) = chain.lone() {
                prefetch(at.as_ptr());
                claim(at.as_ptr().wrapping_add(HEADER));
            }
            self.ahead.push(chain);
            self.seen += 1;
        }
        Ok(!self.ahead.is_empty())
    }

    /// Copies one frame into as many chains as it takes; `want` are still to come, with this one.
    #[inline]
    fn put(&mut self, frame: &Frame<'_>, want: usize) -> Result<Put, Broken> {
        let Some(chain) = self.chain(want)? else { return Ok(Put::NoRoom) };
        let total = HEADER + frame.len();
        match chain.lone() {
            Some((at, len)) if total <= len as usize => {
                write(self.header(frame, 1), frame, at);
                self.complete(chain.head, total);
                Ok(Put::Delivered)
            }
            _ => self.spread(frame, chain),
        }
    }

    /// A chain is filled with so many bytes.
    #[inline]
    fn complete(&mut self, head: u16, written: usize) {
        self.queue.complete(self.filled, head, u32::try_from(written).unwrap_or(u32::MAX));
        self.filled += 1;
    }

    /// Copies a frame into chains of which the first is of several buffers, or has not room for all of it.
    #[inline(never)]
    fn spread(&mut self, frame: &Frame<'_>, first: Chain) -> Result<Put, Broken> {
        let total = HEADER + frame.len();
        let (mut buffers, mut room) = (Buffers::new(), 0);
        let mut chains = ArrayVec::<(u16, usize), BUFFERS>::new();
        let mut next = Some(first);
        while let Some(chain) = next {
            let before = room;
            self.queue.walk(&chain, Direction::ToGuest, |at, len| {
                if buffers.try_push((at, len)).is_err() {
                    return false;
                }
                room += len as usize;
                room < total
            })?;
            chains.push((chain.head, room.min(total) - before));
            if room >= total {
                scatter(self.header(frame, chains.len()), frame, &buffers);
                chains.iter().for_each(|(head, len)| self.complete(*head, *len));
                return Ok(Put::Delivered);
            }
            if buffers.is_full() {
                return Err(Broken::Small);
            }
            if !self.mergeable {
                self.rewind();
                return Ok(Put::Failed);
            }
            next = self.chain(AHEAD)?;
        }
        self.rewind();
        Ok(Put::NoRoom)
    }

    /// Gives back the chains that the last frame did not get after all.
    fn rewind(&mut self) {
        self.ahead.clear();
        (self.next, self.seen) = (0, self.filled);
    }
}

/// Writes header and frame into a lone buffer, which has room for both. The header is left alone if it says so already:
/// with DPDK it is in a line of its own, which the guest's core keeps then.
#[inline]
fn write(header: [u8; HEADER], frame: &Frame<'_>, at: NonNull<u8>) {
    let to = at.cast::<[u8; HEADER]>();
    // SAFETY: the buffer has room for header and frame, and no other half of ours touches it ...
    if unsafe { to.read_unaligned() } != header {
        // SAFETY: ... while it is filled ...
        unsafe { to.write_unaligned(header) };
    }
    // SAFETY: ... and the frame, which is in another port's memory, begins behind the header.
    unsafe { frame.copy_to(at.as_ptr().wrapping_add(HEADER)) };
}

/// Writes header and frame into these buffers, which have room for both.
fn scatter(header: [u8; HEADER], frame: &Frame<'_>, buffers: &[(NonNull<u8>, u32)]) {
    let runs = std::iter::once(Piece { start: header.as_ptr(), len: HEADER as u32 }).chain(frame.runs());
    // SAFETY: the header is on our stack, a frame's runs are readable, and buffers were looked up; no other half of ours
    // touches them.
    unsafe { crate::piece::scatter(runs, buffers) };
}

impl VhostTx {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, counters: Arc<Counters>) -> Self {
        let ahead = Box::new(std::array::from_fn(|_| Ahead::new()));
        Self { shared, _link: link, counters, draft: Draft::new(), ahead }
    }

    /// Copies frames into the rings of a session: by its flow, each has a ring.
    fn fill(session: &Held, frames: &[Frame<'_>], ahead: &mut [Ahead]) -> (Sent, Option<Broken>) {
        let (mut sent, mut broken) = (Sent::default(), None);
        let running = session.receive_rings().iter().filter_map(|ring| ring.running());
        let filling = running.zip(ahead).map(|(queue, ahead)| Filling::new(queue, session.features, ahead));
        let mut rings: ArrayVec<_, PAIRS> = filling.collect();
        for (frame, want) in frames.iter().zip((1..=frames.len()).rev()) {
            let ring = if rings.len() > 1 { spread(frame, rings.len()) } else { 0 };
            let Some(ring) = rings.get_mut(ring) else { break }; // none: not started yet, and nobody knows when
            let fits = session.capabilities.takes(frame.len(), frame.offload());
            match if fits { ring.put(frame, want) } else { Ok(Put::Failed) } {
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
    fn send(shared: &Shared, frames: &[Frame<'_>], ahead: &mut [Ahead]) -> Sent {
        let Some(session) = shared.session() else {
            return Sent { taken: frames.len(), ..Sent::default() }; // nobody is there
        };
        let (sent, broken) = Self::fill(&session, frames, ahead);
        if let Some(broken) = broken {
            shared.fail(&session, broken);
        }
        sent
    }

    /// Whether nothing waits: what was committed has been sent, or has failed and been counted.
    fn settle(&mut self) -> bool {
        let Self { shared, draft, counters, ahead, .. } = self;
        draft.settle(counters, |frames| Self::send(shared, frames, &mut ahead[..]))
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
        if self.settle() { Self::send(&self.shared, frames, &mut self.ahead[..]) } else { Sent::default() }
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
