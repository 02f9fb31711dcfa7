//! Captures sent again, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pktgen::{Config, Event, Frames, Function, Generator, Rate, Replay, Size, Speed};
use ports::pcap::Capture;
use ports::virtual_port::pair;
use ports::{App, Burst, Capabilities, Mac, Port, Time};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SEC: u64 = 1000 * MS;

type Events = Arc<Mutex<Vec<Event>>>;

/// A pcap file of frames captured at these nanoseconds, which are numbered, `len` bytes each and more.
fn capture(times_ns: &[u64], len: usize) -> Vec<u8> {
    let word = |n: u64| u32::try_from(n).unwrap().to_le_bytes();
    let mut file = [0xa1b2_3c4d, 0x4_0002, 0, 0, 262_144, 1].map(word).concat();
    for (number, time) in times_ns.iter().enumerate() {
        let frame = frame(number, len);
        let bytes = frame.len() as u64;
        file.extend([time / SEC, time % SEC, bytes, bytes].map(word).concat());
        file.extend(frame);
    }
    file
}

fn frame(number: usize, len: usize) -> Vec<u8> {
    let mut frame = vec![0x55; len + number % 7];
    frame[14..22].copy_from_slice(&(number as u64).to_be_bytes());
    frame
}

fn number(frame: &[u8]) -> usize {
    u64::from_be_bytes(frame[14..22].try_into().unwrap()) as usize
}

fn replay(timing: Option<Speed>, loops: u64) -> Config {
    let replay = Replay { file: "c".into(), timing, loops };
    Config { replay: Some(replay), ..Config::new("p", Function::Tx) }
}

fn generator(config: Config, file: Vec<u8>) -> (Generator, Events) {
    let events = Events::default();
    let sink = events.clone();
    let tell = move |event| sink.lock().unwrap().push(event);
    let capture = Arc::new(Capture::parse("c", file).unwrap());
    (Generator::replaying(config, Some(Mac::BROADCAST), capture, Box::new(tell)).unwrap(), events)
}

fn cable() -> (Port, Port) {
    pair("p", 256, Capabilities::wire(1500)).unwrap()
}

fn take(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
    drop(burst);
    port.rx.release(frames.len());
    frames
}

/// Polls whenever the generator wants to be, `late_ns` late, until it is done: what was sent, and when.
fn run(app: &mut Generator, late_ns: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut far, mut near) = cable();
    let (mut now, mut sent) = (0, Vec::new());
    loop {
        let progress = app.poll(&mut near, Time(now));
        near.tx.flush();
        sent.extend(take(&mut far).into_iter().map(|frame| (now, frame)));
        if progress.done {
            return sent;
        }
        now = if progress.busy { now } else { (now + 1).max(progress.deadline.0) + late_ns };
    }
}

fn totals(events: &Events) -> (u64, u64) {
    match events.lock().unwrap().last() {
        Some(Event::Final { packets, bytes, .. }) => (*packets, *bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_capture_goes_out_as_often_as_asked() {
    let file = capture(&(0..1000).collect::<Vec<_>>(), 60);
    for (count, loops, expected) in
        [(0, 1, 1000), (0, 3, 3000), (5, 1, 5), (2500, 0, 2500), (2500, 2, 2000), (1000, 0, 1000)]
    {
        for burst in [1, 7, 512] {
            let (mut app, events) = generator(Config { count, burst, ..replay(None, loops) }, file.clone());
            let sent = run(&mut app, 0);
            assert_eq!(sent.len(), expected, "-n {count} --loop {loops} -b {burst}");
            assert!(sent.iter().enumerate().all(|(n, (_, bytes))| *bytes == frame(n % 1000, 60)));
            let bytes = sent.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            assert_eq!(totals(&events), (expected as u64, bytes));
        }
    }
}

#[test]
fn without_end_it_goes_on_until_stopped() {
    let (mut app, events) = generator(replay(None, 0), capture(&[0, 5, 9], 60));
    let (mut far, mut near) = cable();
    let mut sent = Vec::new();
    for now in 0..1000 {
        assert!(!app.poll(&mut near, Time(now)).done);
        near.tx.flush();
        sent.extend(take(&mut far));
    }
    assert!(sent.len() >= 1000 && sent.iter().enumerate().all(|(n, f)| number(f) == n % 3));
    app.stop(Time(1000));
    assert!(app.poll(&mut near, Time(1000)).done);
    assert!(totals(&events).0 >= sent.len() as u64);
}

#[test]
fn a_rate_is_kept_whatever_the_capture_says() {
    let file = capture(&[0, SEC, 2 * SEC, 100 * SEC], 60);
    let config = Config { rate: Rate::Pps(1000), count: 10_001, ..replay(None, 0) };
    let (mut app, _) = generator(config, file);
    let sent = run(&mut app, 0);
    let (last, _) = sent.last().unwrap();
    assert!(last.abs_diff(10 * SEC) <= 3 * MS, "{last}");
}

#[test]
fn frames_go_out_when_they_were_captured() {
    let times = [0, 0, 3, 1000, MS, 20 * MS, SEC, 7 * SEC];
    for (speed, factor) in [("original", 1.0), ("2", 0.5), ("0.25", 4.0), ("1000", 0.001)] {
        let (mut app, _) = generator(replay(speed.parse().ok(), 1), capture(&times, 60));
        for ((now, bytes), time) in run(&mut app, 0).into_iter().zip(times) {
            let due = time as f64 * factor;
            assert!((now as f64 - due).abs() <= 1.0, "frame {} at {now}, due {due}", number(&bytes));
        }
    }
}

/// The round trip from the last frame to the first takes as long as a gap does on average.
#[test]
fn rounds_follow_each_other_at_the_mean_gap() {
    let (mut app, _) = generator(replay(Some(Speed::ORIGINAL), 3), capture(&[0, 4, 10, 12], 60));
    let times: Vec<_> = run(&mut app, 0).into_iter().map(|(now, _)| now).collect();
    assert_eq!(times, [0, 4, 10, 12, 16, 20, 26, 28, 32, 36, 42, 44]);
    let (mut app, _) = generator(replay(Some(Speed::ORIGINAL), 3), capture(&[5], 60));
    assert_eq!(run(&mut app, 0).len(), 3, "one frame has no gap");
}

#[test]
fn what_a_stall_cost_is_not_caught_up_without_limit() {
    let times: Vec<_> = (0..4000).map(|n| n * MS).collect();
    let (mut app, _) = generator(replay(Some(Speed::ORIGINAL), 1), capture(&times, 60));
    let (mut far, mut near) = cable();
    let mut sent = Vec::new();
    for now in (0..SEC).chain(3 * SEC..10 * SEC).step_by(MS as usize / 2) {
        let done = app.poll(&mut near, Time(now)).done;
        near.tx.flush();
        sent.extend(take(&mut far).into_iter().map(|_| now));
        if done {
            break;
        }
    }
    assert_eq!(sent.len(), 4000, "nothing is left out");
    let before = sent.iter().filter(|now| **now < SEC).count();
    let at_once = sent.iter().filter(|now| **now == 3 * SEC).count();
    assert_eq!((before, at_once), (1000, 11), "10 ms of it are caught up, and the rest is late");
    let last = sent.last().unwrap();
    assert!(last.abs_diff(3999 * MS + 2 * SEC - 10 * MS) <= MS, "{last}");
}

/// A port without room for a while is a stall like another, and costs no frame.
#[test]
fn a_full_port_loses_nothing() {
    for timing in [None, Some(Speed::ORIGINAL)] {
        let times: Vec<_> = (0..5000).collect();
        let (mut app, _) = generator(replay(timing, 1), capture(&times, 60));
        let (mut far, mut near) = cable();
        let mut numbers = Vec::new();
        for now in (0..SEC).step_by(100_000) {
            if app.poll(&mut near, Time(now)).done {
                break;
            }
            near.tx.flush();
            if (now / MS).is_multiple_of(3) {
                numbers.extend(take(&mut far).iter().map(|frame| number(frame)));
            }
        }
        numbers.extend(take(&mut far).iter().map(|frame| number(frame)));
        assert!(numbers.iter().copied().eq(0..5000), "{} frames", numbers.len());
    }
}

#[test]
fn frames_too_long_are_refused_with_their_number() {
    let (mut app, events) = generator(replay(None, 1), capture(&(0..14).collect::<Vec<_>>(), 1514));
    let (mut far, mut near) = cable();
    assert!(app.poll(&mut near, Time::ZERO).done);
    assert!(take(&mut far).is_empty());
    let message =
        "p: 4 of 14 frames are too long: the port takes up to 1514 bytes (try: a port of a larger MTU)"
            .to_owned();
    assert_eq!(*events.lock().unwrap(), [Event::Failed { message }], "four bytes may be a tag");
    // What would be made without a capture does not matter.
    let frames = Frames { size: Size::Fixed(9000), ..Frames::default() };
    let (mut app, _) = generator(Config { frames, ..replay(None, 1) }, capture(&[0], 60));
    assert_eq!(run(&mut app, 0).len(), 1);
}

#[test]
fn a_capture_that_breaks_off_is_sent_as_far_as_it_goes() {
    let mut file = capture(&[0, 1, 2, 3], 60);
    file.truncate(file.len() - 1);
    let message = "p: c breaks off at byte 255, after 3 frames".to_owned();
    for (loops, count, sent, fails) in [(1, 0, 3, true), (2, 0, 6, true), (0, 2, 2, false), (0, 4, 4, true)] {
        let (mut app, events) = generator(Config { count, ..replay(None, loops) }, file.clone());
        assert_eq!(run(&mut app, 0).len(), sent);
        assert_eq!(totals(&events).0, sent as u64);
        let failed = events.lock().unwrap().contains(&Event::Failed { message: message.clone() });
        assert_eq!(failed, fails, "{loops} {count}");
    }
}

#[test]
fn what_was_left_out_is_told() {
    let mut file = capture(&[0, 1], 60);
    file[24 + 12] += 1; // longer than what was captured of it
    let (mut app, events) = generator(replay(None, 1), file);
    assert_eq!(run(&mut app, 0).len(), 1);
    let message = "c: left out 1 records: 1 cut short, 0 runts, 0 too long".to_owned();
    assert_eq!(events.lock().unwrap()[0], Event::Note { message });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However late the polls come, as long as they are not late by more than the bound: every frame goes out in
    /// order, none before its time, and none later than the polls are.
    #[test]
    fn times_are_kept_within_the_lateness_of_polls(
        gaps in proptest::collection::vec(0..5 * MS, 1..60), late_ns in 0..9 * MS, millionths in 100_000..10_000_000_u64,
    ) {
        let times: Vec<_> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let speed = Speed::try_from(millionths).unwrap();
        let (mut app, _) = generator(replay(Some(speed), 1), capture(&times, 60));
        let sent = run(&mut app, late_ns);
        prop_assert_eq!(sent.len(), times.len());
        for ((now, bytes), (n, time)) in sent.into_iter().zip(times.iter().enumerate()) {
            let due = speed.scale(Duration::from_nanos(time - times[0])).as_nanos() as u64;
            prop_assert_eq!(number(&bytes), n);
            prop_assert!((due..=due + late_ns + 1).contains(&now), "{} due {} late {}", now, due, late_ns);
        }
    }
}
