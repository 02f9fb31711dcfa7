//! Asking.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pktgen::{Config, Event, Function, Latency, Rate};
use ports::{App, Port, Time};
use proptest::prelude::*;

use crate::common::{SEC, US, answer, cable, config, generator, is_sound, send, sequence, take, total};

/// What the answers of one ping must come to: when they arrive after it.
#[derive(Default)]
struct Model {
    rtts: Vec<u64>,
    lost: u64,
    late: u64,
    duplicate: u64,
}

impl Model {
    fn ping(&mut self, mut arrivals: Vec<u64>, timeout: u64) {
        arrivals.sort_unstable();
        match arrivals.first() {
            Some(rtt) if *rtt < timeout => self.rtts.push(*rtt),
            Some(_) => (self.lost, self.late) = (self.lost + 1, self.late + 1),
            None => self.lost += 1,
        }
        self.duplicate += (arrivals.len() as u64).saturating_sub(1);
    }
}

/// Runs a ping to its end and a while longer; the answers of the nth ping arrive after the nth delays.
fn run(config: Config, delays: &[Vec<u64>], step: u64) -> (Vec<Event>, Model) {
    let timeout = u64::from(config.timeout_ms) * 1000 * US;
    let (mut app, events) = generator(config);
    let (mut far, mut near) = cable(1024);
    let (mut due, mut sent_at) = (BTreeMap::<u64, Vec<Vec<u8>>>::new(), HashMap::new());
    let (mut now, mut arrivals) = (7 * SEC, vec![Vec::new(); delays.len()]);
    loop {
        let later = due.split_off(&(now + 1));
        let answers: Vec<_> = std::mem::replace(&mut due, later).into_values().flatten().collect();
        answers.iter().for_each(|frame| send(&mut far, frame));
        let progress = app.poll(&mut near, Time(now));
        near.tx.flush();
        for frame in take(&mut far) {
            assert!(is_sound(&frame));
            let n = sequence(&frame);
            assert_eq!(sent_at.insert(n, now), None, "each number once");
            for delay in &delays[n as usize] {
                due.entry(now + delay).or_default().push(answer(&frame));
            }
        }
        if progress.done {
            break; // nobody has looked at the last answers
        }
        for n in answers.iter().map(|frame| sequence(frame)) {
            arrivals[n as usize].push(now - sent_at[&n]);
        }
        now += step;
    }
    let mut model = Model::default();
    arrivals.into_iter().for_each(|a| model.ping(a, timeout));
    let events = std::mem::take(&mut *events.lock().expect("no test panicked with it"));
    (events, model)
}

fn any_delays() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let delay = prop_oneof![5 => 0..50 * US, 1 => 0..1500 * US];
    let answers = prop_oneof![
        8 => proptest::collection::vec(delay.clone(), 1),
        2 => proptest::collection::vec(delay, 0..4),
    ];
    proptest::collection::vec(answers, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is lost, late or doubled: each ping counts once, and what is measured is what happened.
    #[test]
    fn every_ping_is_answered_or_lost(
        delays in any_delays(), burst in 1u32..20, pps in prop_oneof![Just(0u64), 1000..1_000_000u64], step in US..20 * US,
    ) {
        let count = delays.len() as u64;
        let rate = Rate::Pps(pps);
        let (events, mut model) = run(
            Config { count, burst, rate, interval_ms: 10, ..config(Function::Ping) }, &delays, step,
        );
        let all = total(&events);
        prop_assert_eq!((all.sent, all.received, all.lost), (count, model.rtts.len() as u64, model.lost));
        prop_assert_eq!((all.late, all.duplicate, all.stray), (model.late, model.duplicate, 0));
        prop_assert_eq!(&all.rtt, &Latency::of(model.rtts.iter().copied()));
        model.rtts.sort_unstable();
        for share in [0.5, 0.9, 0.99, 0.999] {
            let rank = (share * model.rtts.len() as f64).ceil().max(1.0) as usize;
            let exact = model.rtts.get(rank - 1).copied().unwrap_or(0);
            prop_assert!(all.rtt.quantile_ns(share).abs_diff(exact) <= exact / 1000);
        }
        prop_assert_eq!(sum(&events), [all.sent, all.received, all.lost, all.rtt.count()]);
    }
}

/// Sent, received, lost and measured in all intervals.
fn sum(events: &[Event]) -> [u64; 4] {
    let mut sum = [0; 4];
    for event in events {
        if let Event::Ping(p) = event {
            sum = [sum[0] + p.sent, sum[1] + p.received, sum[2] + p.lost, sum[3] + p.rtt.count()];
        }
    }
    sum
}

/// All events are kept here, and the histograms with them: there are none left for most of the intervals.
#[test]
fn the_intervals_come_to_the_total_even_if_nobody_lets_go_of_them() {
    let answered = vec![vec![10 * US]; 100];
    let rate = Rate::Pps(1000);
    let (events, _) =
        run(Config { count: 100, rate, interval_ms: 10, ..config(Function::Ping) }, &answered, 5 * US);
    let intervals = events.iter().filter(|e| matches!(e, Event::Ping(_))).count();
    assert!(intervals < 9, "{intervals} of about ten");
    assert_eq!(sum(&events), [100, 100, 0, 100]);
}

#[test]
fn a_burst_is_kept_under_way() {
    let (mut app, _) = generator(Config { burst: 4, ..config(Function::Ping) });
    let (mut far, mut near) = cable(64);
    let mut poll = |near: &mut Port, now| {
        let progress = app.poll(near, Time(now));
        near.tx.flush();
        progress
    };
    let progress = poll(&mut near, 100);
    assert!(progress.busy && progress.deadline == Time(100 + 1000 * US), "the timeout: {progress:?}");
    let pings = take(&mut far);
    assert_eq!(pings.iter().map(|p| sequence(p)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(!poll(&mut near, 101).busy);
    send(&mut far, &answer(&pings[2]));
    poll(&mut near, 102);
    assert_eq!(take(&mut far).iter().map(|p| sequence(p)).collect::<Vec<_>>(), [4]);
    poll(&mut near, 100 + 1000 * US);
    let again = take(&mut far);
    assert_eq!(
        again.iter().map(|p| sequence(p)).collect::<Vec<_>>(),
        [5, 6, 7],
        "for the three that are lost"
    );
}

#[test]
fn a_lent_clock_tells_the_pings_of_a_pass_apart() {
    static READ: AtomicU64 = AtomicU64::new(0);
    let tick = || Time(READ.fetch_add(10, Ordering::Relaxed));
    let (app, events) = generator(Config { burst: 4, count: 4, ..config(Function::Ping) });
    let mut app = app.with_clock(tick);
    let (mut far, mut near) = cable(64);
    app.poll(&mut near, Time(0)); // sent at 0, 10, 20, 30
    near.tx.flush();
    take(&mut far).iter().for_each(|ping| send(&mut far, &answer(ping)));
    assert!(!app.poll(&mut near, Time(1)).done, "all found at 40");
    assert!(app.poll(&mut near, Time(2)).done);
    let events = events.lock().unwrap();
    assert_eq!(total(&events).rtt, Latency::of([40, 30, 20, 10]));
}

#[test]
fn what_is_no_answer_of_ours_does_not_count() {
    let (mut app, events) = generator(Config { count: 1, ..config(Function::Ping) });
    let (mut far, mut near) = cable(64);
    app.poll(&mut near, Time(5));
    near.tx.flush();
    let [ping] = &take(&mut far)[..] else { panic!("one ping") };
    let right = answer(ping);
    let edit = |at: usize, byte: u8| {
        let mut frame = right.clone();
        frame[at] ^= byte;
        frame
    };
    send(&mut far, ping); // flooded back
    send(&mut far, &edit(5, 7)); // for another station
    send(&mut far, &edit(29, 7)); // from another address
    send(&mut far, &edit(12, 1)); // no IP
    send(&mut far, &right[..50]);
    send(&mut far, &[0; 14]);
    send(&mut far, &edit(50, 1)); // another time: of an earlier run
    send(&mut far, &edit(42, 1)); // another number
    let mut mac_only = [&ping[6..12], &ping[..6], &ping[12..]].concat();
    mac_only[60 - 1] ^= 1; // contents do not matter
    send(&mut far, &mac_only);
    assert!(!app.poll(&mut near, Time(9)).done);
    assert!(app.poll(&mut near, Time(9)).done);
    let events = events.lock().unwrap();
    let all = total(&events);
    assert_eq!((all.sent, all.received, all.stray, all.duplicate), (1, 1, 2, 0));
    assert_eq!((all.rtt.min_ns(), all.rtt.max_ns()), (4, 4));
}

#[test]
fn a_stopped_ping_waits_for_its_answers_but_not_for_long() {
    for (answered, ends_after) in [(true, 3), (false, SEC)] {
        let (mut app, events) =
            generator(Config { timeout_ms: 60_000, interval_ms: 5000, burst: 2, ..config(Function::Ping) });
        let (mut far, mut near) = cable(64);
        app.poll(&mut near, Time(0));
        near.tx.flush();
        let pings = take(&mut far);
        app.stop(Time(1));
        let progress = app.poll(&mut near, Time(1));
        assert!(!progress.done && progress.deadline == Time(1 + SEC));
        near.tx.flush();
        assert!(take(&mut far).is_empty(), "nothing is begun");
        if answered {
            pings.iter().for_each(|p| send(&mut far, &answer(p)));
        }
        assert!(app.poll(&mut near, Time(1 + ends_after)).done);
        let events = events.lock().unwrap();
        let all = total(&events);
        let expected = if answered { (2, 2, 0) } else { (2, 0, 2) };
        assert_eq!((all.sent, all.received, all.lost), expected);
    }
}

#[test]
fn pings_find_room_or_stay_due() {
    let (mut app, events) = generator(Config { burst: 200, count: 1000, ..config(Function::Ping) });
    let (mut far, mut near) = cable(64);
    let mut now = 0;
    loop {
        let progress = app.poll(&mut near, Time(now));
        near.tx.flush();
        if progress.done {
            break;
        }
        assert!(now < SEC, "it comes to an end");
        for ping in take(&mut far) {
            send(&mut far, &answer(&ping));
        }
        now += US;
    }
    let events = events.lock().unwrap();
    assert_eq!((total(&events).sent, total(&events).received), (1000, 1000));
}

#[test]
fn configs_that_cannot_be_are_refused() {
    type Edit = fn(&mut Config);
    let cases: [(Function, Edit, &str); 5] = [
        (
            Function::Ping,
            |c| c.frames.size = 53.into(),
            "-l 53: too short for a number and a time (try: -l 54)",
        ),
        (Function::Tx, |c| (c.stamp, c.frames.size) = (true, 53.into()), "(try: -l 54)"),
        (Function::Pong, |c| c.stamp = true, "--stamp: only with -f tx and -f rx"),
        (Function::Ping, |c| c.timeout_ms = 0, "--timeout 0: out of range (1 to 60000)"),
        (Function::Ping, |c| c.timeout_ms = 60_001, "--timeout 60001: out of range"),
    ];
    for (function, edit, expected) in cases {
        let mut config = config(function);
        assert_eq!(config.check(), Ok(()));
        edit(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(Duration::from_millis(Config::new("p", Function::Ping).timeout_ms.into()).as_secs(), 1);
    assert_eq!(Config::new("p", Function::Ping).burst, 1);
}
