//! Frames whose metadata lies, on their way to ports that take less than they say.

use ports::offload::Offloads;
use ports::{Capabilities, Frame, Offload, Sent, Tx};

use super::{Scratch, transmit};
use crate::load::Load;

/// A port that checks what it is given, and has little room at a time.
struct Sink {
    takes: Capabilities,
    room: usize,
    frames: usize,
}

impl Tx for Sink {
    fn capabilities(&self) -> Capabilities {
        self.takes
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        let taken = frames.len().min(self.room);
        let mut bytes = 0;
        for frame in &frames[..taken] {
            assert!(self.takes.takes(frame.len(), frame.offload()), "{frame:?} for {:?}", self.takes);
            assert_eq!(frame.to_vec().len(), frame.len());
            bytes += frame.len() as u64;
        }
        self.frames += taken;
        Sent { taken, frames: taken as u64, bytes }
    }

    fn reserve(&mut self, _: usize) -> Option<&mut [u8]> {
        None
    }

    fn commit(&mut self, _: usize, _: Offload) {}

    fn flush(&mut self) -> bool {
        true
    }
}

/// Has frames go through the offload stage: of the input, the first byte says what the port takes, the second how many frames
/// at a time, then comes a frame behind two bytes of length and ten of metadata, and another one, as long as there are.
///
/// # Panics
/// If the port is handed what it does not take, or a frame is lost that is not counted.
pub fn offload(input: &[u8]) {
    let [takes, room, rest @ ..] = input else { return };
    let offloads = Offloads::from_bits_truncate(*takes);
    let takes = if takes >> 7 == 0 { Capabilities::wire(1500) } else { Capabilities::all(1500) };
    let takes = Capabilities { offloads: takes.offloads & offloads, ..takes };
    let frames = frames(rest);
    let mut sink = Sink { takes, room: usize::from(*room % 64) + 1, frames: 0 };
    let (mut scratch, mut done, mut piece, mut refused) = (Scratch::new(), 0, 0, 0);
    while done < frames.len() {
        let mut starts = vec![0; frames.len() - done];
        starts[0] = piece;
        let load =
            Load { frames: &frames[done..], starts: if piece == 0 { &[] } else { &starts }, plain: None };
        let before = sink.frames;
        let transmitted = transmit(&mut sink, &takes, &load, &mut scratch);
        assert_eq!(sink.frames - before, transmitted.sent.taken);
        assert!(transmitted.done > 0 || transmitted.sent.taken > 0, "nothing moves");
        refused += transmitted.refused();
        (done, piece) = (done + transmitted.done, transmitted.pieces);
    }
    assert!(sink.frames as u64 + refused >= frames.len() as u64, "a frame is in no count");
}

/// The frames of an input.
fn frames(mut input: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let Some((metadata, rest)) = rest.split_first_chunk() else { break };
        let (frame, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        frames.push(Frame::with_offload(frame, Offload::from_bytes(*metadata)));
        input = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use ports::contract::corpus;

    #[test]
    fn the_corpus_does_no_harm() {
        for (name, input) in corpus("offload") {
            eprintln!("{name}");
            super::offload(&input);
        }
    }
}
