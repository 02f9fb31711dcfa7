//! Words that a port does not take: it says why, and listens on.

use std::os::fd::{AsFd, BorrowedFd};

use ports::memif::Options;
use ports::memif::message::{Message, padded, text};
use ports::memif::stranger::{MEMORY, RINGS, Stranger};

use crate::sockets::{Place, eventually, send};
use crate::{accept, client, is_connected, listen, open, path, server};

/// A message of the introduction is told otherwise.
fn refused(name: &str, why: &str, lie: impl Fn(&Stranger) -> Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)>) {
    let place = Place::new(name);
    let mut port = open(&Options { secret: "open".to_owned(), ..server(&place) });
    let stranger = Stranger::connect(&path(&place));
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
    let client = open(&Options { secret: "open".to_owned(), ..client(&place) });
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
    for (name, at) in [("file first", 0), ("file last", 4)] {
        refused(name, "a descriptor too many", |s| {
            let mut all = all(s);
            all[at].1 = vec![s.file.as_fd()];
            all
        });
    }
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

#[test]
fn a_server_that_says_nonsense_is_left() {
    let place = Place::new("nonsense");
    let listener = listen(&place);
    let mut port = open(&client(&place));
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
        let stranger = accept(&listener);
        stranger.say(&message, &[]);
        assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "{message:?}");
    }
    let stranger = accept(&listener);
    stranger.say(&hello(0x0200, 10), &[stranger.file.as_fd()]);
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "a descriptor with it");
    let stranger = accept(&listener);
    stranger.say(&hello(0x0200, 255), &[]);
    let said = stranger.hear();
    assert!(matches!(said, Some((Message::Init { .. }, None))), "{said:?}");
    stranger.say(&hello(0x0200, 10), &[]); // again
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))));
    let mut stranger = accept(&listener);
    stranger.serve();
    eventually("the port is lost", || is_connected(&port));
    assert_eq!(send(&mut port, 3), 3);
}
