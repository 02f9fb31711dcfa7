//! The offload stage against a reference of its own ([`Shape`](crate::shape::Shape)): segments put together again are the
//! super-frame, and every checksum is right.

use std::sync::Arc;

use ports::contract::Scattered;
use ports::{Capabilities, Mac, Offload, Reason, Rx, Time};
use proptest::prelude::*;
use switch::{Forwarder, Options, Switch, WhenFull};

use crate::shape::{plain_shape, shape};
use crate::support::{Source, TestPort, balance, mac};

/// Sends frames from an app to a wire, and gives what arrives there: the same, however many pieces they are in.
fn cross(frames: Vec<(Vec<u8>, Offload)>, takes: Capabilities) -> (Vec<Vec<u8>>, TestPort) {
    let (in_pieces, _) = cross_from(&mut Scattered::new(frames.clone(), 13), takes);
    let (got, wire) = cross_from(&mut Source { frames: frames.into() }, takes);
    assert_eq!(in_pieces, got);
    (got, wire)
}

fn cross_from(source: &mut dyn Rx, takes: Capabilities) -> (Vec<Vec<u8>>, TestPort) {
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    let mut forwarder = Forwarder::new(switch.clone());
    let app = TestPort::join(&switch, "app", WhenFull::Drop, Capabilities::all(1500));
    let wire = TestPort::join(&switch, "wire", WhenFull::Drop, takes);
    forwarder.forward(app.index, source, Time::ZERO);
    let store = std::mem::take(&mut wire.sink.store().got);
    assert!(store.iter().all(|(bytes, offload)| takes.takes(bytes.len(), *offload)));
    let (put_in, came_out) = balance([&app.counters, &wire.counters]);
    assert_eq!(put_in, came_out);
    (store.into_iter().map(|(bytes, _)| bytes).collect(), wire)
}

proptest! {
    #[test]
    fn segments_put_together_are_the_super_frame(shapes in proptest::collection::vec(shape(), 1..8)) {
        let frames = shapes.iter().map(|s| (s.frame(), s.offload())).collect();
        let (wire, _) = cross(frames, Capabilities::wire(1500));
        let mut wire = wire.iter();
        for shape in &shapes {
            let segments = shape.payload.len().div_ceil(usize::from(shape.gso_size));
            let mut payload = Vec::<u8>::new();
            for n in 0..segments {
                let part = shape.verify_segment(wire.next().unwrap(), n, segments);
                prop_assert!(n + 1 == segments || part.len() == usize::from(shape.gso_size));
                payload.extend(part);
            }
            prop_assert_eq!(&payload, &shape.payload);
        }
        prop_assert!(wire.next().is_none());
    }

    #[test]
    fn checksums_are_completed(shapes in proptest::collection::vec(shape(), 1..50)) {
        let frames = shapes.iter().map(|s| (s.frame(), s.checksum_only())).collect();
        let (wire, _) = cross(frames, Capabilities::wire(9200));
        prop_assert_eq!(wire.len(), shapes.len());
        for (shape, frame) in shapes.iter().zip(&wire) {
            prop_assert_eq!(shape.verify(frame, frame.len() - shape.padding), &shape.payload);
        }
    }

    /// Whatever the metadata says of whatever bytes: nothing panics, all is counted (in `cross`), and nothing that
    /// the wire does not take gets there.
    #[test]
    fn no_metadata_does_harm(
        shape in shape(),
        lies in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
        raw in any::<[u8; Offload::LEN]>(),
        keep in 0u8..8,
    ) {
        let mut frame = shape.frame();
        frame.truncate(cut.index(frame.len()) | if keep & 1 == 0 { 0 } else { usize::MAX >> 1 });
        let head = shape.headers().min(frame.len());
        for (at, value) in lies {
            if head > 0 {
                frame[at.index(head)] = value;
            }
        }
        let honest = shape.offload().to_bytes();
        let offload = if keep & 2 == 0 { Offload::from_bytes(raw) } else { Offload::from_bytes(honest) };
        let wire = Capabilities::wire(1500);
        let (got, _) = cross(vec![(frame, offload)], wire);
        prop_assert!(got.iter().all(|f| wire.takes(f.len(), Offload::NONE)));
    }
}

/// A UDP checksum of zero would say that there is none (RFC 768); `verify` insists on one.
#[test]
fn a_sum_that_comes_to_zero_is_sent_as_all_ones() {
    let plain = plain_shape(true, vec![0; 2]);
    for offload in [plain.checksum_only(), plain.offload()] {
        let (got, _) = cross(vec![(plain.frame(), offload)], Capabilities::wire(1500));
        // With its checksum as payload, the sum of a datagram of zeros is all ones.
        let shape = plain_shape(true, got[0][40..42].to_vec());
        let (got, _) = cross(vec![(shape.frame(), offload)], Capabilities::wire(1500));
        assert_eq!(shape.verify(&got[0], got[0].len()), shape.payload);
        assert_eq!(got[0][40..42], [0xff, 0xff]);
    }
}

/// A datagram is as short as its sender likes (`UDP_SEGMENT` of udp(7)): only how many come of one frame is bounded.
#[test]
fn datagrams_may_be_short() {
    for (gso_size, bytes) in [(1, 1), (1, 2048), (20, 3001), (31, 62)] {
        let mut shape = plain_shape(true, (0..bytes).map(|n| n as u8).collect());
        shape.gso_size = gso_size;
        let (got, _) = cross(vec![(shape.frame(), shape.offload())], Capabilities::wire(1500));
        assert_eq!(got.len(), shape.payload.len().div_ceil(gso_size.into()), "{bytes} by {gso_size}");
        let parts = got.iter().enumerate().flat_map(|(n, f)| shape.verify_segment(f, n, got.len()).to_vec());
        assert_eq!(parts.collect::<Vec<_>>(), shape.payload);
    }
    let mut shape = plain_shape(true, vec![1; 2049]);
    shape.gso_size = 1;
    let (got, wire) = cross(vec![(shape.frame(), shape.offload())], Capabilities::wire(1500));
    assert_eq!((got.len(), wire.dropped(Reason::NoOffload)), (0, 1));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let shape = plain_shape(false, vec![1; 3000]);
    let good = shape.offload();
    let (frame, end) = (shape.frame(), u16::try_from(shape.frame().len()).unwrap());
    let refused = |offload: Offload, reason: Reason| {
        let (got, wire) = cross(vec![(frame.clone(), offload)], Capabilities::wire(1500));
        assert_eq!((got.len(), wire.dropped(reason)), (0, 1), "{offload:?}");
    };
    assert_eq!(cross(vec![(frame.clone(), good)], Capabilities::wire(1500)).0.len(), 3);
    refused(Offload { gso_size: 0, ..good }, Reason::NoOffload);
    refused(Offload { gso_size: 31, ..good }, Reason::NoOffload);
    refused(Offload { gso_size: 1500, ..good }, Reason::Oversize);
    refused(Offload { gso_type: Offload::GSO_UDP, ..good }, Reason::NoOffload);
    refused(Offload { gso_type: Offload::GSO_UDP_L4, ..good }, Reason::NoOffload);
    refused(Offload { gso_type: Offload::GSO_TCPV6, ..good }, Reason::NoOffload);
    refused(Offload { gso_type: Offload::GSO_ECN, ..good }, Reason::NoOffload);
    refused(Offload { gso_type: 77, ..good }, Reason::NoOffload);
    refused(Offload { csum_start: 33, ..good }, Reason::NoOffload);
    refused(Offload { csum_offset: 15, ..good }, Reason::NoOffload);
    refused(Offload { hdr_len: end + 1, ..good }, Reason::NoOffload);
    refused(shape.checksum_only(), Reason::Oversize);
    let jumbo = |offload: Offload| {
        let (got, wire) = cross(vec![(frame.clone(), offload)], Capabilities::wire(9000));
        (got.len(), wire.dropped(Reason::NoOffload))
    };
    assert_eq!(jumbo(shape.checksum_only()), (1, 0));
    assert_eq!(jumbo(Offload { csum_start: end, ..shape.checksum_only() }), (0, 1));
    assert_eq!(jumbo(Offload { csum_start: end - 17, ..shape.checksum_only() }), (0, 1));
    assert_eq!(jumbo(Offload { csum_start: end - 18, ..shape.checksum_only() }), (1, 0));
    assert_eq!(jumbo(Offload { csum_start: 0, csum_offset: 0, ..shape.checksum_only() }), (0, 1));
    assert_eq!(jumbo(Offload { csum_start: u16::MAX, csum_offset: u16::MAX, ..good }), (0, 1));
}

/// A port that takes everything gets no lies all the same: who is behind it would have to see through them.
#[test]
fn what_makes_no_sense_passes_to_nobody() {
    let shape = plain_shape(false, vec![1; 3000]);
    let (frame, good) = (shape.frame(), shape.offload());
    let end = u16::try_from(frame.len()).unwrap();
    assert_eq!(cross(vec![(frame.clone(), good)], Capabilities::all(1500)).0.len(), 1, "as it is");
    for lie in [
        Offload { gso_size: 0, ..good },
        Offload { hdr_len: end + 1, ..good },
        Offload { csum_start: end, ..good },
        Offload { csum_start: end - 17, ..good },
        Offload { gso_type: Offload::GSO_UDP, ..good },
        Offload { gso_type: 77, ..good },
    ] {
        let (got, port) = cross(vec![(frame.clone(), lie)], Capabilities::all(1500));
        assert_eq!((got.len(), port.dropped(Reason::NoOffload)), (0, 1), "{lie:?}");
    }
}

#[test]
fn a_port_of_some_offloads_gets_what_it_takes_and_no_more() {
    let frame = |payload| crate::support::marked_tcp(Mac::BROADCAST, mac(1), 0, 1, payload);
    let tso = crate::support::tso(1000);
    let takes = Capabilities { super_frame: 4000, ..Capabilities::all(1500) };
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    let mut forwarder = Forwarder::new(switch.clone());
    let mut app = TestPort::join(&switch, "app", WhenFull::Drop, Capabilities::all(1500));
    let port = TestPort::join(&switch, "port", WhenFull::Drop, takes);
    app.source.frames.extend([(frame(3946), tso), (frame(3947), tso)]);
    forwarder.forward(app.index, &mut app.source, Time::ZERO);
    let got: Vec<_> = port.sink.store().got.iter().map(|(f, o)| (f.len(), *o)).collect();
    let none = Offload::NONE;
    assert_eq!(got, [(4000, tso), (1054, none), (1054, none), (1054, none), (1001, none)]);
}
