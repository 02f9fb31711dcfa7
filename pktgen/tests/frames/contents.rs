//! What stands in the frames: everything together, rubbish, and frames as they are shown.

use pktgen::{Config, Event, Frames, Function, Payload, Size};
use ports::{App, Capabilities, Frame, Offload, Time};
use proptest::prelude::*;

use crate::bed::{cable, ends, generator, sent, take, total, v6};

fn any_frames() -> impl Strategy<Value = Frames> {
    let tags = proptest::collection::vec((0u16..4095, 0u8..8), 0..3);
    let size = prop_oneof![
        (78u32..2000).prop_map(Size::Fixed),
        (78u32..200, 0u32..3000).prop_map(|(least, more)| Size::Random { least, most: least + more }),
        Just(Size::Imix),
    ];
    let ranges = prop_oneof![
        Just(("10.0.0.1", "10.1.0.1")),
        Just(("10.0.0.1:1-10.0.0.3:2", "10.1.0.1-10.1.0.2")),
        Just(("fd00::1", "fd00::2")),
        Just(("3@[fd00::1]:7-[fd00:0:0:2::1]:9", "[fd00::1]:7")),
    ];
    let payload = prop_oneof![
        Just(Payload::Netmap),
        Just(Payload::Ones),
        Just(Payload::Random),
        Just(Payload::Bytes(vec![0xff, 0xff, 0]))
    ];
    (tags, size, ranges, payload, any::<[bool; 2]>(), any::<u64>()).prop_map(
        |(tags, size, (src, dst), payload, [random_src, random_dst], seed)| Frames {
            vlans: tags
                .iter()
                .map(|(id, priority)| format!("{id}:{priority}").parse().expect("sound"))
                .collect(),
            size,
            src: src.parse().expect("sound"),
            dst: dst.parse().expect("sound"),
            random_src,
            random_dst,
            payload,
            seed: Some(seed),
            ..Frames::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every combination of family, tags, sizes, flows and payload.
    #[test]
    fn whatever_is_asked_for_is_sound_and_counted(frames in any_frames(), numbered: bool) {
        let function = if numbered { Function::Txseq } else { Function::Tx };
        let (frames, events) = sent(frames, function, 100);
        for (number, frame) in frames.iter().enumerate() {
            let body = ends(frame).body;
            if numbered {
                prop_assert_eq!(&frame[body..body + 4], &u32::try_from(number).expect("sound").to_be_bytes());
            }
        }
        let bytes: usize = frames.iter().map(Vec::len).sum();
        prop_assert_eq!(total(&events), (100, bytes as u64));
    }
}

#[test]
fn rubbish_is_what_stood_there() {
    let (mut app, _) = generator(Config {
        frames: Frames { rubbish: true, ..Frames::default() },
        count: 256,
        burst: 256,
        ..Config::new("test", Function::Tx)
    });
    let (mut far, mut near) = cable();
    let mine: Vec<_> = (0..=255).map(|n| [n; 60]).collect();
    for bytes in &mine {
        let slot = near.tx.reserve(60).expect("sound");
        slot.copy_from_slice(bytes);
        near.tx.commit(60, Offload::NONE);
    }
    near.tx.flush();
    assert_eq!(take(&mut far), mine);
    app.poll(&mut near, Time(0));
    near.tx.flush();
    let mut rubbish = take(&mut far);
    rubbish.sort(); // the ring may go on at any slot
    assert_eq!(rubbish.len(), 256);
    assert!(rubbish.iter().all(|f| f.iter().all(|b| *b == f[0])), "nothing was written");
}

#[test]
fn all_frames_of_a_short_run_are_shown() {
    let config = Config { dump: true, count: 200, ..Config::new("test", Function::Tx) };
    let (mut app, sender) = generator(config.clone());
    let (mut receiver_app, receiver) = generator(Config { function: Function::Rx, ..config });
    let (mut far, mut near) = cable();
    app.poll(&mut near, Time(0));
    near.tx.flush();
    receiver_app.poll(&mut far, Time(0));
    for events in [sender, receiver] {
        let events = events.lock().expect("sound");
        let shown: Vec<_> =
            events.iter().filter(|e| matches!(e, Event::Dump { .. })).map(|e| format!("{e:?}")).collect();
        assert_eq!(shown.len(), 200);
        assert!(shown[199].starts_with("Dump { number: 199, len: 60, bytes: [255, 255"), "{}", shown[199]);
    }
}

#[test]
fn pings_and_their_answers_are_shown() {
    let config = Config { dump: true, count: 1, ..Config::new("test", Function::Ping) };
    let (mut asking, pings) = generator(config.clone());
    let (mut answering, pongs) = generator(Config { function: Function::Pong, ..config });
    let (mut far, mut near) = cable();
    for now in 0..2 {
        asking.poll(&mut near, Time(now));
        near.tx.flush();
        answering.poll(&mut far, Time(now));
        far.tx.flush();
    }
    let shown = |events: &crate::bed::Events| {
        let events = events.lock().expect("sound");
        events.iter().filter(|e| matches!(e, Event::Dump { .. })).count()
    };
    assert_eq!((shown(&pings), shown(&pongs)), (2, 1));
}

#[test]
fn what_the_port_does_not_take_is_refused() {
    let wire = Capabilities::wire(1500);
    let refusal = |frames: Frames| {
        let config = Config { frames, ..Config::new("eth0", Function::Tx) };
        config.check_port(wire).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(refusal(Frames { size: Size::Imix, ..Frames::default() }), "");
    assert!(refusal(Frames { size: 1515.into(), ..v6() }).starts_with("eth0: -l 1515: the port takes"));
    let receiver =
        Config { frames: Frames { size: 9000.into(), ..v6() }, ..Config::new("eth0", Function::Rx) };
    assert_eq!(receiver.check_port(wire), Ok(()));
    let frame = sent(v6(), Function::Tx, 1).0.remove(0);
    assert_eq!(Frame::new(&frame).len(), 80);
}
