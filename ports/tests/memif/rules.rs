//! Rings that break the rules: their session ends, and nothing else.

use ports::contract::frame;
use ports::memif::message::Message;
use ports::memif::stranger::{BUFFER, FROM_CLIENT, MEMORY, SLOTS, Stranger, TO_CLIENT};
use ports::{Peer, Port, Reason};
use proptest::prelude::*;

use crate::sockets::{Place, eventually, poll, send, take};
use crate::{NEXT, accept, client, is_connected, listen, open, path, peer, server, until_connected};

/// The port gives up the session with this peer, and tells it.
fn loses_its_session(name: &str, port: &mut Port, stranger: &Stranger) {
    eventually(name, || {
        poll(port);
        send(port, 1);
        !is_connected(port)
    });
    assert!(matches!(stranger.hear(), Some((Message::Disconnect { .. }, None))), "{name}: not told");
}

/// A peer that does this loses its session, and may come again.
fn is_fatal(name: &str, attack: impl Fn(&Stranger)) {
    let place = Place::new(name);
    let mut port = open(&server(&place));
    let stranger = Stranger::connect(&path(&place));
    stranger.introduce();
    until_connected(&port);
    stranger.send(&frame(0, 60));
    assert_eq!(take(&mut port), [frame(0, 60)]);
    attack(&stranger);
    loses_its_session(name, &mut port, &stranger);
    assert!(stranger.hear().is_none());
    assert_eq!((poll(&mut port), send(&mut port, 3)), (0, 0));
    let Peer::Ended(why) = peer(&port) else { panic!("{name}: {}", peer(&port)) };
    assert!(why.starts_with("the other side broke the rules: "), "{name}: {why}");
    let counters = port.counters.read();
    assert_eq!(counters.rx_frames, counters.dropped(Reason::Error), "{name}: what is not read is counted");
    let client = open(&client(&place));
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
        let listener = listen(&place);
        let mut port = open(&client(&place));
        let mut stranger = accept(&listener);
        stranger.serve();
        until_connected(&port);
        attack(&stranger);
        loses_its_session(name, &mut port, &stranger);
        // It comes again, with other memory.
        let mut stranger = accept(&listener);
        stranger.serve();
        until_connected(&port);
        assert_eq!(send(&mut port, 3), 3);
    }
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
        let mut port = open(&server(&place));
        let stranger = Stranger::connect(&path(&place));
        stranger.introduce();
        until_connected(&port);
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
