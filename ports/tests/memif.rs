//! memif ports against each other, and against a program that lies.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use ports::contract::{Cable, Far, frame, suite};
use ports::memif::message::{Message, padded, text};
use ports::memif::stranger::{BUFFER, FROM_CLIENT, MEMORY, RINGS, SLOTS, Stranger, TO_CLIENT};
use ports::memif::{self, Options};
use ports::{Burst, Frame, Port, Reason, Time};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll as poll_for};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

const NEXT: u16 = 1;

/// A directory for sockets, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vale-memif-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("memif.sock")
    }

    fn server(&self) -> Options {
        Options { path: self.path(), client: false, id: 0, secret: String::new(), queues: 1 }
    }

    fn client(&self) -> Options {
        Options { client: true, ..self.server() }
    }

    /// Listens as another program does.
    fn listen(&self) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC;
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket");
        bind(&listener, &SocketAddrUnix::new(self.path()).expect("a path")).expect("bind");
        listen(&listener, 4).expect("listen");
        listener
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(options: &Options) -> Port {
    memif::open("m1", options.clone()).expect("open the port")
}

/// Polls until `done`, for up to twenty seconds.
fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let start = Time::now();
    while !done() {
        assert!(Time::now().since(start).as_secs() < 20, "{otherwise}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Nobody takes super-frames but who is not there.
fn is_connected(port: &Port) -> bool {
    port.tx.capabilities().offloads.is_empty()
}

/// A server and a client of ours, connected.
fn pair(place: &Place, queues: u8) -> (Port, Port) {
    let server = open(&Options { queues, ..place.server() });
    let client = open(&Options { queues, ..place.client() });
    eventually("no connection", || is_connected(&server) && is_connected(&client));
    (server, client)
}

/// Takes what waits in the port and gives it back.
fn poll(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(Frame::to_vec).collect();
    drop(burst);
    port.rx.release(frames.len());
    frames
}

fn send(port: &mut Port, frames: usize) -> u64 {
    let bytes = [7; 60];
    let sent = port.tx.transmit(&vec![Frame::new(&bytes); frames]);
    port.tx.flush();
    sent.frames
}

#[test]
fn the_contract_holds_for_a_server_and_for_a_client() {
    let place = Place::new("contract");
    for queues in [1, 3] {
        suite(&mut || {
            let (server, client) = pair(&place, queues);
            (server, Box::new(Cable::new(client)) as Box<dyn Far>)
        });
    }
    suite(&mut || {
        let (server, client) = pair(&place, 1);
        (client, Box::new(Cable::new(server)) as Box<dyn Far>)
    });
}

#[test]
fn frames_longer_than_a_buffer_go_in_chains() {
    let place = Place::new("chains");
    let mut port = open(&place.server());
    let stranger = Stranger::connect(&place.path());
    // Buffers of 500 bytes, into which an Ethernet frame goes in four.
    (0..SLOTS).for_each(|slot| {
        stranger.describe(TO_CLIENT, slot, [0, 0], 500, stranger.buffer(TO_CLIENT, slot));
    });
    stranger.introduce();
    eventually("no connection", || is_connected(&port));
    let sent = frame(1, 1514);
    assert_eq!(port.tx.transmit(&[Frame::new(&sent)]).frames, 1);
    assert_eq!(stranger.indices(TO_CLIENT).1, 4);
    let pieces = [(NEXT, 500), (NEXT, 500), (NEXT, 500), (0, 14)];
    let arrived: Vec<u8> = (0..)
        .zip(pieces)
        .flat_map(|(slot, (flags, len))| {
            let desc = stranger.get(RINGS[TO_CLIENT] + 128 + 16 * u32::from(slot), 8);
            assert_eq!(desc, [&[u8::try_from(flags).unwrap(), 0, 0, 0][..], &u32::to_le_bytes(len)].concat());
            stranger.get(stranger.buffer(TO_CLIENT, slot), len)
        })
        .collect();
    assert_eq!(arrived, sent);
    // Sixty slots are left: fifteen more of those go, and none in part.
    let sent = vec![Frame::new(&sent); 20];
    assert_eq!(port.tx.transmit(&sent).taken, 15);
    assert_eq!(stranger.indices(TO_CLIENT).1, SLOTS);
    // Back come the same, in pieces of any length.
    let sent = frame(2, 1400);
    for (slot, range) in (0..).zip([0..1, 1..13, 13..13, 13..1000, 1000..1400]) {
        let flags = if range.end < sent.len() { NEXT } else { 0 };
        let offset = stranger.buffer(FROM_CLIENT, slot);
        stranger.put(offset, &sent[range.clone()]);
        stranger.describe(FROM_CLIENT, slot, [flags, 0], u32::try_from(range.len()).unwrap(), offset);
    }
    stranger.set_head(FROM_CLIENT, 5);
    stranger.send(&frame(3, 60));
    eventually("nothing comes", || {
        let frames = poll(&mut port);
        frames.is_empty() || frames == [sent.clone(), frame(3, 60)] && stranger.indices(FROM_CLIENT).1 == 6
    });
}

#[test]
fn who_sleeps_is_kicked_and_who_polls_is_not() {
    let place = Place::new("kicks");
    let mut port = open(&place.server());
    let stranger = Stranger::connect(&place.path());
    stranger.introduce();
    eventually("no connection", || is_connected(&port));
    assert!(stranger.is_polled(FROM_CLIENT), "a port that was never armed wants kicks");
    assert!(!port.rx.arm());
    assert!(!stranger.is_polled(FROM_CLIENT));
    port.rx.disarm();
    assert!(stranger.is_polled(FROM_CLIENT));
    // The stranger's own ring says that it sleeps, as fresh memory does.
    let kicked = |port: &mut Port| {
        send(port, 3);
        let mut count = [0; 8];
        rustix::io::read(&stranger.events[TO_CLIENT], &mut count).is_ok()
    };
    assert!(kicked(&mut port));
    stranger.put(RINGS[TO_CLIENT] + 4, &[1, 0]);
    assert!(!kicked(&mut port));
}

/// A message of the introduction is told otherwise.
fn refused(name: &str, why: &str, lie: impl Fn(&Stranger) -> Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)>) {
    let place = Place::new(name);
    let mut port = open(&Options { secret: "open".to_owned(), ..place.server() });
    let stranger = Stranger::connect(&place.path());
    for (bytes, fds) in lie(&stranger) {
        if !stranger.say_bytes(&bytes, &fds) {
            break; // it has hung up already
        }
    }
    let mut last = None;
    while let Some((heard, _)) = stranger.hear() {
        last = Some(heard);
    }
    let Some(Message::Disconnect { reason, .. }) = last else { panic!("{name}: {last:?}") };
    assert!(text(&reason).contains(why), "{name}: {}", text(&reason));
    drop(stranger);
    // It may come again.
    let client = open(&Options { secret: "open".to_owned(), ..place.client() });
    eventually("the port is lost", || is_connected(&client) && is_connected(&port));
    assert_eq!(send(&mut port, 3), 3);
}

/// A message with the descriptors beside it.
struct Letter<'s> {
    message: Message,
    fds: Vec<BorrowedFd<'s>>,
}

/// The introduction with one letter changed.
fn with(
    stranger: &Stranger,
    number: usize,
    change: impl Fn(&mut Letter<'_>),
) -> Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)> {
    let letters = stranger.introduction().into_iter().enumerate().map(|(i, (message, fd))| {
        let mut letter = Letter { message, fds: fd.into_iter().collect() };
        if let Message::Init { secret, .. } = &mut letter.message {
            *secret = padded("open");
        }
        if i == number {
            change(&mut letter);
        }
        (letter.message.to_bytes().to_vec(), letter.fds)
    });
    letters.collect()
}

/// The introduction as it should be.
fn all(stranger: &Stranger) -> Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)> {
    with(stranger, usize::MAX, |_| {})
}

const INIT: usize = 0;
const REGION: usize = 1;
const RING: usize = 2;

#[test]
fn a_client_that_may_not_is_told_why() {
    let init = |change: fn(&mut u16, &mut u32, &mut u8, &mut [u8; 24])| {
        move |letter: &mut Letter<'_>| {
            if let Message::Init { version, id, mode, secret, .. } = &mut letter.message {
                change(version, id, mode, secret);
            }
        }
    };
    for (name, why, change) in [
        ("version", "only memif 2.0", init(|version, _, _, _| *version = 0x0201)),
        ("id", "no port with id=9", init(|_, id, _, _| *id = 9)),
        ("mode", "Ethernet", init(|_, _, mode, _| *mode = 1)),
        ("secret", "secret", init(|_, _, _, secret| *secret = padded("shut"))),
        ("prefix", "secret", init(|_, _, _, secret| *secret = padded("ope"))),
        ("longer", "secret", init(|_, _, _, secret| *secret = padded("opener"))),
        ("none", "secret", init(|_, _, _, secret| *secret = [0; 24])),
    ] {
        refused(name, why, |s| with(s, INIT, change));
    }
}

#[test]
fn regions_that_lie_are_refused() {
    let region =
        |index, size| move |letter: &mut Letter<'_>| letter.message = Message::AddRegion { index, size };
    for (name, why, index, size) in [
        ("turn", "region 1 is out of turn", 1, MEMORY),
        ("many", "region 65535 is out of turn", u16::MAX, MEMORY),
        ("empty", "a region of 0 bytes", 0, 0),
        ("huge", "a region of", 0, u64::MAX),
        ("short", "larger than its file", 0, MEMORY + 1),
        ("small", "in no region", 0, 64),
        ("cut", "in no region", 0, u64::from(RINGS[1]) + 128),
    ] {
        refused(name, why, |s| with(s, REGION, region(index, size)));
    }
    refused("twice", "region 0 is out of turn", |s| {
        let mut all = all(s);
        all.insert(REGION, all[REGION].clone());
        all
    });
    refused("no file", "a descriptor is missing", |s| with(s, REGION, |letter| letter.fds.clear()));
    refused("two files", "a descriptor too many", |s| {
        with(s, REGION, |letter| letter.fds = letter.fds.repeat(2))
    });
    refused("nine files", "a descriptor too many", |s| {
        with(s, REGION, |letter| letter.fds = letter.fds.repeat(9))
    });
    refused("event", "F_SEAL_SHRINK", |s| {
        let mut all = all(s);
        all[REGION].1 = vec![s.events[0].as_fd()];
        all
    });
}

#[test]
fn rings_that_lie_are_refused() {
    /// What is changed of a ring: index, region, offset, size, private bytes.
    type Change = fn(&mut u16, &mut u16, &mut u32, &mut u8, &mut u16);
    let ring = |change: Change| {
        move |letter: &mut Letter<'_>| {
            if let Message::AddRing { index, region, offset, log2_ring_size, private_hdr_size, .. } =
                &mut letter.message
            {
                change(index, region, offset, log2_ring_size, private_hdr_size);
            }
        }
    };
    let cases: [(&str, &str, Change); 13] = [
        ("turn", "ring 1 is out of turn", |index, _, _, _, _| *index = 1),
        ("many", "ring 65535 is out of turn", |index, _, _, _, _| *index = u16::MAX),
        ("region", "in no region", |_, region, _, _, _| *region = 1),
        ("last region", "in no region", |_, region, _, _, _| *region = u16::MAX),
        ("end", "in no region", |_, _, offset, _, _| *offset = u32::try_from(MEMORY).unwrap() - 128),
        ("past", "in no region", |_, _, offset, _, _| *offset = u32::MAX),
        ("askew", "in no region", |_, _, offset, _, _| *offset = 4),
        ("cookie", "no cookie", |_, _, offset, _, _| *offset = 0x8000),
        ("nothing", "a ring of 2^0 slots", |_, _, _, size, _| *size = 0),
        ("2^15", "a ring of 2^15 slots", |_, _, _, size, _| *size = 15),
        ("2^255", "a ring of 2^255 slots", |_, _, _, size, _| *size = 255),
        ("long", "in no region", |_, _, offset, size, _| (*offset, *size) = (0x1_1000, 14)),
        ("private", "private headers", |_, _, _, _, private| *private = 12),
    ];
    for (name, why, change) in cases {
        refused(name, why, |s| with(s, RING, ring(change)));
    }
    refused("one way", "missing in one direction", |s| {
        let mut all = all(s);
        all.remove(RING);
        all
    });
    refused("no event", "a descriptor is missing", |s| with(s, RING, |letter| letter.fds.clear()));
    refused("file", "no eventfd", |s| {
        let mut all = all(s);
        all[RING].1 = vec![s.file.as_fd()];
        all
    });
}

#[test]
fn words_that_make_no_sense_end_the_conversation_only() {
    let whole = |s: &Stranger| all(s).swap_remove(INIT).0;
    refused("unknown", "a message that there is not", |_| vec![(vec![77; 128], vec![])]);
    refused("half", "a message that there is not", |s| vec![(whole(s)[..64].to_vec(), vec![])]);
    refused("byte", "a message that there is not", |_| vec![(vec![3], vec![])]);
    refused("long", "a message that there is not", |s| vec![([whole(s), vec![0]].concat(), vec![])]);
    refused("huge", "a message that there is not", |s| vec![([whole(s), vec![0; 9000]].concat(), vec![])]);
    for message in [
        Message::Ack,
        Message::Connect { name: [0; 32] },
        Message::Connected { name: [0; 32] },
        Message::AddRegion { index: 0, size: MEMORY },
    ] {
        refused("order", "does not belong here", |_| vec![(message.to_bytes().to_vec(), vec![])]);
    }
    refused("again", "does not belong here", |s| {
        let mut all = all(s);
        all.push(all[REGION].clone());
        all
    });
}

/// A peer that does this loses its session, and may come again.
fn is_fatal(name: &str, attack: impl Fn(&Stranger)) {
    let place = Place::new(name);
    let mut port = open(&place.server());
    let stranger = Stranger::connect(&place.path());
    stranger.introduce();
    eventually("no connection", || is_connected(&port));
    stranger.send(&frame(0, 60));
    assert_eq!(poll(&mut port), [frame(0, 60)]);
    attack(&stranger);
    eventually(name, || {
        poll(&mut port);
        send(&mut port, 1);
        !is_connected(&port)
    });
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "{name}: not told");
    assert!(stranger.hear().is_none());
    assert_eq!((poll(&mut port).len(), send(&mut port, 3)), (0, 0));
    let counters = port.counters.read();
    assert_eq!(counters.rx_frames, counters.dropped(Reason::Error), "{name}: what is not read is counted");
    let client = open(&place.client());
    eventually("the port is lost", || is_connected(&client) && is_connected(&port));
    assert_eq!(send(&mut port, 3), 3);
}

#[test]
fn a_client_that_breaks_the_rules_loses_its_session() {
    is_fatal("ahead", |s| s.set_head(FROM_CLIENT, SLOTS + 2));
    is_fatal("back", |s| s.set_head(FROM_CLIENT, 0));
    is_fatal("room", |s| s.set_head(TO_CLIENT, 2 * SLOTS));
    let buffer = |ring, len, region, flags, offset| {
        move |s: &Stranger| {
            (0..SLOTS).for_each(|slot| s.describe(ring, slot, [flags, region], len, offset));
            s.set_head(FROM_CLIENT, 1 + if ring == FROM_CLIENT { SLOTS } else { 0 });
        }
    };
    let end = u32::try_from(MEMORY).unwrap();
    for ring in [FROM_CLIENT, TO_CLIENT] {
        is_fatal("region", buffer(ring, 60, 1, 0, 0));
        is_fatal("last", buffer(ring, 60, u16::MAX, 0, 0));
        is_fatal("offset", buffer(ring, 60, 0, 0, end - 59));
        is_fatal("past", buffer(ring, 60, 0, 0, u32::MAX));
        is_fatal("length", buffer(ring, u32::MAX, 0, 0, 0));
    }
    is_fatal("longest", buffer(FROM_CLIENT, 65_554, 0, 0, 0x1_0000));
    is_fatal("endless", buffer(FROM_CLIENT, 60, 0, NEXT, 0x1_0000));
    is_fatal("together", buffer(FROM_CLIENT, BUFFER, 0, NEXT, 0x1_0000));
    is_fatal("tiny", buffer(TO_CLIENT, 0, 0, 0, 0x1_0000));
}

/// The other way round: a server, which has our memory.
#[test]
fn a_server_that_breaks_the_rules_loses_its_session() {
    type Attack = fn(&Stranger);
    let attacks: [(&str, Attack); 5] = [
        ("ahead", |s| s.set_tail(TO_CLIENT, SLOTS + 1)),
        ("room", |s| s.set_tail(FROM_CLIENT, 2000)),
        ("length", |s| {
            s.describe(TO_CLIENT, 0, [0, 0], BUFFER + 1, 0);
            s.set_tail(TO_CLIENT, 1);
        }),
        ("endless", |s| {
            s.describe(TO_CLIENT, 0, [NEXT, 0], 60, 0);
            s.set_tail(TO_CLIENT, 1);
        }),
        ("back", |s| s.set_tail(TO_CLIENT, u16::MAX)),
    ];
    for (name, attack) in attacks {
        let place = Place::new(&format!("server-{name}"));
        let listener = place.listen();
        let mut port = open(&place.client());
        let accept = || Stranger::on(accept_with(&listener, SocketFlags::CLOEXEC).expect("the port comes"));
        let mut stranger = accept();
        stranger.serve();
        eventually("no connection", || is_connected(&port));
        attack(&stranger);
        eventually(name, || {
            poll(&mut port);
            send(&mut port, 1);
            !is_connected(&port)
        });
        assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "{name}: not told");
        // It comes again, with other memory.
        let mut stranger = accept();
        stranger.serve();
        eventually("no connection", || is_connected(&port));
        assert_eq!(send(&mut port, 3), 3);
    }
}

#[test]
fn a_server_that_says_nonsense_is_left() {
    let place = Place::new("nonsense");
    let listener = place.listen();
    let mut port = open(&place.client());
    let accept = || Stranger::on(accept_with(&listener, SocketFlags::CLOEXEC).expect("the port comes"));
    let hello = |version: u16, log2: u8| Message::Hello {
        name: [0xff; 32],
        min_version: version,
        max_version: version,
        max_region: 0,
        max_m2s_ring: u16::MAX,
        max_s2m_ring: u16::MAX,
        max_log2_ring_size: log2,
    };
    for message in [hello(0x0100, 10), hello(0x0200, 0), Message::Ack, Message::Connected { name: [0; 32] }] {
        let stranger = accept();
        stranger.say(&message, &[]);
        assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "{message:?}");
    }
    let stranger = accept();
    stranger.say(&hello(0x0200, 10), &[stranger.file.as_fd()]);
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "a descriptor with it");
    let stranger = accept();
    stranger.say(&hello(0x0200, 255), &[]);
    let said = stranger.hear();
    assert!(matches!(said, Some((Message::Init { .. }, None))), "{said:?}");
    stranger.say(&hello(0x0200, 10), &[]); // again
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))));
    let mut stranger = accept();
    stranger.serve();
    eventually("the port is lost", || is_connected(&port));
    assert_eq!(send(&mut port, 3), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a client writes into its memory: no crash, and the port ends as it should.
    #[test]
    fn no_descriptors_do_harm(
        slots in prop::collection::vec((0..2u16, 0..3u16, any::<u32>(), any::<u32>(), 0..4u8), 2 * SLOTS as usize),
        heads in prop::collection::vec((0..2usize, any::<u16>(), any::<bool>()), 0..8),
    ) {
        let place = Place::new("any");
        let mut port = open(&place.server());
        let stranger = Stranger::connect(&place.path());
        stranger.introduce();
        eventually("no connection", || is_connected(&port));
        for (slot, (flags, region, len, offset, wild)) in (0..).zip(slots) {
            let len = if wild & 1 == 0 { len % 3000 } else { len };
            let offset = if wild & 2 == 0 { offset % 300_000 } else { offset };
            stranger.describe(usize::from(slot / SLOTS), slot, [flags, region / 2], len, offset);
        }
        for (ring, index, wild) in heads {
            stranger.set_head(ring, if wild { index } else { index % (SLOTS + 1) });
            poll(&mut port);
            send(&mut port, 20);
        }
    }
}

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("socket");
    let port = open(&place.server());
    let error = memif::open("m2", place.server()).err().unwrap().to_string();
    assert!(error.contains("somebody listens"), "{error}");
    drop(port);
    eventually("the socket stays", || !place.path().exists());
    let error = memif::open("m2", Options { queues: 9, ..place.server() }).err().unwrap().to_string();
    assert!(error.contains("queues=9: 1 to 8"), "{error}");
    let secret = "x".repeat(24);
    let error = memif::open("m2", Options { secret, ..place.server() }).err().unwrap().to_string();
    assert!(error.contains("24 bytes, of at most 23"), "{error}");
    assert!(!place.path().exists());
}

#[test]
fn the_other_side_hears_of_a_port_that_is_detached() {
    let place = Place::new("detached");
    let port = open(&place.server());
    let stranger = Stranger::connect(&place.path());
    stranger.introduce();
    drop(port);
    let Some((Message::Disconnect { reason, .. }, None)) = stranger.hear() else { panic!("not told") };
    assert_eq!(text(&reason), "the port is detached");
    assert!(stranger.hear().is_none());
}

#[test]
fn a_sleeper_is_woken_by_its_session_too() {
    let place = Place::new("woken");
    let mut port = open(&place.server());
    assert!(!port.rx.arm());
    let stranger = Stranger::connect(&place.path());
    stranger.introduce();
    let fd = port.rx.fd().expect("a descriptor");
    let mut waiting = [PollFd::new(&fd, PollFlags::IN)];
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll_for(&mut waiting, Some(&patience)), Ok(1), "not woken");
    port.rx.disarm();
}

fn held() -> (usize, usize, usize) {
    let count = |dir: &str| std::fs::read_dir(dir).map_or(0, Iterator::count);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    (
        count("/proc/self/fd"),
        count("/proc/self/task"),
        maps.lines().filter(|l| l.contains("memfd:memif")).count(),
    )
}

#[test]
fn a_thousand_programs_leave_nothing_behind() {
    if std::env::args().all(|a| a != "a_thousand_programs_leave_nothing_behind") {
        // Other tests of this process open descriptors of their own: once more, alone.
        let alone = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "a_thousand_programs_leave_nothing_behind"])
            .output()
            .expect("run this test");
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
        return;
    }
    let place = Place::new("thousand");
    let mut port = open(&place.server());
    let mut cycle = |n: u32| {
        let stranger = Stranger::connect(&place.path());
        stranger.introduce();
        stranger.send(&frame(n, 60));
        eventually("nothing comes", || !poll(&mut port).is_empty());
        if n.is_multiple_of(2) {
            stranger.say(&Message::disconnect("enough"), &[]);
        }
    };
    cycle(0);
    eventually("the first stays", || held().2 == 0);
    let before = held();
    (1..1000).for_each(&mut cycle);
    eventually("something stays behind", || held() == before);
    // As client, with memory of its own.
    for _ in 0..100 {
        let client = open(&place.client());
        eventually("no connection", || is_connected(&client));
    }
    eventually("a client leaves something behind", || held() == before);
}
