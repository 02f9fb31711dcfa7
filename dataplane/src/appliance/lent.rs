//! A transmitting half that comes back from its switch.

use crossbeam::channel::{Receiver, Sender, bounded};
use ports::{Capabilities, Frame, Offload, Sent, Tx};

/// A half that says where it wants to go when it is dropped.
struct Lent {
    tx: Box<dyn Tx>,
    home: Sender<Box<dyn Tx>>,
}

/// Wraps `tx` so that dropping the wrapper sends it to the receiver.
pub(super) fn lend(tx: Box<dyn Tx>) -> (Box<dyn Tx>, Receiver<Box<dyn Tx>>) {
    let (home, returns) = bounded(1);
    (Box::new(Lent { tx, home }), returns)
}

impl Drop for Lent {
    fn drop(&mut self) {
        let tx = std::mem::replace(&mut self.tx, ports::null::open().tx);
        let _ = self.home.try_send(tx); // nobody there: nobody wants it back
    }
}

impl Tx for Lent {
    fn capabilities(&self) -> Capabilities {
        self.tx.capabilities()
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        self.tx.transmit(frames)
    }

    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.tx.reserve(len)
    }

    fn commit(&mut self, len: usize, offload: Offload) {
        self.tx.commit(len, offload);
    }

    fn repeat(&mut self, n: usize) -> usize {
        self.tx.repeat(n)
    }

    fn flush(&mut self) -> bool {
        self.tx.flush()
    }

    fn unsent(&self) -> u64 {
        self.tx.unsent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_when_dropped() {
        let (tx, returns) = lend(ports::null::open().tx);
        assert!(returns.try_recv().is_err());
        drop(tx);
        assert!(returns.try_recv().is_ok());
    }
}
