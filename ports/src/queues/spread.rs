//! Frames to several queues.

use arrayvec::ArrayVec;

use super::MAX_QUEUES;
use crate::{BURST, Capabilities, Frame, Offload, Sent, Tx, flow};

/// How often in a row a queue may refuse, before its flows go to those of its neighbours that have room. A switch tries
/// every 1 to 70 us on behalf of who waits, so this is 1 to 70 ms: who takes frames off the queue is not running.
pub(super) const PATIENCE: u32 = 1000;

/// Sends every frame by the queue of its flow.
///
/// Where that has no room, the frame waits and all behind it, as [`Sent::taken`] has it: nothing is lost, and each flow
/// keeps its order. A queue that nobody works at any more must not hold up the others for ever: after [`PATIENCE`] its
/// flows go elsewhere, until it has room again.
pub(super) struct Spread {
    queues: Vec<Queue>,
    /// The queue that `reserve` was given a slot of.
    reserved: usize,
}

struct Queue {
    tx: Box<dyn Tx>,
    /// Frames were put into it since the last flush.
    touched: bool,
    /// Times in a row that it had no room.
    refusals: u32,
}

impl Queue {
    /// Copies frames in, as many as find room.
    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        let sent = self.tx.transmit(frames);
        self.touched |= sent.taken > 0;
        if sent.taken > 0 {
            self.refusals = 0;
        }
        if sent.taken < frames.len() {
            self.refusals = self.refusals.saturating_add(1);
        }
        sent
    }

    const fn is_abandoned(&self) -> bool {
        self.refusals > PATIENCE
    }
}

impl Spread {
    pub(super) fn new(queues: Vec<Box<dyn Tx>>) -> Self {
        let queue = |tx| Queue { tx, touched: false, refusals: 0 };
        Self { queues: queues.into_iter().map(queue).collect(), reserved: 0 }
    }

    fn queue_of(&self, frame: &Frame<'_>) -> u8 {
        u8::try_from(flow::spread(frame, self.queues.len())).unwrap_or(0) // there are at most `MAX_QUEUES`
    }

    /// Frames of one queue, as far as it, or one in its place, takes them.
    fn run(&mut self, at: usize, frames: &[Frame<'_>]) -> Sent {
        let Some(own) = self.queues.get_mut(at) else { return Sent::default() };
        let mut sent = own.transmit(frames);
        if !own.is_abandoned() {
            return sent;
        }
        for next in 1..self.queues.len() {
            let Some(rest) = frames.get(sent.taken..).filter(|rest| !rest.is_empty()) else { break };
            let other = (at + next) % self.queues.len();
            sent = add(sent, self.queues[other].transmit(rest));
        }
        sent
    }
}

const fn add(one: Sent, other: Sent) -> Sent {
    Sent { taken: one.taken + other.taken, frames: one.frames + other.frames, bytes: one.bytes + other.bytes }
}

impl Tx for Spread {
    fn capabilities(&self) -> Capabilities {
        self.queues.first().map_or_else(|| Capabilities::wire(0), |queue| queue.tx.capabilities())
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        let mut sent = Sent::default();
        for chunk in frames.chunks(BURST) {
            let queues = chunk.iter().map(|frame| self.queue_of(frame)).collect::<ArrayVec<_, BURST>>();
            for run in queues.chunk_by(|one, next| one == next) {
                let of_one = self.run(usize::from(run[0]), &frames[sent.taken..][..run.len()]);
                sent = add(sent, of_one);
                if of_one.taken < run.len() {
                    return sent;
                }
            }
        }
        sent
    }

    /// A slot of the queue that has room first: the bytes that decide on the flow are not there yet. For apps alone with
    /// the port; a switch transmits.
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        let has_room = |queue: &mut Queue| queue.tx.reserve(len).is_some();
        self.reserved = self.queues.iter_mut().position(has_room)?;
        self.queues.get_mut(self.reserved)?.tx.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        if let Some(queue) = self.queues.get_mut(self.reserved) {
            queue.tx.commit(len, offload);
            queue.touched = true;
        }
    }

    fn flush(&mut self) -> bool {
        let mut done = true;
        for queue in self.queues.iter_mut().filter(|queue| queue.touched) {
            queue.touched = !queue.tx.flush();
            done &= !queue.touched;
        }
        done
    }

    fn unsent(&self) -> u64 {
        self.queues.iter().map(|queue| queue.tx.unsent()).sum()
    }
}

const _: () = assert!(MAX_QUEUES <= u8::MAX as usize);
