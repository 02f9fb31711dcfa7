//! A port and its far side, with the patience that a kernel in between asks for.

use std::time::Duration;

use super::{Far, sequence};
use crate::{BURST, Burst, Error, Frame, Offload, Port, Sent, Time};

/// How long a frame may be on its way: machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port under test and what is beyond it.
pub struct Link {
    /// The port.
    pub port: Port,
    /// Its far side.
    pub far: Box<dyn Far>,
}

impl Link {
    /// A port with its far side.
    #[must_use]
    pub fn new(port: Port, far: Box<dyn Far>) -> Self {
        Self { port, far }
    }

    /// The frames of the suite that one `receive` gives, and how many there were of all; none is released.
    pub fn look(&mut self) -> (Vec<Vec<u8>>, usize) {
        let mut burst = Burst::new();
        self.port.rx.receive(&mut burst);
        let frames = burst.iter().map(|f| f.to_vec()).filter(|f| sequence(f).is_some());
        (frames.collect(), burst.len())
    }

    /// The frames of the suite that one `receive` gives, all released.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let (frames, all) = self.look();
        self.port.rx.release(all);
        frames
    }

    /// Takes frames until there are `n`.
    ///
    /// # Panics
    /// If they do not come.
    pub fn take_exactly(&mut self, n: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        eventually("frames did not arrive", || {
            taken.extend(self.take());
            taken.len() >= n
        });
        assert_eq!(taken.len(), n, "more frames arrived than were sent");
        taken
    }

    /// Sends one frame from the far side, draining nothing.
    ///
    /// # Panics
    /// If there is no room.
    pub fn send(&mut self, frame: &[u8]) {
        assert!(self.far.send(frame, Offload::NONE), "no room for one frame of {} bytes", frame.len());
    }

    /// Transmits frames once, and flushes.
    pub fn put(&mut self, frames: &[Vec<u8>]) -> Sent {
        let frames: Vec<_> = frames.iter().map(|f| Frame::new(f)).collect();
        let sent = self.port.tx.transmit(&frames);
        self.port.tx.flush();
        assert!(
            sent.taken <= frames.len() && sent.frames <= sent.taken as u64,
            "{sent:?} of {}",
            frames.len()
        );
        sent
    }

    /// Transmits one frame, as often as it takes to find room.
    ///
    /// # Panics
    /// If it never does, or fails.
    pub fn put_one(&mut self, frame: &[u8], offload: Offload) {
        eventually("a frame found no room", || {
            let sent = self.port.tx.transmit(&[Frame::with_offload(frame, offload)]);
            self.port.tx.flush();
            assert_eq!(sent.frames, sent.taken as u64, "a frame of {} bytes failed", frame.len());
            sent.taken == 1
        });
    }

    /// The next frame at the far side.
    ///
    /// # Panics
    /// If none comes.
    pub fn arrives(&mut self) -> (Vec<u8>, Offload) {
        let mut arrived = None;
        eventually("no frame reached the far side", || {
            arrived = self.far.receive();
            arrived.is_some()
        });
        arrived.unwrap_or_default()
    }

    /// Checks that nothing more is on its way out: a marker that is sent arrives next.
    ///
    /// # Panics
    /// If something else comes first.
    pub fn nothing_else_left(&mut self) {
        let marker = super::frame(0xffff_fffe, 64);
        self.put_one(&marker, Offload::NONE);
        assert_eq!(self.arrives().0, marker, "a frame that nobody sent");
    }
}

/// Opens a port of which another has just been given up: the kernel frees queues and programs in its own time, which is
/// longer than users wait where many tests want it at once.
///
/// # Panics
/// If it stays taken, or cannot be opened.
pub fn open_when_free<T>(mut open: impl FnMut() -> Result<T, Error>) -> T {
    let mut opened = None;
    eventually("the port stays taken", || {
        match open() {
            Err(Error::Taken { .. }) => (),
            other => opened = Some(other.expect("open the port")),
        }
        opened.is_some()
    });
    opened.expect("it was opened")
}

/// Polls until `done`, yielding the processor: a kernel may want it to deliver.
///
/// # Panics
/// With `otherwise`, when it takes too long.
pub fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let start = Time::now();
    while !done() {
        assert!(Time::now().since(start) < PATIENCE, "{otherwise} within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Frames of the flood tests: more than the largest queue that backends have, of all sizes.
pub(super) fn many() -> Vec<Vec<u8>> {
    let sizes = (60..=1514).step_by(97).cycle();
    (0..).zip(sizes).take(70 * BURST).map(|(i, len)| super::frame(i, len)).collect()
}
