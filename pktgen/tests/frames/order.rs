//! Numbered frames, from one end to the other.

use pktgen::{Config, Event, Frames, Function, Order, Trouble};
use ports::{App, Frame, Mac, Offload, Port, Time};

use crate::bed::{Events, cable, generator, sent, v6};

/// Hands these frames to a receiver, at one time, and ends it.
fn received(frames: &[Vec<u8>]) -> Vec<Event> {
    let (mut app, events) = generator(Config::new("test", Function::Rxseq));
    let (mut far, mut near) = cable();
    app.poll(&mut near, Time(0));
    for some in frames.chunks(100) {
        pass(&mut far, some);
        app.poll(&mut near, Time(1));
    }
    app.stop(Time(2));
    app.poll(&mut near, Time(2));
    said(&events)
}

fn pass(far: &mut Port, frames: &[Vec<u8>]) {
    for frame in frames {
        assert_eq!(far.tx.transmit(&[Frame::with_offload(frame, Offload::NONE)]).taken, 1);
    }
    far.tx.flush();
}

fn said(events: &Events) -> Vec<Event> {
    events.lock().expect("sound").clone()
}

fn order(events: &[Event]) -> Order {
    let totals: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::OrderTotal(order) = e { Some(*order) } else { None })
        .collect();
    assert_eq!(totals.len(), 1, "{events:?}");
    assert!(matches!(events[events.len() - 2..], [Event::OrderTotal(_), Event::Final { .. }]));
    totals[0]
}

fn troubles(events: &[Event]) -> Vec<Trouble> {
    events
        .iter()
        .filter_map(|e| if let Event::Sequence(trouble) = e { Some(*trouble) } else { None })
        .collect()
}

fn numbered(count: u64) -> Vec<Vec<u8>> {
    sent(Frames::default(), Function::Txseq, count).0
}

#[test]
fn numbers_stand_where_netmaps_do() {
    for (frames, at) in [
        (Frames::default(), 42),
        (v6(), 62),
        (Frames { vlans: vec!["7".parse().expect("sound")], ..Frames::default() }, 46),
        (Frames { vlans: vec!["7".parse().expect("sound"); 2], ..v6() }, 70),
    ] {
        let frames = sent(frames, Function::Txseq, 300).0;
        for (number, frame) in (0u32..).zip(&frames) {
            assert_eq!(frame[at..at + 4], number.to_be_bytes());
        }
        let events = received(&frames);
        assert_eq!((order(&events), troubles(&events)), (Order::default(), vec![]));
    }
}

#[test]
fn what_is_missing_late_or_twice_is_told() {
    let mut frames = numbered(300);
    frames.swap(10, 11);
    frames.insert(20, frames[15].clone());
    frames.drain(50..55);
    let events = received(&frames);
    assert_eq!(order(&events), Order { lost: 5, duplicated: 1, reordered: 1, untracked: 0 });
    assert_eq!(
        troubles(&events),
        [
            Trouble::Gap { expected: 10, found: 11 },
            Trouble::OutOfOrder { expected: 12, found: 10 },
            Trouble::OutOfOrder { expected: 20, found: 15 },
            Trouble::Gap { expected: 49, found: 54 },
        ]
    );
}

#[test]
fn two_lines_of_a_kind_a_second() {
    let frames: Vec<_> = numbered(400).into_iter().step_by(3).collect();
    let events = received(&frames);
    assert_eq!(troubles(&events).len(), 2, "all at one time");
    assert_eq!(order(&events).lost, 2 * 133);

    let (mut app, events) = generator(Config::new("test", Function::Rxseq));
    let (mut far, mut near) = cable();
    for (now, frame) in (0..).zip(&frames) {
        pass(&mut far, std::slice::from_ref(frame));
        app.poll(&mut near, Time(now * 100_000_000));
    }
    assert_eq!(troubles(&said(&events)).len(), 28, "134 frames in the seconds 0 to 13");
}

/// netmap has one flag for all rings that the first frame was seen: all but one source begin with a false report.
#[test]
fn each_source_begins_with_a_number_of_its_own() {
    let from = |name: &str, skip| {
        let frames = Frames { src_mac: Some(Mac::local(name)), ..Frames::default() };
        sent(frames, Function::Txseq, 300).0.split_off(skip)
    };
    let (a, b) = (from("a", 0), from("b", 200));
    let both: Vec<_> = a.into_iter().zip(b).flat_map(<[Vec<u8>; 2]>::from).collect();
    let events = received(&both);
    assert_eq!((order(&events), troubles(&events)), (Order::default(), vec![]));
}

#[test]
fn frames_without_a_number_are_told_of_or_let_be() {
    let short = sent(Frames { size: 45.into(), ..Frames::default() }, Function::Tx, 3).0;
    let mut frames = numbered(10);
    frames.splice(5..5, short);
    let mut arp = vec![0xff; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    frames.insert(2, arp);
    frames.insert(3, vec![1; 7]);
    let events = received(&frames);
    assert_eq!(troubles(&events), [Trouble::Short { len: 45 }]);
    assert_eq!(order(&events), Order::default());
    let Some(Event::Final { packets: 15, .. }) = events.last() else { panic!("{events:?}") };
}

#[test]
fn both_end_after_their_count() {
    let frames = numbered(7);
    assert_eq!(frames.len(), 7);
    let (mut app, events) = generator(Config { count: 5, ..Config::new("test", Function::Rxseq) });
    let (mut far, mut near) = cable();
    pass(&mut far, &frames);
    app.poll(&mut near, Time(0));
    assert!(app.poll(&mut near, Time(1)).done);
    assert!(matches!(said(&events).last(), Some(Event::Final { packets: 5, .. })));
}

#[test]
fn each_interval_says_how_it_stands() {
    let (mut app, events) = generator(Config::new("test", Function::Rxseq));
    let (mut far, mut near) = cable();
    let frames = numbered(20);
    app.poll(&mut near, Time(0));
    pass(&mut far, &frames[..5]);
    pass(&mut far, &frames[8..]);
    app.poll(&mut near, Time::from_secs(1));
    let events = said(&events);
    let [.., Event::Order(order), Event::Interval { packets: 17, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(order.lost, 3);
}
