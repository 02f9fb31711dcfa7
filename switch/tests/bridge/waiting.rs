//! Frames of an app wait for room at their destination: each is delivered once, and nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{self, TestPort, balance, mac, mark, marked, marked_tcp, tso};
use ports::{Capabilities, Mac, Reason, Time};
use switch::{Forwarder, Options, PATIENCE, Pass, Switch, WhenFull};

struct Bridge {
    forwarder: Forwarder,
    app: TestPort,
    /// Wires; station n is behind the nth.
    wires: Vec<TestPort>,
    now: Time,
}

impl Bridge {
    fn new(wires: usize) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let mut forwarder = Forwarder::new(switch.clone());
        let now = Time::from_secs(1);
        let app = TestPort::join(&switch, "app", WhenFull::Wait, Capabilities::all(1500));
        let takes = Capabilities::wire(1500);
        let join = |n: usize| TestPort::join(&switch, &n.to_string(), WhenFull::Drop, takes);
        let mut wires: Vec<_> = (0..wires).map(join).collect();
        for (wire, n) in wires.iter_mut().zip(0..) {
            wire.send(support::frame(Mac::BROADCAST, mac(n)));
            forwarder.forward(wire.index, &mut wire.source, now);
        }
        for wire in &wires {
            wire.got();
        }
        Self { forwarder, app, wires, now }
    }

    fn send(&mut self, dst: Mac, number: u32) {
        self.app.send(marked(dst, mac(99), 0, number, 60));
    }

    fn send_super(&mut self, dst: Mac, number: u32, payload: usize) {
        self.app.source.frames.push_back((marked_tcp(dst, mac(99), 0, number, payload), tso(1000)));
    }

    fn pass(&mut self) -> Pass {
        let pass = self.forwarder.forward(self.app.index, &mut self.app.source, self.now);
        assert_eq!(pass.held, self.app.source.frames.len());
        let (put_in, came_out) = self.balance();
        assert_eq!(put_in, came_out);
        pass
    }

    fn balance(&self) -> (u64, u64) {
        balance(self.wires.iter().chain([&self.app]).map(|p| &p.counters))
    }

    fn room(&self, wire: usize, room: usize) {
        self.wires[wire].sink.store().room = room;
    }

    /// Numbers that arrived at a wire since the last time.
    fn numbers(&self, wire: usize) -> Vec<u32> {
        self.wires[wire].got().iter().map(|f| mark(f).1 >> 16).collect()
    }
}

#[test]
fn what_is_flooded_alone_does_not_wait() {
    let mut bridge = Bridge::new(2);
    for number in 0..3 {
        bridge.room(0, usize::from(number == 0));
        bridge.send(Mac::BROADCAST, number);
        assert_eq!(bridge.pass(), Pass { received: 1, held: 0 });
    }
    assert_eq!((bridge.numbers(0), bridge.numbers(1)), (vec![0], vec![0, 1, 2]));
    assert_eq!(bridge.wires[0].dropped(Reason::Full), 2);
}

#[test]
fn what_finds_no_room_comes_again() {
    let mut bridge = Bridge::new(1);
    bridge.room(0, 3);
    (0..5).for_each(|n| bridge.send(mac(0), n));
    assert_eq!(bridge.pass(), Pass { received: 3, held: 2 });
    assert_eq!(bridge.pass(), Pass { received: 0, held: 2 });
    bridge.room(0, 1);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 1 });
    bridge.room(0, 9);
    bridge.send(mac(0), 5);
    assert_eq!(bridge.pass(), Pass { received: 2, held: 0 });
    assert_eq!(bridge.numbers(0), [0, 1, 2, 3, 4, 5]);
    let totals = bridge.app.counters.read();
    assert_eq!((totals.rx_frames, totals.rx_bytes), (6, 360));
}

#[test]
fn a_full_destination_does_not_hold_up_others() {
    let mut bridge = Bridge::new(2);
    bridge.room(0, 1);
    (0..6).for_each(|n| bridge.send(mac(u64::from(n % 2)), n));
    // 0 went; 2 waits; 1, 3 and 5 went too, but only 0 and 1 precede what waits.
    assert_eq!(bridge.pass(), Pass { received: 4, held: 4 });
    assert_eq!(bridge.numbers(1), [1, 3, 5]);
    bridge.send(mac(1), 7);
    bridge.room(0, 1);
    assert_eq!(bridge.pass(), Pass { received: 2, held: 3 });
    bridge.room(0, 9);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 0 });
    assert_eq!((bridge.numbers(0), bridge.numbers(1)), (vec![0, 2, 4], vec![7]));
}

#[test]
fn floods_do_not_wait() {
    let mut bridge = Bridge::new(2);
    bridge.room(0, 1);
    bridge.send(mac(0), 0);
    bridge.send(Mac::BROADCAST, 1);
    bridge.send(mac(0), 2);
    bridge.send(mac(1), 3);
    assert_eq!(bridge.pass(), Pass { received: 3, held: 2 });
    assert_eq!(bridge.wires[0].dropped(Reason::Full), 1);
    bridge.room(0, 9);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 0 });
    assert_eq!((bridge.numbers(0), bridge.numbers(1)), (vec![0, 2], vec![1, 3]));
}

#[test]
fn a_super_frame_goes_on_where_it_found_no_room() {
    let mut bridge = Bridge::new(1);
    for room in 1..12 {
        bridge.send(mac(0), 0);
        bridge.send_super(mac(0), 1, 4500);
        bridge.send_super(mac(0), 2, 2500);
        bridge.send(mac(0), 3);
        let mut received = 0;
        while received < 4 {
            bridge.room(0, room);
            received += bridge.pass().received;
        }
        let marks: Vec<_> = bridge.wires[0].got().iter().map(|f| mark(f).1).collect();
        let expected =
            [0, 1 << 16, 0x1_03e8, 0x1_07d0, 0x1_0bb8, 0x1_0fa0, 2 << 16, 0x2_03e8, 0x2_07d0, 3 << 16];
        assert_eq!(marks, expected, "room {room}");
    }
    assert_eq!(bridge.app.counters.read().copies, 11 * 6);
    assert_eq!(bridge.wires[0].counters.read().drops(), 0);
}

#[test]
fn a_stopped_destination_is_waited_for_no_longer_than_patience() {
    let mut bridge = Bridge::new(2);
    bridge.room(0, 0);
    bridge.send(mac(0), 0);
    bridge.pass();
    bridge.now = bridge.now + (PATIENCE - Duration::from_nanos(1));
    (1..5).for_each(|n| bridge.send(mac(0), n));
    bridge.send(mac(1), 5);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 6 });
    bridge.now = bridge.now + Duration::from_nanos(1);
    assert_eq!(bridge.pass(), Pass { received: 5, held: 0 });
    assert_eq!(bridge.wires[0].dropped(Reason::Full), 5);
    bridge.send(mac(0), 6);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 0 }, "still stopped: dropped at once");
    bridge.room(0, 1);
    bridge.send(mac(0), 7);
    bridge.send(mac(0), 8);
    assert_eq!(bridge.pass(), Pass { received: 1, held: 1 }, "accepts again: waited for again");
    assert_eq!(bridge.numbers(0), [7]);
}

#[test]
fn a_destination_that_accepts_a_little_is_waited_for() {
    let mut bridge = Bridge::new(1);
    bridge.room(0, 0);
    (0..100).for_each(|n| bridge.send(mac(0), n));
    for _ in 0..100 {
        bridge.pass();
        bridge.now = bridge.now + Duration::from_millis(99);
        bridge.room(0, 1);
        bridge.pass();
    }
    assert!(bridge.numbers(0).into_iter().eq(0..100));
}

#[test]
fn a_super_frame_cut_short_by_a_stop_is_dropped_once() {
    let mut bridge = Bridge::new(1);
    bridge.room(0, 2);
    bridge.send_super(mac(0), 1, 4500);
    assert_eq!(bridge.pass(), Pass { received: 0, held: 1 });
    bridge.pass();
    bridge.now = bridge.now + PATIENCE;
    assert_eq!(bridge.pass(), Pass { received: 1, held: 0 });
    assert_eq!(bridge.wires[0].dropped(Reason::Full), 1);
    assert_eq!(bridge.wires[0].counters.read().tx_frames, 2);
}

#[test]
fn the_backlog_goes_along_to_another_worker() {
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    let mut workers = [Forwarder::new(switch.clone()), Forwarder::new(switch.clone())];
    let mut app = TestPort::join(&switch, "app", WhenFull::Wait, Capabilities::all(1500));
    let takes = Capabilities::wire(1500);
    let mut wires = [0, 1].map(|n| TestPort::join(&switch, &format!("{n}"), WhenFull::Drop, takes));
    for (wire, n) in wires.iter_mut().zip(0..) {
        wire.send(support::frame(mac(99), mac(n)));
        workers[0].forward(wire.index, &mut wire.source, Time::ZERO);
    }
    wires.iter().for_each(|w| drop(w.got()));
    (0..20).for_each(|n| app.send(marked(mac(u64::from(n % 2)), mac(99), 0, n, 60)));
    for turn in 0..100 {
        wires[turn / 2 % 2].sink.store().room = 1;
        wires[1 - turn / 2 % 2].sink.store().room = 0;
        workers[turn % 2].forward(app.index, &mut app.source, Time::ZERO);
    }
    for (wire, n) in wires.iter().zip(0..) {
        let numbers: Vec<_> = wire.got().iter().map(|f| mark(f).1 >> 16).collect();
        assert!(numbers.into_iter().eq((n..20).step_by(2)));
    }
}
