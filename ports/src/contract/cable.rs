//! The far side of a virtual port: the other end of its cable.

use super::Far;
use crate::{Burst, Frame, Offload, Port};

/// A port as the far side of another.
pub struct Cable {
    port: Port,
}

impl Cable {
    /// The other end of what is tested.
    #[must_use]
    pub const fn new(port: Port) -> Self {
        Self { port }
    }
}

impl Far for Cable {
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        let sent = self.port.tx.transmit(&[Frame::with_offload(frame, offload)]);
        self.port.tx.flush();
        sent.frames == 1
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        let mut burst = Burst::new();
        self.port.rx.receive(&mut burst);
        let first = burst.first().map(|frame| (frame.to_vec(), frame.offload()));
        drop(burst);
        self.port.rx.release(first.is_some().into());
        first
    }

    fn carries_offloads(&self) -> bool {
        !self.port.tx.capabilities().offloads.is_empty()
    }
}
