//! Generators on virtual ports, in virtual time.

mod failing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pktgen::{Config, Event, Frames, Function, Generator, Odometer, Rate};
use ports::virtual_port::pair;
use ports::{
    App, Burst, Capabilities, Counters, Frame, Mac, Offload, Port, Progress, Reason, Sent, Time, Tx,
};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SEC: u64 = 1_000 * MS;

type Events = Arc<Mutex<Vec<Event>>>;

fn generator(config: Config) -> (Generator, Events) {
    let events = Events::default();
    let sink = events.clone();
    let tell = move |event| sink.lock().expect("no test panicked with it").push(event);
    (Generator::new(config, None, Box::new(tell)).expect("a sound config"), events)
}

fn cable(slots: u16) -> (Port, Port) {
    pair("test", slots, Capabilities::all(1500)).expect("memory for two rings")
}

/// Everything that waits at this end, up to `most` frames.
fn take(port: &mut Port, most: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while frames.len() < most {
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len().min(most - frames.len());
        frames.extend(burst[..n].iter().map(|f| f.to_vec()));
        drop(burst);
        port.rx.release(n);
        if n == 0 {
            break;
        }
    }
    frames
}

/// Sums over the intervals, and the final: packets, bytes, bursts.
fn sums(events: &[Event]) -> ([u64; 3], Option<[u64; 3]>) {
    let mut intervals = [0; 3];
    let mut last = None;
    for event in events {
        match event {
            Event::Interval { packets, bytes, batches, .. } => {
                intervals = [intervals[0] + packets, intervals[1] + bytes, intervals[2] + batches];
            }
            Event::Final { packets, bytes, events, .. } => last = Some([*packets, *bytes, *events]),
            _ => {}
        }
    }
    (intervals, last)
}

fn seconds(events: &[Event]) -> f64 {
    let Some(Event::Final { seconds, .. }) = events.last() else { panic!("no final: {events:?}") };
    *seconds
}

/// Ones' complement sum of 16-bit words (RFC 1071, 4.1).
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// A sound UDP frame, by a reading of its own.
fn assert_sound(frame: &[u8]) {
    let udp_len = u16::try_from(frame.len() - 34).expect("a frame of an Ethernet");
    let mut udp = frame[26..34].to_vec();
    udp.extend([0, 17]);
    udp.extend(udp_len.to_be_bytes());
    udp.extend(&frame[34..]);
    assert_eq!((sum(&frame[14..34]), sum(&udp)), (0xffff, 0xffff));
    assert_eq!(frame[38..40], udp_len.to_be_bytes());
    assert_eq!(usize::from(frame[16]) << 8 | usize::from(frame[17]), frame.len() - 14);
}

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

/// Polls in steps of `step` ns until `until`, taking everything; returns the frames taken.
fn run(app: &mut Generator, (far, near): &mut (Port, Port), now: &mut u64, until: u64, step: u64) -> u64 {
    let mut taken = 0;
    while *now < until {
        app.poll(near, Time(*now));
        near.tx.flush();
        taken += take(far, usize::MAX).len() as u64;
        *now += step;
    }
    taken
}

#[test]
fn the_rate_is_kept_and_a_stall_not_made_up_for() {
    let config = Config { rate: Rate::Pps(200_000), ..Config::new("test", Function::Tx) };
    let (mut app, _) = generator(config);
    let mut ports = cable(1024);
    let mut now = 0;
    let before = run(&mut app, &mut ports, &mut now, 3 * SEC, MS / 4);
    assert!(before.abs_diff(600_000) <= 512, "{before}");
    now = 10 * SEC; // nobody polls for seven seconds
    let after = run(&mut app, &mut ports, &mut now, 13 * SEC, MS / 4);
    // 1/300 s of the rate and two bursts: the bound that the pacer states.
    assert!((600_000..=600_000 + 667 + 2 * 512).contains(&after), "{after}");
}

#[test]
fn a_rate_in_bits_is_kept_on_the_wire_where_asked() {
    for (framing, expected) in [(0, 100_000), (24, 71_428)] {
        let rate = Rate::Bps { bits: 48_000_000, framing };
        let (mut app, events) = generator(Config { rate, ..Config::new("test", Function::Tx) });
        let mut ports = cable(1024);
        let taken = run(&mut app, &mut ports, &mut 0, SEC, MS / 4);
        assert!(taken.abs_diff(expected) <= 512, "{taken}");
        let period_ns = if framing == 0 { 3_330_000 } else { 3_332_000 };
        let burst = if framing == 0 { 333 } else { 238 };
        assert!(
            matches!(events.lock().unwrap()[0], Event::Start { burst: b, period_ns: p, .. } if (b, p) == (burst, period_ns)),
            "{events:?}"
        );
    }
}

#[test]
fn a_sleeping_host_keeps_the_rate_by_the_deadlines() {
    let config = Config { rate: Rate::Pps(1000), count: 5000, ..Config::new("test", Function::Tx) };
    let (mut app, events) = generator(config);
    let (mut far, mut near) = cable(64);
    let (mut now, mut polls, mut taken) = (Time::ZERO, 0, 0);
    loop {
        let progress = app.poll(&mut near, now);
        near.tx.flush();
        taken += take(&mut far, usize::MAX).len();
        polls += 1;
        if progress.done {
            break;
        }
        assert!(progress.deadline > now || progress.busy, "a deadline that has passed would spin");
        now = now.max(progress.deadline);
    }
    assert_eq!(taken, 5000);
    assert!(polls < 2000, "bursts of three, and a few reports: {polls}");
    let took = seconds(&events.lock().unwrap());
    assert!((4.98..=5.0).contains(&took), "{took}");
}

#[test]
fn a_stuck_receiver_costs_no_frame_and_no_spinning() {
    let config = Config {
        count: 1000,
        frames: Frames { src: "10.0.0.1:1-10.0.0.1:2000".parse().unwrap(), ..Frames::default() },
        ..Config::new("test", Function::Tx)
    };
    let (mut app, _) = generator(config);
    let (mut far, mut near) = cable(64);
    assert!(app.poll(&mut near, Time(0)).busy);
    let stuck = app.poll(&mut near, Time(1));
    assert!(!stuck.busy && !stuck.done && stuck.deadline > Time(1) && stuck.deadline < Time(MS), "{stuck:?}");
    let mut ports = Vec::new();
    for now in 2.. {
        near.tx.flush();
        ports.extend(take(&mut far, 7).iter().map(|f| u16::from_be_bytes([f[34], f[35]])));
        if app.poll(&mut near, Time(now)).done {
            break;
        }
    }
    ports.extend(take(&mut far, 64).iter().map(|f| u16::from_be_bytes([f[34], f[35]])));
    assert_eq!(ports, (1..=1000).collect::<Vec<u16>>());
}

#[test]
fn a_burst_that_found_no_room_goes_out_whole_before_the_next_is_due() {
    let config = Config { rate: Rate::Pps(100_000), burst: 200, ..Config::new("test", Function::Tx) };
    let (mut app, _) = generator(config);
    let (mut far, mut near) = cable(64);
    let mut taken = 0;
    for now in 0..10 {
        app.poll(&mut near, Time(now));
        near.tx.flush();
        taken += take(&mut far, usize::MAX).len();
    }
    assert_eq!(taken, 200);
    assert_eq!(app.poll(&mut near, Time(10)).deadline, Time(2 * MS));
}

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
    let message = "vale0:1: -l 1515: the port takes frames of up to 1514 bytes (MTU 1500)".to_owned();
    assert_eq!(*events.lock().unwrap(), [Event::Failed { message }]);
}

#[test]
fn reports_keep_their_beat() {
    let (mut far, mut near) = cable(1024);
    let config = Config { interval_ms: 100, rate: Rate::Pps(10_000), ..Config::new("test", Function::Tx) };
    let (mut app, events) = generator(config);
    for now in [0, 50, 103, 199, 201, 550, 599, 601, 640] {
        app.poll(&mut near, Time(now * MS));
        near.tx.flush();
        take(&mut far, usize::MAX);
    }
    app.stop(Time(640 * MS));
    app.poll(&mut near, Time(645 * MS));
    let events = events.lock().unwrap();
    let lengths: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::Interval { usec, .. } = e { Some(usec / 1000) } else { None })
        .collect();
    assert_eq!(lengths, [103, 98, 349, 51, 44]);
    assert_eq!(sums(&events).1, Some(sums(&events).0));
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
