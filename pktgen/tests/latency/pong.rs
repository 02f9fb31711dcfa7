//! Answering.

use pktgen::{Config, Event, Frames, Function};
use ports::{App, Burst, Frame, Time};

use crate::common::{OWN, PEER, SEC, answer, cable, config, generator, is_sound, send, take, total};

/// Frames of a sender, as they come out of the cable.
fn frames(count: u64) -> Vec<Vec<u8>> {
    let src = "10.0.0.1:1-10.0.0.9:9000".parse().expect("a range");
    let frames = Frames { src, dst_mac: OWN, src_mac: Some(PEER), ..Frames::default() };
    let (mut app, _) = generator(Config { frames, count, ..Config::new("test", Function::Tx) });
    let (mut far, mut near) = cable(1024);
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        app.poll(&mut near, Time(0));
        near.tx.flush();
        all.extend(take(&mut far));
    }
    all
}

#[test]
fn pong_answers_all_in_order_and_what_finds_no_room_waits() {
    let asked = frames(500);
    let (mut app, events) = generator(Config { count: 500, ..config(Function::Pong) });
    let (mut far, mut near) = cable(64);
    let (mut to_ask, mut answers) = (asked.iter(), Vec::new());
    for round in 0.. {
        assert!(round < 100_000, "{} answers", answers.len());
        for _ in 0..20 {
            let Some(frame) = to_ask.as_slice().first() else { break };
            let taken = far.tx.transmit(&[Frame::new(frame)]).taken;
            far.tx.flush();
            to_ask.by_ref().take(taken).for_each(drop);
        }
        let progress = app.poll(&mut near, Time(round));
        near.tx.flush();
        if progress.done {
            break;
        }
        // Every fourth round only, and then less than the ring has: the answers pile up.
        if round % 4 == 3 {
            let mut burst = Burst::new();
            far.rx.receive(&mut burst);
            let n = burst.len().min(60);
            answers.extend(burst[..n].iter().map(|f| f.to_vec()));
            drop(burst);
            far.rx.release(n);
        }
        if answers.len() + 64 < asked.len() && to_ask.len() == 0 {
            assert!(progress.deadline <= Time(round + SEC), "it does not wait to be woken");
        }
    }
    answers.extend(take(&mut far));
    assert_eq!(answers, asked.iter().map(|f| answer(f)).collect::<Vec<_>>());
    assert!(answers.iter().all(|f| is_sound(f)));
    let events = events.lock().unwrap();
    assert!(matches!(events.last(), Some(Event::Final { packets: 500, bytes: 30_000, .. })), "{events:?}");
}

#[test]
fn pong_tells_what_it_cannot_answer() {
    let (mut app, events) = generator(config(Function::Pong));
    let (mut far, mut near) = cable(64);
    let from_group = [&OWN.octets()[..], &[1, 0, 0x5e, 0, 0, 1], &[0; 48]].concat();
    let to_group = [&[0xff; 6][..], &PEER.octets(), &[0; 48]].concat();
    send(&mut far, &from_group);
    send(&mut far, &[0; 13]);
    send(&mut far, &to_group);
    app.stop(Time(1));
    assert!(app.poll(&mut near, Time(1)).done);
    near.tx.flush();
    assert_eq!(take(&mut far), [[&PEER.octets()[..], &OWN.octets(), &[0; 48]].concat()]);
    let events = events.lock().unwrap();
    assert!(events.contains(&Event::Ignored { packets: 2 }), "{events:?}");
    assert!(matches!(events.last(), Some(Event::Final { packets: 1, .. })));
}

#[test]
fn pongs_answer_what_pings_ask() {
    let (mut ping, events) = generator(Config { count: 3000, burst: 16, ..config(Function::Ping) });
    let pong =
        Config { frames: Frames { src_mac: Some(PEER), ..Frames::default() }, ..config(Function::Pong) };
    let (mut pong, _) = generator(pong);
    let (mut near, mut far) = cable(64);
    for now in 0.. {
        assert!(now < SEC, "it comes to an end");
        let progress = ping.poll(&mut near, Time(now));
        near.tx.flush();
        pong.poll(&mut far, Time(now));
        far.tx.flush();
        if progress.done {
            break;
        }
    }
    let events = events.lock().unwrap();
    let all = total(&events);
    assert_eq!((all.sent, all.received, all.lost), (3000, 3000, 0));
    assert_eq!((all.rtt.min_ns(), all.rtt.max_ns()), (1, 1));
}
