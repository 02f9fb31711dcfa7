//! What becomes of frames at the ports they go to: room, length, metadata, flushes.

use std::sync::Arc;

use ports::{Capabilities, Frame, Mac, Offload, Reason};
use switch::{Pass, WhenFull};

use crate::bridge::Bridge;
use crate::support::{balance, frame, mac, mark, marked, marked_tcp, tso};

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
    let bytes = marked_tcp(Mac::BROADCAST, mac(1), 0, 1, 4000);
    bridge.ports[0].source.frames.push_back((bytes.clone(), tso(1448)));
    bridge.pass(0);
    assert_eq!(bridge.ports[1].sink.store().got, [(bytes, tso(1448))]);
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
