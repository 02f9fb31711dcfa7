//! What a learning bridge does: learn, look up, flood, follow, age, forget.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{self, TestPort, balance, frame, mac, mark, marked};
use ports::{Capabilities, Frame, Mac, Offload, Reason, Time};
use switch::{Error, Forwarder, MAX_PORTS, Options, Pass, Switch, WhenFull};

struct Bridge {
    switch: Arc<Switch>,
    forwarder: Forwarder,
    ports: Vec<TestPort>,
    now: Time,
}

impl Bridge {
    fn new(ports: usize) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let forwarder = Forwarder::new(switch.clone());
        let mut bridge = Self { switch, forwarder, ports: Vec::new(), now: Time::from_secs(1000) };
        for n in 0..ports {
            bridge.join(&n.to_string());
        }
        bridge
    }

    fn join(&mut self, name: &str) {
        let takes = Capabilities::wire(1500);
        self.ports.push(TestPort::join(&self.switch, name, WhenFull::Drop, takes));
    }

    fn pass(&mut self, port: usize) -> Pass {
        let port = &mut self.ports[port];
        self.forwarder.forward(port.index, &mut port.source, self.now)
    }

    /// Sends one frame, and says how many each port got.
    fn send(&mut self, port: usize, dst: Mac, src: Mac) -> Vec<usize> {
        self.ports[port].send(frame(dst, src));
        self.pass(port);
        self.counts()
    }

    fn counts(&self) -> Vec<usize> {
        self.ports.iter().map(TestPort::count).collect()
    }

    fn is_balanced(&self) -> bool {
        let (put_in, came_out) = balance(self.ports.iter().map(|p| &p.counters));
        put_in == came_out
    }
}

/// More copies than the caches hold are not made at a time: the other frames come again, and each goes out once.
#[test]
fn a_great_flood_goes_out_in_parts() {
    const PORTS: usize = 101;
    let mut bridge = Bridge::new(PORTS);
    for n in 0..60 {
        bridge.ports[0].send(marked(Mac::BROADCAST, mac(1), 0, n, 1514));
    }
    let (mut received, mut passes) = (0, 0);
    while received < 60 {
        let pass = bridge.pass(0);
        received += pass.received;
        passes += 1;
        assert!((1..=27).contains(&pass.received), "4 MiB are 27 frames to 100 ports: {pass:?}");
        assert_eq!(pass.held, 60 - received);
        assert!(bridge.is_balanced());
    }
    assert_eq!(passes, 3);
    assert!(bridge.ports[0].got().is_empty());
    for port in &bridge.ports[1..] {
        let numbers: Vec<_> = port.got().iter().map(|frame| mark(frame).1 >> 16).collect();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    }
}

#[test]
fn unknown_stations_groups_and_broadcast_reach_all_but_the_sender() {
    let mut bridge = Bridge::new(3);
    let group = Mac::new([1, 0, 0x5e, 0, 0, 1]);
    for dst in [mac(9), group, Mac::BROADCAST, Mac::ZERO] {
        assert_eq!(bridge.send(0, dst, mac(1)), [0, 1, 1], "{dst}");
    }
    assert_eq!(bridge.ports[0].counters.read().copies, 4);
    assert!(bridge.is_balanced());
}

/// The first finds out where all like it go; the others take the short way of frames that come alone.
#[test]
fn a_frame_that_comes_alone_is_flooded_like_others() {
    let mut bridge = Bridge::new(4);
    for _ in 0..3 {
        assert_eq!(bridge.send(0, Mac::BROADCAST, mac(1)), [0, 1, 1, 1]);
        assert!(bridge.is_balanced());
    }
    bridge.ports[2].sink.store().room = 0;
    assert_eq!(bridge.send(0, Mac::BROADCAST, mac(1)), [0, 1, 0, 1]);
    assert_eq!(bridge.ports[2].dropped(Reason::Full), 1);
    assert_eq!(bridge.ports[0].counters.read().copies, 8);
    assert!(bridge.is_balanced());
}

#[test]
fn a_known_station_is_reached_alone() {
    let mut bridge = Bridge::new(3);
    bridge.send(2, Mac::BROADCAST, mac(2));
    assert_eq!(bridge.send(0, mac(2), mac(1)), [0, 0, 1]);
    assert_eq!(bridge.send(2, mac(1), mac(2)), [1, 0, 0]);
    let totals = bridge.ports[2].counters.read();
    assert_eq!((totals.rx_frames, totals.rx_bytes, totals.tx_frames, totals.tx_bytes), (2, 120, 1, 60));
}

#[test]
fn groups_are_not_learned() {
    let mut bridge = Bridge::new(3);
    let group = Mac::new([3, 0, 0, 0, 0, 1]);
    for src in [group, Mac::BROADCAST, Mac::ZERO] {
        bridge.send(1, mac(9), src);
        assert_eq!(bridge.send(0, src, mac(1)), [0, 1, 1], "{src}");
    }
    assert_eq!(bridge.switch.stations(bridge.now).len(), 1);
}

#[test]
fn a_station_that_moves_away_and_back_is_followed_at_once() {
    let mut bridge = Bridge::new(3);
    for (port, expected) in [(0, [1, 0, 0]), (1, [0, 1, 0]), (0, [1, 0, 0])] {
        bridge.send(port, Mac::BROADCAST, mac(7));
        assert_eq!(bridge.send(2, mac(7), mac(2)), expected);
    }
}

#[test]
fn a_station_learned_in_a_burst_counts_for_the_rest_of_it() {
    let mut bridge = Bridge::new(3);
    bridge.ports[0].send(frame(mac(5), mac(1)));
    bridge.ports[0].send(frame(mac(5), mac(5)));
    bridge.ports[0].send(frame(mac(5), mac(1)));
    bridge.pass(0);
    assert_eq!(bridge.counts(), [0, 1, 1]);
    assert_eq!(bridge.ports[0].dropped(Reason::Reflect), 2);
    assert!(bridge.is_balanced());
}

#[test]
fn drops_on_the_way_in_are_counted_there() {
    let mut bridge = Bridge::new(1);
    bridge.ports[0].send(vec![0; 13]);
    bridge.ports[0].send(Vec::new());
    bridge.send(0, Mac::BROADCAST, mac(1));
    bridge.send(0, mac(1), mac(2));
    let port = &bridge.ports[0];
    assert_eq!(port.dropped(Reason::Runt), 2);
    assert_eq!(port.dropped(Reason::NoDestination), 1);
    assert_eq!(port.dropped(Reason::Reflect), 1);
    assert_eq!(port.counters.read().rx_frames, 4);
    assert!(bridge.is_balanced());
}

/// Also those of a sender that goes on as if nothing had happened.
#[test]
fn frames_to_nobody_are_counted_however_often_they_come() {
    let mut bridge = Bridge::new(2);
    bridge.send(0, Mac::BROADCAST, mac(1));
    bridge.switch.leave(bridge.ports[1].index);
    for _ in 0..3 {
        bridge.ports[0].send(frame(Mac::BROADCAST, mac(1)));
        bridge.ports[0].send(frame(Mac::BROADCAST, mac(1)));
        bridge.ports[0].send(frame(mac(9), mac(1)));
        bridge.pass(0);
    }
    assert_eq!(bridge.ports[0].dropped(Reason::NoDestination), 9);
    assert!(bridge.is_balanced());
}

#[test]
fn a_frame_too_long_is_counted_where_it_does_not_fit() {
    let mut bridge = Bridge::new(3);
    bridge.ports[2].sink.store().takes = Capabilities::wire(9000);
    for len in [1518, 1519, 9018] {
        bridge.ports[0].send(marked(Mac::BROADCAST, mac(1), 0, 0, len));
    }
    bridge.pass(0);
    assert_eq!(bridge.counts(), [0, 1, 3]);
    assert_eq!(bridge.ports[1].dropped(Reason::Oversize), 2);
    assert!(bridge.is_balanced());
}

#[test]
fn a_full_port_drops_and_holds_up_nobody() {
    let mut bridge = Bridge::new(3);
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.send(2, Mac::BROADCAST, mac(2));
    bridge.ports[1].sink.store().room = 3;
    for n in 0..20 {
        bridge.ports[0].send(frame(mac(1 + n % 2), mac(9)));
    }
    assert_eq!(bridge.pass(0), Pass { received: 20, held: 0 });
    assert_eq!(bridge.counts(), [0, 3, 10]);
    assert_eq!(bridge.ports[1].dropped(Reason::Full), 7);
    assert!(bridge.is_balanced());
}

#[test]
fn offload_metadata_passes_to_who_takes_it() {
    let mut bridge = Bridge::new(2);
    bridge.ports[1].sink.store().takes = Capabilities::all(1500);
    let bytes = support::marked_tcp(Mac::BROADCAST, mac(1), 0, 1, 4000);
    bridge.ports[0].source.frames.push_back((bytes.clone(), support::tso(1448)));
    bridge.pass(0);
    assert_eq!(bridge.ports[1].sink.store().got, [(bytes, support::tso(1448))]);
}

#[test]
fn stations_age() {
    let mut bridge = Bridge::new(3);
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.now = bridge.now + Duration::from_secs(300);
    assert_eq!(bridge.send(0, mac(1), mac(9)), [0, 1, 0]);
    bridge.now = bridge.now + Duration::from_secs(19);
    assert_eq!(bridge.send(0, mac(1), mac(9)), [0, 1, 1], "not heard of for more than 300 s and a sixteenth");
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.switch.set_ageing(Duration::from_secs(10), bridge.now);
    assert_eq!(bridge.switch.ageing(), Duration::from_secs(10));
    assert_eq!(bridge.send(0, mac(1), mac(9)), [0, 1, 0]);
    bridge.now = bridge.now + Duration::from_secs(11);
    assert_eq!(bridge.switch.stations(bridge.now), []);
    assert_eq!(bridge.send(0, mac(1), mac(9)), [0, 1, 1]);
}

#[test]
fn stations_are_listed_with_port_and_age() {
    let mut bridge = Bridge::new(2);
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.now = bridge.now + Duration::from_secs(100);
    let [station] = bridge.switch.stations(bridge.now)[..] else { panic!("one station") };
    assert_eq!((station.mac, station.port), (mac(1), bridge.ports[1].index));
    assert!(station.age.abs_diff(Duration::from_secs(100)) < Duration::from_secs(10), "{:?}", station.age);
}

#[test]
fn a_port_that_leaves_takes_its_stations_along() {
    let mut bridge = Bridge::new(3);
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.send(2, Mac::BROADCAST, mac(2));
    let old = bridge.ports[1].index;
    assert_eq!(bridge.switch.leave(old).unwrap().name(), "1");
    assert!(bridge.switch.leave(old).is_none());
    bridge.join("other");
    assert_eq!(bridge.ports[3].index, old, "the lowest free index");
    assert_eq!(bridge.send(0, mac(1), mac(9)), [0, 0, 1, 1], "unknown again");
    assert_eq!(bridge.send(0, mac(2), mac(9)), [0, 0, 1, 0], "others stay known");
    assert_eq!(bridge.switch.members().len(), 3);
    assert!(bridge.is_balanced());
}

#[test]
fn a_port_that_left_receives_and_forwards_nothing() {
    let mut bridge = Bridge::new(2);
    bridge.switch.leave(bridge.ports[0].index);
    bridge.ports[0].send(frame(Mac::BROADCAST, mac(1)));
    assert_eq!(bridge.pass(0), Pass::default());
    assert_eq!(bridge.ports[0].source.frames.len(), 1);
}

#[test]
fn names_and_places_run_out() {
    let switch = Switch::new("vale0", Options::default());
    let takes = Capabilities::wire(1500);
    for n in 0..MAX_PORTS {
        TestPort::join(&switch, &format!("tap{n}"), WhenFull::Drop, takes);
    }
    let join = |name: &str| {
        let tx = Box::new(support::Sink::new(takes));
        let counters = Arc::default();
        switch.join(switch::Joining { name: name.to_owned(), tx, counters, when_full: WhenFull::Drop })
    };
    let taken = join("tap7").unwrap_err();
    assert_eq!(taken.to_string(), "vale0: port taken: tap7");
    let full = join("new").unwrap_err();
    assert_eq!(full, Error::Full { switch: "vale0".to_owned() });
    assert_eq!(full.to_string(), "vale0: 254 ports is all a switch has");
    switch.leave(switch.members()[7].index());
    assert_eq!(join("tap7").unwrap().number(), 7);
}

#[test]
fn each_port_touched_is_flushed_once() {
    let mut bridge = Bridge::new(3);
    bridge.send(1, Mac::BROADCAST, mac(1));
    for _ in 0..5 {
        bridge.send(0, mac(1), mac(9));
    }
    bridge.forwarder.flush();
    bridge.forwarder.flush();
    let flushes: Vec<_> = bridge.ports.iter().map(|p| p.sink.store().flushes).collect();
    assert_eq!(flushes, [1, 1, 1]);
}

/// A kernel that is busy takes what is left with the next flush, even if nothing more is sent to the port.
#[test]
fn what_a_flush_leaves_is_flushed_again() {
    let mut bridge = Bridge::new(3);
    bridge.send(1, Mac::BROADCAST, mac(1));
    bridge.ports[2].sink.store().busy = true;
    assert!(!bridge.forwarder.flush());
    assert!(!bridge.forwarder.flush());
    bridge.ports[2].sink.store().busy = false;
    assert!(bridge.forwarder.flush());
    assert!(bridge.forwarder.flush());
    let flushes: Vec<_> = bridge.ports.iter().map(|p| p.sink.store().flushes).collect();
    assert_eq!(flushes, [1, 0, 3]);
}

#[test]
fn more_than_a_burst_takes_more_than_a_pass() {
    let mut bridge = Bridge::new(2);
    for n in 0..300 {
        bridge.ports[0].send(marked(mac(1), mac(9), 0, n, 60));
    }
    assert_eq!(bridge.pass(0), Pass { received: 256, held: 0 });
    assert_eq!(bridge.pass(0), Pass { received: 44, held: 0 });
    let numbers: Vec<_> = bridge.ports[1].got().iter().map(|f| mark(f).1 >> 16).collect();
    assert!(numbers.into_iter().eq(0..300));
}

#[test]
fn an_egress_that_fails_frames_is_charged_with_them() {
    struct Broken;
    impl ports::Tx for Broken {
        fn capabilities(&self) -> Capabilities {
            Capabilities::wire(1500)
        }
        fn transmit(&mut self, frames: &[Frame<'_>]) -> ports::Sent {
            ports::Sent { taken: frames.len(), frames: 1, bytes: 60 }
        }
        fn reserve(&mut self, _len: usize) -> Option<&mut [u8]> {
            None
        }
        fn commit(&mut self, _len: usize, _offload: Offload) {}
        fn flush(&mut self) -> bool {
            true
        }
    }
    let mut bridge = Bridge::new(1);
    let counters = Arc::<ports::Counters>::default();
    let joining = switch::Joining {
        name: "broken".to_owned(),
        tx: Box::new(Broken),
        counters: counters.clone(),
        when_full: WhenFull::Drop,
    };
    bridge.switch.join(joining).unwrap();
    for _ in 0..3 {
        bridge.ports[0].send(frame(Mac::BROADCAST, mac(1)));
    }
    bridge.pass(0);
    assert_eq!((counters.read().tx_frames, counters.read().dropped(Reason::Error)), (1, 2));
    assert_eq!(balance([&counters, &bridge.ports[0].counters]), (3, 3));
}
