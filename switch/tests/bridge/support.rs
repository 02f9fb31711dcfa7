//! In-memory ports whose room and capabilities a test chooses, and frames that say who sent them and when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use ports::{Burst, Capabilities, Counters, Frame, Mac, Offload, Reason, Rx, Sent, Tx};
use switch::{Joining, PortIndex, Switch, WhenFull};

/// Frames on their way into the switch.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) frames: VecDeque<(Vec<u8>, Offload)>,
}

impl Rx for Source {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        for (bytes, offload) in &self.frames {
            if burst.try_push(Frame::with_offload(bytes, *offload)).is_err() {
                return;
            }
        }
    }

    fn release(&mut self, n: usize) {
        self.frames.drain(..n);
    }
}

/// What a sink has, and can have.
pub(crate) struct Store {
    pub(crate) room: usize,
    pub(crate) takes: Capabilities,
    pub(crate) got: Vec<(Vec<u8>, Offload)>,
    pub(crate) flushes: usize,
    /// A flush leaves something behind.
    pub(crate) busy: bool,
    /// Frames and bytes that a test has looked at and taken away.
    pub(crate) delivered: (u64, u64),
    /// Frames that the sink should not have been handed.
    pub(crate) unfit: usize,
}

/// The far side of a port: keeps what it is sent, as long as it has room.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Mutex<Store>>);

impl Sink {
    pub(crate) fn new(takes: Capabilities) -> Self {
        Self(Arc::new(Mutex::new(Store {
            room: usize::MAX,
            takes,
            got: Vec::new(),
            flushes: 0,
            busy: false,
            delivered: (0, 0),
            unfit: 0,
        })))
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }
}

impl Tx for Sink {
    fn capabilities(&self) -> Capabilities {
        self.store().takes
    }

    fn transmit(&mut self, frames: &[Frame<'_>]) -> Sent {
        let mut store = self.store();
        let mut sent = Sent::default();
        for frame in frames.iter().take(store.room) {
            store.unfit += usize::from(!store.takes.takes(frame.len(), frame.offload()));
            store.got.push((frame.to_vec(), frame.offload()));
            sent.taken += 1;
            sent.frames += 1;
            sent.bytes += frame.len() as u64;
        }
        store.room -= sent.taken;
        sent
    }

    fn reserve(&mut self, _len: usize) -> Option<&mut [u8]> {
        None
    }

    fn commit(&mut self, _len: usize, _offload: Offload) {}

    fn flush(&mut self) -> bool {
        let mut store = self.store();
        store.flushes += 1;
        !store.busy
    }
}

/// A member as a test sees it.
pub(crate) struct TestPort {
    pub(crate) index: PortIndex,
    pub(crate) source: Source,
    pub(crate) sink: Sink,
    pub(crate) counters: Arc<Counters>,
}

impl TestPort {
    pub(crate) fn join(switch: &Switch, name: &str, when_full: WhenFull, takes: Capabilities) -> Self {
        let (sink, counters) = (Sink::new(takes), Arc::<Counters>::default());
        let tx = Box::new(sink.clone());
        let index = switch
            .join(Joining { name: name.to_owned(), tx, counters: counters.clone(), when_full })
            .unwrap();
        Self { index, source: Source::default(), sink, counters }
    }

    pub(crate) fn send(&mut self, frame: Vec<u8>) {
        self.source.frames.push_back((frame, Offload::NONE));
    }

    pub(crate) fn dropped(&self, reason: Reason) -> u64 {
        self.counters.read().dropped(reason)
    }

    /// What arrived since the last time.
    pub(crate) fn got(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sink.store().got).into_iter().map(|(bytes, _)| bytes).collect()
    }

    /// How many frames arrived since the last time.
    pub(crate) fn count(&self) -> usize {
        self.got().len()
    }
}

pub(crate) fn mac(n: u64) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n)
}

/// A frame between two stations, 60 bytes.
pub(crate) fn frame(dst: Mac, src: Mac) -> Vec<u8> {
    marked(dst, src, 0, 0, 60)
}

/// A frame of which [`mark`] tells the sender and the number.
pub(crate) fn marked(dst: Mac, src: Mac, sender: u8, number: u32, len: usize) -> Vec<u8> {
    let mut frame = header(dst, src, 0x88b5);
    frame.push(sender);
    frame.extend((number << 16).to_be_bytes());
    frame.resize(len.max(19), 0);
    frame
}

/// A TCP segment over IPv4 with `payload` bytes, its checksum left open, marked like [`marked`].
pub(crate) fn marked_tcp(dst: Mac, src: Mac, sender: u8, number: u32, payload: usize) -> Vec<u8> {
    let mut frame = header(dst, src, 0x0800);
    let total = u16::try_from(40 + payload).unwrap();
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, sender, 10, 0, 0, 255, 0, 80, 0, 80]);
    frame.extend((number << 16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
    frame.resize(54 + payload, 7);
    frame
}

/// Metadata of a TCP super-frame over IPv4 without tags or options.
pub(crate) fn tso(gso_size: u16) -> Offload {
    Offload { flags: 1, gso_type: Offload::GSO_TCPV4, hdr_len: 54, gso_size, csum_start: 34, csum_offset: 16 }
}

/// Sender and number of a frame made by the functions above, or of a segment of it, whose numbers increase too.
pub(crate) fn mark(frame: &[u8]) -> (u8, u32) {
    let (sender, at) = if frame[12..14] == [0x88, 0xb5] { (frame[14], 15) } else { (frame[29], 38) };
    (sender, u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()))
}

fn header(dst: Mac, src: Mac, ethertype: u16) -> Vec<u8> {
    let mut frame = dst.octets().to_vec();
    frame.extend(src.octets());
    frame.extend(ethertype.to_be_bytes());
    frame
}

/// `rx + copies` and `tx + drops`, summed over these ports: equal after every pass.
pub(crate) fn balance<'a>(counters: impl IntoIterator<Item = &'a Arc<Counters>>) -> (u64, u64) {
    let all = counters.into_iter().map(|c| c.read());
    all.fold((0, 0), |(i, o), t| (i + t.rx_frames + t.copies, o + t.tx_frames + t.drops()))
}
