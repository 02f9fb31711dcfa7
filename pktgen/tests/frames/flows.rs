//! Which flows frames belong to.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use pktgen::{Frames, Function};

use crate::bed::{Ends, ends, sent, v6};

fn flows(frames: Frames, count: u64) -> Vec<Ends> {
    sent(frames, Function::Tx, count).0.iter().map(|f| ends(f)).collect()
}

/// netmap's `-z` goes through as many random packets as the ring has slots, again and again.
#[test]
fn random_frames_do_not_repeat() {
    for base in [Frames::default(), v6()] {
        for (random_src, random_dst) in [(true, false), (false, true), (true, true)] {
            let frames = Frames { random_src, random_dst, seed: Some(7), ..base.clone() };
            let flows = flows(frames, 3000);
            let distinct = flows.iter().collect::<HashSet<_>>().len();
            assert!(distinct > 2990, "{distinct} of 3000, of a ring of 256");
            let first = &flows[0];
            assert_eq!(flows.iter().any(|f| f.src != first.src), random_src);
            assert_eq!(flows.iter().any(|f| f.src_port != first.src_port), random_src);
            assert_eq!(flows.iter().any(|f| f.dst != first.dst), random_dst);
            assert_eq!(flows.iter().any(|f| f.dst_port != first.dst_port), random_dst);
        }
    }
}

#[test]
fn every_sender_draws_its_own_unless_asked_for_the_same() {
    let drawn = |seed| flows(Frames { random_src: true, seed, ..Frames::default() }, 50);
    assert_ne!(drawn(None), drawn(None));
    assert_ne!(drawn(Some(1)), drawn(Some(2)));
    assert_eq!(drawn(Some(1)), drawn(Some(1)));
}

#[test]
fn of_ipv6_the_group_is_drawn() {
    let frames = Frames { src: "2@fd00::1".parse().unwrap(), random_src: true, ..v6() };
    for flow in flows(frames, 100) {
        let mut expected = Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]).octets();
        expected[4..6].copy_from_slice(&flow.src[4..6]);
        assert_eq!(flow.src, expected);
    }
}

/// An end that is drawn has no wheels: the other turns with every frame (`update_ip` of netmap's pkt-gen).
#[test]
fn a_range_turns_beside_what_is_drawn() {
    let frames = Frames {
        src: "10.9.0.1-10.9.0.9".parse().unwrap(),
        dst: "10.1.0.1:5-10.1.0.2:6".parse().unwrap(),
        random_src: true,
        ..Frames::default()
    };
    let ends: Vec<_> = flows(frames, 5).into_iter().map(|f| (f.dst[3], f.dst_port)).collect();
    assert_eq!(ends, [(1, 5), (1, 6), (2, 5), (2, 6), (1, 5)]);
}

#[test]
fn ranges_of_ipv6_turn_in_netmaps_order() {
    let frames = Frames {
        src: "7@[fd00::1]:5-[fd00::2]:6".parse().unwrap(),
        dst: "0@[fd00::1]-[fd01::1]".parse().unwrap(),
        ..v6()
    };
    let ends: Vec<_> = flows(frames, 9).into_iter().map(|f| (f.src_port, f.src[15], f.dst[1])).collect();
    let once = [(5, 1, 0), (6, 1, 0), (5, 2, 0), (6, 2, 0), (5, 1, 1), (6, 1, 1), (5, 2, 1), (6, 2, 1)];
    assert_eq!(ends, [&once[..], &once[..1]].concat());
}

#[test]
fn the_first_flow_is_the_lowest() {
    let frames = Frames { src: "10.0.0.9-10.0.0.7".parse().unwrap(), ..Frames::default() };
    let sources: Vec<_> = flows(frames, 4).iter().map(|f| f.src[3]).collect();
    assert_eq!(sources, [7, 8, 9, 7]);
    assert_eq!(flows(Frames::default(), 1)[0].dst, Ipv4Addr::new(10, 1, 0, 1).octets());
}
