//! Programs that mean harm: whatever they say and write, nothing here panics or touches what is not theirs. See `fuzz/`.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};

use super::Options;
use super::client::Client;
use super::conversation::Conversation;
use super::message::{ETHERNET, Message, S2M, VERSION};
use super::peers::exchange;
use super::rx::MemifRx;
use super::server::Server;
use super::session::Shared;
use super::tx::MemifTx;
use crate::draft::Drafting;
use crate::peer::hostile::{Bytes, MESSAGES, descriptors, event, link, memfd, receive, say, transmit, write};
use crate::peer::{Told, socket};
use crate::ring::layout::COOKIE;
use crate::{Counters, Rx, Time};

/// A port without its socket.
struct Bare {
    shared: Arc<Shared>,
    rx: MemifRx,
    tx: Drafting<MemifTx>,
}

impl Bare {
    fn new() -> Self {
        let (waiting, link) = link();
        let shared = Arc::new(Shared::new("hostile", &waiting, 1).expect("descriptors"));
        let counters = Arc::<Counters>::default();
        Self {
            rx: MemifRx::new(shared.clone(), link.clone(), counters.clone()),
            tx: Drafting::new(MemifTx::new(shared.clone(), link), counters),
            shared,
        }
    }
}

fn options(client: bool) -> Options {
    Options { path: "/nowhere".into(), client, id: 0, secret: String::new(), queues: 2 }
}

/// Messages of any length with any descriptors, to a server, or to a client if the first byte is odd: two bytes (how many
/// bytes, and descriptors: how many and of which kind) and the packet, one behind the other. A packet that is to have 128
/// bytes is filled up with zeroes.
///
/// # Panics
/// If the port comes to harm.
pub fn messages(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut port = Bare::new();
    let mut conversation: Box<dyn Conversation> = if bytes.u8() % 2 == 0 {
        Box::new(Server::new("hostile", &options(false), port.shared.clone()))
    } else {
        Box::new(Client::new("hostile", &options(true), port.shared.clone()))
    };
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.expect("two sockets");
    socket::open(&ours).expect("time-outs");
    for _ in 0..MESSAGES {
        if bytes.is_empty() {
            break;
        }
        let [len, kinds] = bytes.array();
        let mut packet = bytes.take(usize::from(len % 64)).to_vec();
        packet.resize(if len < 128 { super::message::LEN } else { len.into() }, 0);
        say(&theirs, &[&packet], &descriptors(kinds));
    }
    shutdown(&theirs, Shutdown::Write).expect("to hang up");
    let told = Told::new("hostile");
    while let Ok(true) = exchange(&ours, &mut *conversation, &told) {
        receive(&mut port.rx, 0, Time::ZERO);
        transmit(&mut port.tx, 60, 2);
    }
}

/// A client's memory: two small rings, and buffers behind them.
const MEMORY: u64 = 1 << 16;
const LOG2: u8 = 4;
const RING: u64 = 0x400;
/// Bytes from the start of a ring.
const HEAD: u64 = 6;
const SLOTS: u64 = 128;

/// A client that writes anything into its rings: descriptors, indices, raw bytes. Steps, each a byte and what it wants.
///
/// # Panics
/// If the port comes to harm.
pub fn rings(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut port = Bare::new();
    let file = memfd(MEMORY);
    let _conversation = connect(&port, &file);
    let put = |at: u64, what: &[u8]| write(&file, MEMORY, at, what);
    let mut head = [0_u16; 2];
    while !bytes.is_empty() && port.shared.session().is_some() {
        let step = bytes.u8();
        let ring = usize::from(step >> 7);
        let base = ring as u64 * RING;
        match step % 8 {
            0 => {
                let (at, len) = (bytes.u16().into(), bytes.u8().into());
                put(at, bytes.take(len));
            }
            1 => {
                head[ring] = bytes.u16();
                put(base + HEAD, &head[ring].to_le_bytes());
            }
            2 | 3 => {
                let [slot, flags] = bytes.array();
                let (region, offset, len) = (u16::from(flags >> 1), bytes.u16(), bytes.u16());
                let words =
                    [u16::from(flags % 2).to_le_bytes(), region.to_le_bytes(), len.to_le_bytes(), [0; 2]];
                put(
                    base + SLOTS + 16 * u64::from(slot % 16),
                    &[words.concat(), offset.to_le_bytes().to_vec()].concat(),
                );
            }
            4 => {
                head[ring] = head[ring].wrapping_add(1);
                put(base + HEAD, &head[ring].to_le_bytes());
            }
            5 => receive(&mut port.rx, ring * 2, Time::ZERO),
            6 => {
                let (len, count) = (bytes.u16(), bytes.u8());
                transmit(&mut port.tx, usize::from(len % 2000), usize::from(count % 32));
            }
            _ => {
                port.rx.arm();
                port.rx.disarm();
            }
        }
    }
    receive(&mut port.rx, 0, Time::ZERO);
}

/// Comes to terms with the port, as a client does.
fn connect(port: &Bare, file: &OwnedFd) -> Server {
    let mut server = Server::new("hostile", &options(false), port.shared.clone());
    for ring in 0..2 {
        write(file, MEMORY, ring * RING, &COOKIE.to_le_bytes());
    }
    let file = file.try_clone().expect("a descriptor");
    let ring = |flags, offset| Message::AddRing {
        flags,
        index: 0,
        region: 0,
        offset,
        log2_ring_size: LOG2,
        private_hdr_size: 0,
    };
    let said = [
        (Message::Init { version: VERSION, id: 0, mode: ETHERNET, secret: [0; 24], name: [0; 32] }, None),
        (Message::AddRegion { index: 0, size: MEMORY }, Some(file)),
        (ring(S2M, 0), Some(event())),
        (ring(0, RING as u32), Some(event())),
        (Message::Connect { name: [0; 32] }, None),
    ];
    for (message, fd) in said {
        server.hear(message, fd).expect("what every client says");
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Burst;
    use crate::contract::corpus;

    #[test]
    fn the_corpus_does_no_harm() {
        for (target, play) in [("memif-messages", messages as fn(&[u8])), ("memif-rings", rings)] {
            for (name, input) in corpus(target) {
                eprintln!("{target}/{name}");
                play(&input);
            }
        }
    }

    /// That the steps reach what they are meant for.
    #[test]
    fn a_client_that_behaves_moves_frames() {
        let mut port = Bare::new();
        let file = memfd(MEMORY);
        let _conversation = connect(&port, &file);
        write(&file, MEMORY, SLOTS, &[0, 0, 0, 0, 60, 0, 0, 0, 0, 16, 0, 0]);
        write(&file, MEMORY, HEAD, &[1, 0]);
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        assert_eq!((burst.len(), burst[0].len()), (1, 60));
    }
}
