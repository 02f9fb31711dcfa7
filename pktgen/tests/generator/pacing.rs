//! When it goes out: rates, deadlines and reports.

use pktgen::{Config, Event, Frames, Function, Generator, Rate};
use ports::{App, Port, Time};

use crate::bed::{MS, SEC, cable, generator, seconds, sums, take};

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
