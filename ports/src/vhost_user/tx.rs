//! To the guest: its receive rings.

use std::ptr::NonNull;

use arrayvec::ArrayVec;

use super::queue::{Broken, Chain, Direction, Queue};
use super::session::{Ring, Session};
use super::{GUEST_CSUM, HEADER, MRG_RXBUF};
use crate::peer::{Ahead, Filling, PeerTx, Put, Room, Taking};
use crate::piece::Piece;
use crate::prefetch::{claim, prefetch};
use crate::{Capabilities, Frame, Offload, OffloadFlags};

/// Most buffers that one frame is spread over, and most chains of them: a super-frame takes 44 of 1500 bytes.
const BUFFERS: usize = 256;

/// The transmitting half.
pub(super) type VhostTx = PeerTx<Session>;

type Buffers = ArrayVec<(NonNull<u8>, u32), BUFFERS>;

impl Room for Queue {
    type Slot = Chain;
    type Broken = Broken;
    const BACKWARDS: Broken = Broken::Index;

    #[inline]
    fn there(&self) -> Result<u16, Broken> {
        self.waiting()
    }

    #[inline]
    fn look(&self, n: u16) -> Result<Chain, Broken> {
        let chain = self.chain(n, Direction::ToGuest)?;
        if let Some((at, _)) = chain.lone() {
            prefetch(at.as_ptr());
            claim(at.as_ptr().wrapping_add(HEADER));
        }
        Ok(chain)
    }
}

/// A burst on its way into one ring.
pub(super) struct Filled<'q> {
    queue: &'q Queue,
    mergeable: bool,
    /// The flags of headers that the guest is to see: none, unless it agreed to checksums (virtio 1.2, 5.1.6.4.1).
    flags: OffloadFlags,
    filled: u16,
    /// The chains from `filled` on.
    ahead: &'q mut Ahead<Chain>,
}

impl Filling for Filled<'_> {
    type Broken = Broken;

    /// Into as many chains as it takes.
    #[inline]
    fn put(&mut self, frame: &Frame<'_>, want: usize) -> Result<Put, Broken> {
        let Some(chain) = self.ahead.next(self.queue, want)? else { return Ok(Put::NoRoom) };
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

    #[inline]
    fn publish(&self) {
        if self.filled > 0 {
            self.queue.publish(self.filled);
        }
    }
}

impl<'q> Filled<'q> {
    fn new(queue: &'q Queue, features: u64, ahead: &'q mut Ahead<Chain>) -> Self {
        let flags = if features & GUEST_CSUM == 0 { OffloadFlags::empty() } else { OffloadFlags::all() };
        ahead.begin();
        Self { queue, mergeable: features & MRG_RXBUF != 0, flags, filled: 0, ahead }
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
                self.ahead.rewind(self.filled);
                return Ok(Put::Failed);
            }
            next = self.ahead.next(self.queue, usize::MAX)?;
        }
        self.ahead.rewind(self.filled);
        Ok(Put::NoRoom)
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

impl Taking for Session {
    type Slot = Chain;
    type Broken = Broken;
    type Ring<'r> = Filled<'r>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    #[inline]
    fn rings<'r>(&'r self, ahead: &'r mut [Ahead<Chain>]) -> impl Iterator<Item = Filled<'r>> {
        let running = self.receive_rings().iter().filter_map(Ring::running);
        running.zip(ahead).map(|(queue, ahead)| Filled::new(queue, self.features, ahead))
    }

    fn kick(&self) {
        self.receive_rings().iter().for_each(Ring::call_if_wanted);
    }
}
