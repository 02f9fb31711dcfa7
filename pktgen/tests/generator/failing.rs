//! Ports that fail frames, or keep them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pktgen::{Config, Event, Function};
use ports::{App, Burst, Capabilities, Counters, Frame, Offload, Port, Reason, Rx, Sent, Time, Tx};

use crate::bed::{MS, generator};

/// A port that fails every third frame, and counts so; or one whose frames leave when they may.
#[derive(Default)]
struct Failing {
    slot: Vec<u8>,
    queued: Arc<AtomicU64>,
    fails: Option<Arc<Counters>>,
}

impl Tx for Failing {
    fn capabilities(&self) -> Capabilities {
        Capabilities::wire(1500)
    }
    fn transmit(&mut self, _: &[Frame<'_>]) -> Sent {
        Sent::default()
    }
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.slot.resize(len, 0);
        Some(&mut self.slot)
    }
    fn commit(&mut self, _: usize, _: Offload) {
        let committed = self.queued.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(counters) = &self.fails {
            counters.add_drops(Reason::Error, u64::from(committed.is_multiple_of(3)));
        }
    }
    fn flush(&mut self) -> bool {
        self.unsent() == 0
    }
    fn unsent(&self) -> u64 {
        if self.fails.is_some() { 0 } else { self.queued.load(Ordering::Relaxed) }
    }
}

#[test]
fn frames_that_fail_are_told_of() {
    let null = ports::null::open();
    let counters = Arc::<Counters>::default();
    counters.add_drops(Reason::Error, 7); // before this run
    let tx = Failing { fails: Some(counters.clone()), ..Failing::default() };
    let mut port = Port { counters, ..Port::new(null.rx, tx) };
    let (mut app, events) = generator(Config { count: 300, burst: 30, ..Config::new("test", Function::Tx) });
    for now in 0..10 {
        assert!(!app.poll(&mut port, Time(now)).done);
    }
    assert!(app.poll(&mut port, Time(10)).done);
    let Some(Event::Final { packets: 300, errors: 100, .. }) = events.lock().unwrap().last().cloned() else {
        panic!("{events:?}")
    };
}

/// A port whose kernel side says what it dropped when somebody is about to rest, as with an XDP socket.
struct Overrun(Arc<Counters>);

impl Rx for Overrun {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        burst.push(Frame::new(&[2; 60]));
    }
    fn release(&mut self, _: usize) {}
    fn arm(&mut self) -> bool {
        self.0.add_drops(Reason::Kernel, 5);
        true
    }
}

#[test]
fn frames_that_a_receiver_did_not_get_are_told_of() {
    let counters = Arc::<Counters>::default();
    counters.add_drops(Reason::Kernel, 7); // before this run
    let port = Port::new(Overrun(counters.clone()), Failing::default());
    let mut port = Port { counters: counters.clone(), ..port };
    let (mut app, events) = generator(Config { count: 3, ..Config::new("test", Function::Rx) });
    assert!(!app.poll(&mut port, Time(0)).done);
    counters.add_drops(Reason::BadChecksum, 2);
    while !app.poll(&mut port, Time(1)).done {}
    let Some(Event::Final { packets: 3, errors: 0, drops: 7, .. }) = events.lock().unwrap().last().cloned()
    else {
        panic!("{events:?}")
    };
}

/// Who answers loses on both ways.
#[test]
fn frames_that_were_not_seen_and_not_answered_are_told_apart() {
    let counters = Arc::<Counters>::default();
    counters.add_drops(Reason::Kernel, 7); // before this run
    let tx = Failing { fails: Some(counters.clone()), ..Failing::default() };
    let port = Port::new(Overrun(counters.clone()), tx);
    let mut port = Port { counters: counters.clone(), ..port };
    let (mut app, events) = generator(Config { count: 3, ..Config::new("test", Function::Pong) });
    assert!(!app.poll(&mut port, Time(0)).done);
    assert!((1..9).any(|now| app.poll(&mut port, Time(now)).done));
    let Some(Event::Final { packets: 3, errors: 1, drops: 5, .. }) = events.lock().unwrap().last().cloned()
    else {
        panic!("{events:?}")
    };
}

/// Polls a sender of `count` frames each millisecond, on a port that keeps them until `leave`, which is told the time,
/// makes them fewer. When it is done, ms, how many frames have not left, and the length of the run, s.
fn keep(count: u64, leave: impl Fn(u64, &AtomicU64)) -> (u64, u64, f64) {
    let queued = Arc::<AtomicU64>::default();
    let tx = Failing { queued: queued.clone(), ..Failing::default() };
    let mut port = Port::new(ports::null::open().rx, tx);
    let (mut app, events) = generator(Config { count, burst: 100, ..Config::new("test", Function::Tx) });
    let ends = |now: &u64| {
        leave(*now, &queued);
        app.poll(&mut port, Time(now * MS)).done
    };
    let end = (0..2000).find(ends).expect("it ends");
    let events = events.lock().expect("no test panicked with it");
    let Some(&Event::Final { packets, errors, seconds, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(packets, count);
    (end, errors, seconds)
}

#[test]
fn frames_that_stay_in_the_port_are_told_of() {
    for (leave_at, lost, told_at) in [(5, 0, 5), (1000, 30, 21)] {
        let leave = |now, queued: &AtomicU64| {
            if now >= leave_at {
                queued.store(0, Ordering::Relaxed);
            }
        };
        assert_eq!(keep(30, leave), (told_at, lost, 0.001), "the wait is no part of the run");
    }
}

/// A slow wire is not one that is down.
#[test]
fn frames_that_leave_slowly_are_waited_for() {
    for (count, lost, told_at) in [(30, 0, 450), (100, 34, 1001)] {
        let leave = |now: u64, queued: &AtomicU64| {
            if now > 0 && now.is_multiple_of(15) {
                queued.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let (end, errors, _) = keep(count, leave);
        assert_eq!((end, errors), (told_at, lost));
    }
}
