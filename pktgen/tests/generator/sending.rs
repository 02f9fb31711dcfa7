//! What goes out: which frames, how many, when it begins and what ends it.

use std::time::Duration;

use pktgen::{Config, Event, Frames, Function, Generator, Odometer, Rate};
use ports::{App, Frame, Mac, Progress, Time};
use proptest::prelude::*;

use crate::bed::{MS, SEC, assert_sound, cable, generator, sums, take};

#[test]
fn exactly_the_count_goes_out_whole_and_sound() {
    for (count, len) in [(1u64, 42u32), (511, 60), (513, 61), (10_000, 1514)] {
        let config = Config {
            count,
            frames: Frames { size: len.into(), ..Frames::default() },
            ..Config::new("test", Function::Tx)
        };
        let (mut app, events) = generator(config);
        let (mut far, mut near) = cable(256);
        let (mut frames, mut now, mut done) = (Vec::new(), 0, false);
        while !done {
            done = app.poll(&mut near, Time(now)).done;
            near.tx.flush();
            frames.extend(take(&mut far, 100));
            now += MS;
        }
        frames.extend(take(&mut far, usize::MAX));
        assert_eq!(frames.len() as u64, count);
        assert!(frames.iter().all(|f| f.len() == len as usize && *f == frames[0]));
        assert_sound(&frames[0]);
        let (intervals, last) = sums(&events.lock().unwrap());
        assert_eq!(last.map(|[p, b, _]| [p, b]), Some([count, count * u64::from(len)]));
        assert_eq!(Some(intervals), last);
        assert!(app.poll(&mut near, Time(now)).done, "done stays done");
        assert_eq!(take(&mut far, 1).len(), 0);
    }
}

#[test]
fn stations_are_those_asked_for() {
    let (asked, own) = (Mac::local("asked"), Mac::local("own"));
    for (config_mac, interface_mac, expected) in
        [(None, None, Mac::ZERO), (None, Some(own), own), (Some(asked), Some(own), asked)]
    {
        let config = Config {
            frames: Frames { src_mac: config_mac, dst_mac: asked, ..Frames::default() },
            count: 1,
            ..Config::new("test", Function::Tx)
        };
        let mut app = Generator::new(config, interface_mac, Box::new(drop)).unwrap();
        let (mut far, mut near) = cable(64);
        app.poll(&mut near, Time::ZERO);
        near.tx.flush();
        let frames = take(&mut far, 1);
        assert_eq!(Frame::new(&frames[0]).stations(), Some((asked, expected)));
    }
}

#[test]
fn the_wait_is_waited_and_cut_short_by_stop() {
    let config = Config { wait_s: 2, count: 1, ..Config::new("test", Function::Tx) };
    let (mut app, events) = generator(config.clone());
    let (mut far, mut near) = cable(64);
    let progress = app.poll(&mut near, Time(5));
    assert_eq!(progress, Progress { busy: false, deadline: Time(5 + 2 * SEC), done: false });
    assert!(!app.poll(&mut near, Time(4 + 2 * SEC)).busy);
    assert!(app.poll(&mut near, Time(5 + 2 * SEC)).busy);
    near.tx.flush();
    assert_eq!(take(&mut far, 9).len(), 1);
    assert!(app.poll(&mut near, Time(6 + 2 * SEC)).done);
    assert!(matches!(events.lock().unwrap()[..2], [Event::Start { burst: 512, .. }, Event::Ready]));

    let (mut app, events) = generator(config);
    app.poll(&mut near, Time(0));
    app.stop(Time(1));
    assert!(app.poll(&mut near, Time(1)).done);
    near.tx.flush();
    assert_eq!(take(&mut far, 9).len(), 0);
    assert_eq!(sums(&events.lock().unwrap()).1, Some([0; 3]));
}

#[test]
fn a_sender_gives_back_what_others_send_it() {
    let (mut far, mut near) = cable(64);
    let (mut app, _) = generator(Config { rate: Rate::Pps(1), ..Config::new("test", Function::Tx) });
    for now in 0..10 {
        assert_eq!(far.tx.transmit(&[Frame::new(&[0; 60]); 50]).taken, 50);
        far.tx.flush();
        app.poll(&mut near, Time(now));
    }
}

#[test]
fn frames_over_the_mtu_fail_the_run_with_a_reason() {
    let (mut far, mut near) = cable(64);
    let (mut app, events) = generator(Config {
        frames: Frames { size: 1515.into(), ..Frames::default() },
        ..Config::new("vale0:1", Function::Tx)
    });
    assert!(app.poll(&mut near, Time(0)).done);
    assert!(app.poll(&mut near, Time(1)).done);
    near.tx.flush();
    assert_eq!(take(&mut far, 1).len(), 0);
    let message =
        "vale0:1: -l 1515: the port takes frames of up to 1514 bytes at MTU 1500 (try: -l 1514)".to_owned();
    assert_eq!(*events.lock().unwrap(), [Event::Failed { message }]);
}

fn any_ends() -> impl Strategy<Value = (String, String)> {
    let end = (any::<[u8; 4]>(), 0u8..5, any::<u16>(), 0u16..5).prop_map(|([a, b, c, d], n, p, m)| {
        let (e, q) = (d.saturating_add(n), p.saturating_add(m));
        format!("{a}.{b}.{c}.{d}:{p}-{a}.{b}.{c}.{e}:{q}")
    });
    (end.clone(), end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the ranges, and however the ring fills and drains: the odometer's frames, in order, all sound.
    #[test]
    fn ranges_go_out_in_order_and_sound((src, dst) in any_ends(), drains in proptest::collection::vec(0usize..90, 1..40)) {
        let config = Config {
            frames: Frames {
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                size: 64.into(),
                ..Frames::default()
            },
            burst: 50,
            ..Config::new("test", Function::Tx)
        };
        let mut odometer = Odometer::new(config.frames.src, config.frames.dst);
        let (mut app, events) = generator(config);
        let (mut far, mut near) = cable(64);
        let mut total = 0;
        for (now, most) in drains.into_iter().chain([usize::MAX]).enumerate() {
            app.poll(&mut near, Time(now as u64));
            near.tx.flush();
            for frame in take(&mut far, most) {
                let flow = odometer.flow();
                let mut expected = flow.src.to_be_bytes()[12..].to_vec();
                expected.extend(&flow.dst.to_be_bytes()[12..]);
                expected.extend(flow.src_port.to_be_bytes());
                expected.extend(flow.dst_port.to_be_bytes());
                prop_assert_eq!(&frame[26..38], &expected[..]);
                assert_sound(&frame);
                odometer.advance();
                total += 1;
            }
        }
        app.stop(Time::from_secs(1) + Duration::ZERO);
        app.poll(&mut near, Time::from_secs(1));
        prop_assert_eq!(sums(&events.lock().unwrap()).1.map(|[p, ..]| p), Some(total));
    }
}
