//! TAP ports against the kernel, in a network namespace of the test's own.

use ports::contract::{Far, Link, Wire, conversation, eventually, frame, in_namespace, ip, suite, veth};
use ports::offload::Offloads;
use ports::{Burst, Error, Frame, Interface, LinkState, Port, Reason, Sent, tap};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

fn open(name: &str) -> Port {
    tap::open(name, tap::Options::default()).expect("open the port")
}

fn refused(name: &str) -> String {
    tap::open(name, tap::Options::default()).map(|_| ()).expect_err("no port").to_string()
}

#[test]
fn a_tap_keeps_the_contract() {
    in_namespace(|| {
        suite(&mut || (open("tap0"), Box::new(Wire::open("tap0", true)) as Box<dyn Far>));
    });
}

#[test]
fn a_tap_without_offloads_keeps_the_contract() {
    in_namespace(|| {
        suite(&mut || {
            let port = tap::open("tap0", tap::Options { offloads: Offloads::empty() }).unwrap();
            (port, Box::new(Wire::open("tap0", false)) as Box<dyn Far>)
        });
    });
}

#[test]
fn kernels_talk_in_super_frames() {
    in_namespace(|| {
        let seen = conversation("tap0", || open("tap0"));
        assert!(seen.longest > 20_000 && seen.super_frames > 100 && seen.unfinished > 100, "{seen:?}");
    });
}

#[test]
fn kernels_talk_in_plain_frames_without_offloads() {
    in_namespace(|| {
        let plain = || tap::open("tap0", tap::Options { offloads: Offloads::empty() }).unwrap();
        let seen = conversation("tap0", plain);
        assert_eq!((seen.longest, seen.super_frames, seen.unfinished), (1514, 0, 0));
    });
}

#[test]
fn its_link_tells_how_it_stands() {
    in_namespace(|| {
        let port = open("tap0");
        let link = port.link.clone().unwrap();
        assert_eq!((link.name(), link.state()), ("tap0", LinkState::Up));
        ip("link set tap0 down");
        assert_eq!(link.state(), LinkState::Down);
        ip("link set tap0 up");
        assert_eq!(link.state(), LinkState::Up);
        ip("link del tap0");
        assert_eq!(link.state(), LinkState::Gone);
        let port = open("tap1");
        let link = port.link.clone().unwrap();
        drop(port);
        assert_eq!(link.state(), LinkState::Gone);
        let gone = || matches!(Interface::find("tap1"), Err(Error::NoInterface(_)));
        eventually("what asks holds the TAP", gone);
    });
}

#[test]
fn the_capabilities_are_those_of_the_kernel() {
    in_namespace(|| {
        let port = open("tap0");
        let capabilities = port.tx.capabilities();
        assert_eq!((capabilities.frame, capabilities.offloads), (1514, Offloads::all()));
        assert!(port.notes.is_empty(), "{:?}", port.notes);
        // Segmentation without checksums is none: the kernel grants nothing.
        drop(port);
        let port = tap::open("tap0", tap::Options { offloads: Offloads::TSO4 }).unwrap();
        assert!(port.tx.capabilities().offloads.is_empty());
        assert_eq!(port.notes, ["tap0: without offloads: TSO4"]);
    });
}

#[test]
fn the_longest_super_frame_passes() {
    in_namespace(|| {
        let mut link = Link::new(open("tap0"), Box::new(Wire::open("tap0", true)));
        let (bytes, offload) = ports::contract::super_frame(65_549);
        link.put_one(&bytes, offload);
        assert!(link.arrives().0 == bytes);
    });
}

#[test]
fn a_tap_of_ours_vanishes_and_anothers_stays() {
    in_namespace(|| {
        ip("tuntap add dev theirs mode tap");
        let (ours, theirs) = (open("ours"), open("theirs"));
        assert!(Interface::find("ours").unwrap().up && Interface::find("theirs").unwrap().up);
        drop((ours, theirs));
        let gone = || matches!(Interface::find("ours"), Err(Error::NoInterface(_)));
        eventually("a TAP of ours stays", gone);
        assert!(Interface::find("theirs").is_ok());
        drop(open("theirs"));
    });
}

#[test]
fn errors_name_the_thing_and_the_way_out() {
    in_namespace(|| {
        assert!(refused("a/b").starts_with("a/b: no interface name"));
        veth("near", "far");
        assert!(
            refused("near").starts_with("near: taken: an interface that is no TAP"),
            "{}",
            refused("near")
        );
        let _held = open("tap0");
        assert!(refused("tap0").starts_with("tap0: taken: open in another process"), "{}", refused("tap0"));
        let mut mine = capabilities(None).unwrap();
        mine.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, mine).unwrap();
        assert!(
            refused("tap1").starts_with("tap1: not permitted: needs CAP_NET_ADMIN"),
            "{}",
            refused("tap1")
        );
    });
}

#[test]
fn a_tap_that_is_down_fails_frames_and_stalls_nothing() {
    in_namespace(|| {
        let mut link = Link::new(open("tap0"), Box::new(Wire::open("tap0", true)));
        ip("link set tap0 down");
        let frames = [frame(0, 60), frame(1, 60)];
        assert_eq!(link.put(&frames), Sent { taken: 2, frames: 0, bytes: 0 });
        link.port.tx.reserve(60).unwrap().fill(0);
        link.port.tx.commit(60, ports::Offload::NONE);
        assert_eq!(link.port.counters.read().dropped(Reason::Error), 1);
        ip("link set tap0 up");
        assert_eq!(link.put(&frames).frames, 2);
    });
}

#[test]
fn a_tap_that_is_deleted_wakes_nobody() {
    in_namespace(|| {
        let mut port = open("tap0");
        ip("link delete tap0");
        port.rx.arm();
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        assert!(burst.is_empty());
        drop(burst);
        assert!(!port.rx.arm());
        assert!(port.rx.fd().is_none(), "a descriptor that is readable for ever");
        assert_eq!(port.tx.transmit(&[Frame::new(&frame(0, 60))]), Sent { taken: 1, frames: 0, bytes: 0 });
    });
}
