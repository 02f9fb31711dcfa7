//! Raw-socket ports against the kernel, in a network namespace of the test's own.

use std::time::Duration;

use ports::contract::{Far, Link, Wire, conversation, frame, in_namespace, ip, suite, veth};
use ports::{Interface, Offload, Port, Reason, Sent, packet};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

fn open() -> Port {
    packet::open("near", packet::Options::default()).expect("open the port")
}

fn refused(name: &str) -> String {
    packet::open(name, packet::Options::default()).map(|_| ()).expect_err("no port").to_string()
}

fn link() -> Link {
    veth("near", "far");
    Link::new(open(), Box::new(Wire::open("far", true)))
}

#[test]
fn a_raw_socket_keeps_the_contract() {
    in_namespace(|| {
        veth("near", "far");
        suite(&mut || (open(), Box::new(Wire::open("far", true)) as Box<dyn Far>));
    });
}

#[test]
fn kernels_talk_in_super_frames() {
    in_namespace(|| {
        let seen = conversation("far", || {
            veth("near", "far");
            open()
        });
        assert!(seen.longest > 20_000 && seen.super_frames > 100 && seen.unfinished > 100, "{seen:?}");
    });
}

#[test]
fn the_station_is_the_interfaces() {
    in_namespace(|| {
        veth("near", "far");
        assert_eq!(open().mac, Some(Interface::find("near").unwrap().mac));
    });
}

#[test]
fn vlan_tags_are_put_back() {
    in_namespace(|| {
        let mut link = link();
        for len in [60, 1518] {
            let mut tagged = frame(0, len);
            tagged[12..16].copy_from_slice(&[0x81, 0x00, 0x60, 0x64]); // priority 3, VLAN 100
            link.send(&tagged);
            let mut arrived = Vec::new();
            while arrived.is_empty() {
                let mut burst = ports::Burst::new();
                link.port.rx.receive(&mut burst);
                arrived.extend(burst.iter().map(|f| f.to_vec()));
                let all = burst.len();
                drop(burst);
                link.port.rx.release(all);
            }
            assert_eq!(arrived, [tagged]);
        }
        // And out again, with a checksum to be completed behind the tag.
        let (mut bytes, offload) = ports::contract::super_frame(9014);
        bytes.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
        link.put_one(&bytes, Offload { csum_start: 38, hdr_len: 58, ..offload });
        let (arrived, metadata) = link.arrives();
        // The far side is a plain socket, from which the kernel keeps the tag.
        assert_eq!((arrived.len(), metadata.csum_start), (9014, 34));
    });
}

#[test]
fn what_the_host_itself_sends_is_not_received() {
    in_namespace(|| {
        let mut link = link();
        assert!(Wire::open("near", false).send(&frame(0, 60), Offload::NONE));
        link.send(&frame(1, 60));
        assert_eq!(link.take_exactly(1), [frame(1, 60)]);
    });
}

#[test]
fn what_the_socket_has_no_room_for_is_counted() {
    in_namespace(|| {
        let mut link = link();
        let sent = (0..60_000).filter(|i| link.far.send(&frame(*i, 1514), Offload::NONE)).count();
        let mut received = 0;
        loop {
            let n = link.take().len();
            received += n;
            if n == 0 && !link.port.rx.arm() {
                break;
            }
        }
        let dropped = link.port.counters.read().dropped(Reason::Kernel);
        assert!(dropped > 0);
        assert_eq!(received as u64 + dropped, sent as u64);
    });
}

#[test]
fn errors_name_the_thing_and_the_way_out() {
    in_namespace(|| {
        assert_eq!(refused("eth9"), "eth9: no such interface (try: ip link)");
        ip("link add near type veth peer name far");
        assert_eq!(refused("near"), "near: interface is down (try: ip link set near up)");
        ip("link set near up");
        let mut mine = capabilities(None).unwrap();
        mine.effective.remove(CapabilitySet::NET_RAW);
        set_capabilities(None, mine).unwrap();
        assert_eq!(refused("near"), "near: not permitted: needs CAP_NET_RAW (try: sudo, or setcap)");
    });
}

#[test]
fn an_interface_that_goes_down_fails_frames_and_stalls_nothing() {
    in_namespace(|| {
        let mut link = link();
        let frames = [frame(0, 60), frame(1, 60)];
        ip("link set near down");
        assert_eq!(link.put(&frames), Sent { taken: 2, frames: 0, bytes: 0 });
        link.take(); // reads the socket's error
        assert!(!link.port.rx.arm());
        ip("link set near up");
        assert_eq!(link.put(&frames).frames, 2);
        assert_eq!(link.arrives().0, frames[0]);
        // The kernel opens the far side's queue in its own time (net/core/link_watch.c).
        let arrives = (0..1000).any(|_| {
            link.send(&frames[1]);
            std::thread::sleep(Duration::from_millis(5));
            link.take().contains(&frames[1])
        });
        assert!(arrives, "deaf after the interface came up again");
        ip("link delete near");
        assert_eq!(link.put(&frames), Sent { taken: 2, frames: 0, bytes: 0 });
        link.take();
        assert!(!link.port.rx.arm());
    });
}
