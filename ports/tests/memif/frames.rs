//! Frames on their way, and who is woken for them.

use ports::contract::{Cable, Far, frame, suite};
use ports::memif::Options;
use ports::memif::stranger::{FROM_CLIENT, RINGS, SLOTS, Stranger, TO_CLIENT};
use ports::{Frame, Port};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::sockets::{Place, eventually, send, take};
use crate::{NEXT, client, open, path, server, until_connected};

/// A server and a client of ours, connected.
fn pair(place: &Place, queues: u8) -> (Port, Port) {
    let server = open(&Options { queues, ..server(place) });
    let client = open(&Options { queues, ..client(place) });
    until_connected(&server);
    until_connected(&client);
    (server, client)
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
    let mut port = open(&server(&place));
    let stranger = Stranger::connect(&path(&place));
    // Buffers of 500 bytes, into which an Ethernet frame goes in four.
    (0..SLOTS).for_each(|slot| {
        stranger.describe(TO_CLIENT, slot, [0, 0], 500, stranger.buffer(TO_CLIENT, slot));
    });
    stranger.introduce();
    until_connected(&port);
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
        let frames = take(&mut port);
        frames.is_empty() || frames == [sent.clone(), frame(3, 60)] && stranger.indices(FROM_CLIENT).1 == 6
    });
}

#[test]
fn who_sleeps_is_kicked_and_who_polls_is_not() {
    let place = Place::new("kicks");
    let mut port = open(&server(&place));
    let stranger = Stranger::connect(&path(&place));
    stranger.introduce();
    until_connected(&port);
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

#[test]
fn a_sleeper_is_woken_by_its_session_too() {
    let place = Place::new("woken");
    let mut port = open(&server(&place));
    assert!(!port.rx.arm());
    let stranger = Stranger::connect(&path(&place));
    stranger.introduce();
    let fd = port.rx.fd().expect("a descriptor");
    let mut waiting = [PollFd::new(&fd, PollFlags::IN)];
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut waiting, Some(&patience)), Ok(1), "not woken");
    port.rx.disarm();
}
