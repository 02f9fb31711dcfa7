//! Front-ends and guests that mean harm: whatever they say, nothing here panics or touches what is not theirs. One function
//! for each thing that a fuzzer can play with (`fuzz/`); the inputs it found are gone through again by the tests.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::control::Control;
use super::front_ends::hear;
use super::memory::Memory;
use super::message::Region;
use super::rx::VhostRx;
use super::session::Shared;
use super::tx::VhostTx;
use super::{EVENT_IDX, GUEST_TSO4, INDIRECT_DESC, MRG_RXBUF, Options, VERSION_1, features};
use crate::draft::Drafting;
use crate::peer::hostile::{Bytes, MESSAGES, descriptors, event, link, memfd, receive, say, transmit, write};
use crate::peer::{Told, socket};
use crate::piece::Piece;
use crate::{Counters, Rx, Time};

/// A port without its socket.
struct Bare {
    shared: Arc<Shared>,
    control: Control,
    rx: VhostRx,
    tx: Drafting<VhostTx>,
}

impl Bare {
    fn new() -> Self {
        let (waiting, link) = link();
        let shared = Arc::new(Shared::new("hostile", &waiting, 1).expect("descriptors"));
        let options =
            Options { path: "/nowhere".into(), client: false, queues: 2, workers: 1, offloads: true };
        Self {
            control: Control::new(options, shared.clone()),
            rx: VhostRx::new(shared.clone(), link.clone(), 0, Arc::default()),
            tx: Drafting::new(VhostTx::new(shared.clone(), link), Arc::<Counters>::default()),
            shared,
        }
    }

    /// A request that does not come by the socket. What is refused ends nothing here.
    fn say(&mut self, request: u32, payload: &[u8], fds: Vec<OwnedFd>) {
        let _ = self.control.request(request, false, payload, fds);
    }
}

/// Messages of any shape with any descriptors: five bytes (request, flags, announced size, size, descriptors: how many and of
/// which kind) and the payload, one message behind the other.
///
/// # Panics
/// If the port comes to harm.
pub fn messages(input: &[u8]) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    let ours = OwnedFd::from(ours);
    socket::open(&ours).expect("time-outs");
    let mut bytes = Bytes(input);
    let mut port = Bare::new();
    for _ in 0..MESSAGES {
        if bytes.is_empty() {
            break;
        }
        let [request, flags, announced, size, kinds] = bytes.array();
        let announced = if announced == u8::MAX { u32::MAX - 7 } else { announced.into() };
        let header = [request.into(), flags.into(), announced].map(u32::to_le_bytes).concat();
        let payload = bytes.take(size.into());
        say(&theirs, &[&header, payload], &descriptors(kinds));
    }
    theirs.shutdown(Shutdown::Write).expect("to hang up");
    let told = Told::new("hostile");
    while let Ok(true) = hear(&ours, &mut port.control, &told) {
        receive(&mut port.rx, 0, Time::ZERO);
        transmit(&mut port.tx, 60, 2);
    }
}

/// Tables of memory that overlap, wrap or lie: regions that come and go, and addresses that are looked up in them, each behind
/// a byte that says which.
///
/// # Panics
/// If the port comes to harm.
pub fn memory(input: &[u8]) {
    let files = [memfd(1 << 16), memfd(1 << 12), memfd(0)];
    let file = |n: u8| files[usize::from(n) % files.len()].try_clone().expect("a descriptor");
    let mut bytes = Bytes(input);
    let mut memory = Memory::default();
    while !bytes.is_empty() {
        let next = match bytes.u8() % 8 {
            0 => {
                let table: Vec<_> = (0..bytes.u8() % 9).map(|_| claim(&mut bytes)).collect();
                let fds: Vec<_> = (0..bytes.u8() % 9).map(&file).collect();
                Memory::of(&table, &fds)
            }
            1 | 2 => {
                let fd = file(bytes.u8());
                memory.with(claim(&mut bytes), &fd)
            }
            3 => Ok(memory.without(&claim(&mut bytes))),
            4 | 5 => {
                let (address, len) = (bytes.number(), bytes.number() as u32);
                touch(memory.user(address, len as usize).map(|at| Piece { start: at.as_ptr(), len }));
                continue;
            }
            _ => {
                let (address, len) = (bytes.number(), bytes.number() as u32);
                touch(memory.guest(address, len).map(|at| Piece { start: at.as_ptr(), len }));
                continue;
            }
        };
        memory = next.unwrap_or(memory);
    }
}

fn claim(bytes: &mut Bytes<'_>) -> Region {
    Region { guest: bytes.number(), len: bytes.number(), user: bytes.number(), offset: bytes.number() }
}

/// Reads the ends of what was found.
fn touch(found: Option<Piece>) {
    let Some(piece) = found.filter(|piece| piece.len > 0) else { return };
    let mut byte = [0; 1];
    assert_eq!(piece.copy_at(0, &mut byte) + piece.copy_at(piece.len as usize - 1, &mut byte), 2);
}

/// Guest memory: two small rings, and buffers behind them.
const MEMORY: u64 = 1 << 16;
const GUEST: u64 = 0x10_0000;
const USER: u64 = 0x7fff_0000_0000;
const SLOTS: u16 = 16;
const RING: u64 = 0x400;
const AVAILABLE: u64 = 0x200;
const USED: u64 = 0x300;
/// From one step to the next: a guest that transmits with every other goes on, and what it is to hear of comes due.
const STEP: Duration = Duration::from_micros(60);

/// A guest's driver that writes anything into its rings: descriptors, heads, indices, raw bytes; and has its rings stop and
/// start, be disabled and enabled, and its memory go and come while the port works on them. The first byte says what was
/// agreed on; then come steps, each a byte and what it wants.
///
/// # Panics
/// If the port comes to harm.
pub fn rings(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut port = Bare::new();
    let file = memfd(MEMORY);
    start(&mut port, &file, bytes.u8());
    let put = |at: u64, what: &[u8]| write(&file, MEMORY, at, what);
    let mut available = [0_u16; 2];
    let mut now = Time::ZERO;
    while !bytes.is_empty() && port.shared.broken().is_none() {
        let step = bytes.u8();
        now = now + STEP;
        let ring = usize::from(step >> 7);
        let base = ring as u64 * RING;
        match step % 8 {
            0 => {
                let (at, len) = (bytes.u16().into(), bytes.u8().into());
                put(at, bytes.take(len));
            }
            1 => {
                available[ring] = bytes.u16();
                put(base + AVAILABLE + 2, &available[ring].to_le_bytes());
            }
            2 | 3 => {
                let (slot, flags, at, len) = (bytes.u8(), bytes.u8(), bytes.u16(), bytes.u16());
                let words = [
                    (GUEST + u64::from(at)).to_le_bytes(),
                    (u64::from(len)
                        | u64::from(flags % 8) << 32
                        | u64::from(slot.wrapping_add(1) % 16) << 48)
                        .to_le_bytes(),
                ];
                put(base + 16 * u64::from(slot % 16), &words.concat());
            }
            4 => {
                let head = bytes.u8();
                put(base + AVAILABLE + 4 + 2 * u64::from(available[ring] % SLOTS), &[head, 0]);
                available[ring] = available[ring].wrapping_add(1);
                put(base + AVAILABLE + 2, &available[ring].to_le_bytes());
            }
            5 => receive(&mut port.rx, ring * 2, now),
            6 => {
                let (len, count) = (bytes.u16(), bytes.u8());
                transmit(&mut port.tx, usize::from(len % 2000), usize::from(count % 32));
            }
            _ if ring == 0 => {
                port.rx.arm();
                port.rx.disarm();
            }
            _ => {
                let what = bytes.u8();
                let number = u32::from(what % 4);
                match what >> 2 & 3 {
                    0 => port.say(18, &pair(number, u32::from(what >> 4 & 1)), vec![]),
                    1 => {
                        let region = [&[0; 8], &region()[..]].concat();
                        port.say(38, &region, vec![]);
                        port.say(37, &region, vec![file.try_clone().expect("a descriptor")]);
                    }
                    _ => {
                        port.say(11, &pair(number, 0), vec![]);
                        port.say(12, &u64::from(number).to_le_bytes(), vec![event()]);
                    }
                }
            }
        }
    }
    receive(&mut port.rx, 0, now);
}

/// Has both rings start, as a front-end does.
fn start(port: &mut Bare, file: &OwnedFd, agreed: u8) {
    let offered = features(true);
    let left_out = [INDIRECT_DESC, EVENT_IDX, MRG_RXBUF, GUEST_TSO4];
    let wanted = (0..)
        .zip(left_out)
        .filter(|(bit, _)| agreed >> bit & 1 == 1)
        .fold(offered, |all, (_, one)| all & !one);
    port.say(2, &(wanted | VERSION_1).to_le_bytes(), vec![]);
    port.say(5, &[pair(1, 0).to_vec(), region()].concat(), vec![file.try_clone().expect("a descriptor")]);
    for ring in 0..2 {
        let at = USER + u64::from(ring) * RING;
        let addresses = [at, at + USED, at + AVAILABLE, 0].map(u64::to_le_bytes).concat();
        port.say(8, &pair(ring, SLOTS.into()), vec![]);
        port.say(9, &[pair(ring, 0).to_vec(), addresses].concat(), vec![]);
        port.say(12, &u64::from(ring).to_le_bytes(), vec![event()]);
        port.say(13, &u64::from(ring).to_le_bytes(), vec![event()]);
        port.say(18, &pair(ring, 1), vec![]);
    }
}

/// All of guest memory, as it is announced.
fn region() -> Vec<u8> {
    [GUEST, MEMORY, USER, 0].map(u64::to_le_bytes).concat()
}

fn pair(first: u32, second: u32) -> [u8; 8] {
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Burst;
    use crate::contract::corpus;

    fn replay(target: &str, play: fn(&[u8])) {
        for (name, input) in corpus(target) {
            eprintln!("{target}/{name}");
            play(&input);
        }
    }

    #[test]
    fn the_corpus_does_no_harm() {
        replay("vhost-user-messages", messages);
        replay("vhost-user-memory", memory);
        replay("vhost-user-rings", rings);
    }

    /// That the steps reach what they are meant for.
    #[test]
    fn a_driver_that_behaves_moves_frames() {
        let mut port = Bare::new();
        let file = memfd(MEMORY);
        start(&mut port, &file, 0);
        assert!(port.shared.session().is_some());
        let descriptor = [(GUEST + 0x1000).to_le_bytes(), 100_u64.to_le_bytes()].concat();
        write(&file, MEMORY, RING, &descriptor);
        write(&file, MEMORY, RING + AVAILABLE + 2, &[1, 0]);
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        assert_eq!((burst.len(), burst[0].len(), burst[0].offload()), (1, 88, crate::Offload::NONE));
    }
}
