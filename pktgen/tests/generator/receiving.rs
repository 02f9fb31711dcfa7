//! Receivers: what they count, report and end on.

use pktgen::{Config, Event, Function};
use ports::{App, Frame, Time};

use crate::bed::{MS, SEC, cable, generator, seconds, sums, take};

#[test]
fn a_receiver_counts_what_comes_and_no_more_than_asked() {
    let (mut app, events) = generator(Config { count: 700, burst: 100, ..Config::new("test", Function::Rx) });
    let (mut far, mut near) = cable(1024);
    assert_eq!(app.poll(&mut near, Time(0)).deadline, Time(SEC), "a report is due");
    app.poll(&mut near, Time(SEC));
    let frames = [Frame::new(&[7; 60]); 200];
    let mut now = SEC;
    for _ in 0..5 {
        assert_eq!(far.tx.transmit(&frames).taken, 200);
        far.tx.flush();
        now += 100 * MS;
        app.poll(&mut near, Time(now));
        app.poll(&mut near, Time(now));
    }
    assert!(app.poll(&mut near, Time(now + SEC)).done);
    assert_eq!(take(&mut near, usize::MAX).len(), 300, "the rest is left where it was");
    let events = events.lock().unwrap();
    assert_eq!(sums(&events), ([700, 42_000, 7], Some([700, 42_000, 7])));
    assert!((seconds(&events) - 0.3).abs() < 1e-9, "from the first frame to the last");
    assert_eq!(events.iter().filter(|e| **e == Event::Waiting).count(), 1);
}

#[test]
fn a_receiver_reports_the_least_room_of_each_interval() {
    let config = Config { burst: 1, interval_ms: 10, ..Config::new("test", Function::Rx) };
    let (mut app, events) = generator(config);
    let (mut far, mut near) = cable(64);
    for now in 0..50 {
        if now == 2 || now == 24 {
            far.tx.transmit(&[Frame::new(&[0; 60]); 64][..now + 1]);
            far.tx.flush();
        }
        app.poll(&mut near, Time(now as u64 * MS));
    }
    let events = events.lock().unwrap();
    let room = |e: &Event| if let Event::Interval { min_space, .. } = e { Some(*min_space) } else { None };
    let rooms: Vec<_> = events.iter().filter_map(room).collect();
    assert_eq!(rooms, [Some(61), Some(64), Some(39), Some(46)], "one frame a poll is taken");
}

#[test]
fn a_receiver_ends_on_stop_with_what_has_arrived_and_when_idle() {
    let (mut far, mut near) = cable(64);
    let (mut app, events) = generator(Config::new("test", Function::Rx));
    app.poll(&mut near, Time(0));
    far.tx.transmit(&[Frame::new(&[0; 100]); 9]);
    far.tx.flush();
    app.stop(Time(1));
    assert!(app.poll(&mut near, Time(1)).done);
    assert_eq!(sums(&events.lock().unwrap()).1, Some([9, 900, 1]));

    let (mut app, events) = generator(Config { until_idle: true, ..Config::new("test", Function::Rx) });
    assert!(!app.poll(&mut near, Time(0)).done);
    assert!(!app.poll(&mut near, Time(50 * SEC)).done, "the first frame is waited for without end");
    far.tx.transmit(&[Frame::new(&[0; 100]); 9]);
    far.tx.flush();
    assert_eq!(app.poll(&mut near, Time(50 * SEC + 1)).deadline, Time(51 * SEC));
    assert!(!app.poll(&mut near, Time(51 * SEC)).done);
    assert!(app.poll(&mut near, Time(51 * SEC + 1)).done);
    assert_eq!(sums(&events.lock().unwrap()).1, Some([9, 900, 1]));
}
