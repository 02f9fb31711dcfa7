//! The trivial port: receives nothing, swallows everything. Also the shortest description of the contract.

use crate::{Burst, Capabilities, Frame, Offload, Port, Rings, Rx, Sent, Tx};

/// A port named `null`: a sink for frames, and a source of none.
#[must_use]
pub fn open() -> Port {
    let slot = vec![0; Capabilities::MAX_SUPER_FRAME as usize];
    let rings = Rings { tx_slots: 1, tx_rings: 1, memory_bytes: slot.len() as u64, ..Rings::default() };
    Port { rings, ..Port::new(NullRx, NullTx { slot }) }
}

struct NullRx;

impl Rx for NullRx {
    fn receive<'a>(&'a mut self, _burst: &mut Burst<'a>) {}
    fn release(&mut self, _n: usize) {}
}

struct NullTx {
    slot: Vec<u8>,
}

impl Tx for NullTx {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all(Capabilities::MAX_SUPER_FRAME - 18)
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        let bytes = frames.iter().map(|f| f.len() as u64).sum();
        Sent { taken: frames.len(), frames: frames.len() as u64, bytes }
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.slot.get_mut(..len)
    }

    fn commit(&mut self, _len: usize, _offload: Offload) {}

    fn flush(&mut self) -> bool {
        true
    }
}
