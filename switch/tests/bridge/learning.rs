//! What a learning bridge does: learn, look up, flood, follow, age, forget.

use std::sync::Arc;
use std::time::Duration;

use ports::{Capabilities, Mac, Reason};
use switch::{Error, MAX_PORTS, Options, Pass, Switch, WhenFull};

use crate::bridge::Bridge;
use crate::support::{Sink, TestPort, frame, mac};

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
        let tx = Box::new(Sink::new(takes));
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
