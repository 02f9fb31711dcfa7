//! The offload stage against a reference of its own: segments put together again are the super-frame, and every
//! checksum is verified word by word, straight out of RFC 1071.

use std::sync::Arc;

use ports::{Capabilities, Mac, Offload, Reason, Time};
use proptest::prelude::*;
use switch::{Forwarder, Options, Switch, WhenFull};

use crate::support::{TestPort, balance, mac};

/// A super-frame to be made.
#[derive(Clone, Debug)]
struct Shape {
    tags: usize,
    v6: bool,
    udp: bool,
    ip_options: usize,
    tcp_options: usize,
    payload: Vec<u8>,
    gso_size: u16,
    flags: u8,
    seq: u32,
    id: u16,
    /// Ethernet padding behind the datagram.
    padding: usize,
}

fn shape() -> impl Strategy<Value = Shape> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..9000);
    let head = (0usize..3, any::<bool>(), any::<bool>(), 0usize..11, 0usize..11);
    (head, bytes, 32u16..1377, any::<u8>(), any::<u32>(), any::<u16>(), 0usize..8).prop_map(
        |((tags, v6, udp, ip_options, tcp_options), payload, gso_size, flags, seq, id, padding)| {
            let ip_options = if v6 { 0 } else { ip_options };
            Shape { tags, v6, udp, ip_options, tcp_options, payload, gso_size, flags, seq, id, padding }
        },
    )
}

impl Shape {
    fn l3(&self) -> usize {
        14 + 4 * self.tags
    }

    fn l4(&self) -> usize {
        self.l3() + if self.v6 { 40 } else { 20 + 4 * self.ip_options }
    }

    fn headers(&self) -> usize {
        self.l4() + if self.udp { 8 } else { 20 + 4 * self.tcp_options }
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    /// The frame, its checksum field holding the sum of the pseudo-header, as a sender leaves it.
    fn frame(&self) -> Vec<u8> {
        let mut f = [Mac::BROADCAST.octets(), mac(1).octets()].concat();
        for tag in 0..self.tags {
            f.extend([0x81, 0, 0, u8::try_from(tag).unwrap()]);
        }
        f.extend(if self.v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        let l4_len = self.headers() - self.l4() + self.payload.len();
        if self.v6 {
            f.extend([0x60, 1, 2, 3]);
            f.extend(u16::try_from(l4_len).unwrap().to_be_bytes());
            f.extend([self.protocol(), 64]);
            f.extend((0..32).map(|n| n * 7));
        } else {
            let header = 20 + 4 * self.ip_options;
            f.extend([0x40 | u8::try_from(header / 4).unwrap(), 0]);
            f.extend(u16::try_from(header + l4_len).unwrap().to_be_bytes());
            f.extend(self.id.to_be_bytes());
            f.extend([0x40, 0, 64, self.protocol(), 0xde, 0xad, 10, 0, 0, 1, 10, 0, 0, 2]);
            f.extend(vec![1; 4 * self.ip_options]);
        }
        let l4 = f.len();
        f.extend([0, 80, 0x12, 0x34]);
        if self.udp {
            f.extend(u16::try_from(l4_len).unwrap().to_be_bytes());
            f.extend([0, 0]);
        } else {
            f.extend(self.seq.to_be_bytes());
            f.extend([
                9,
                9,
                9,
                9,
                u8::try_from(5 + self.tcp_options).unwrap() << 4,
                self.flags,
                1,
                2,
                0,
                0,
                0,
                0,
            ]);
            f.extend(vec![1; 4 * self.tcp_options]);
        }
        f.extend(&self.payload);
        let at = l4 + self.checksum_offset();
        let pseudo = ones_sum(&self.pseudo_header(&f, l4_len));
        f[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        f.resize(f.len() + self.padding, 0);
        f
    }

    fn checksum_offset(&self) -> usize {
        if self.udp { 6 } else { 16 }
    }

    fn pseudo_header(&self, frame: &[u8], l4_len: usize) -> Vec<u8> {
        let addresses = if self.v6 { self.l3() + 8..self.l3() + 40 } else { self.l3() + 12..self.l3() + 20 };
        let mut pseudo = frame[addresses].to_vec();
        pseudo.extend(u32::try_from(l4_len).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol()]);
        pseudo
    }

    fn offload(&self) -> Offload {
        let gso_type = match (self.udp, self.v6) {
            (true, _) => Offload::GSO_UDP_L4,
            (false, false) => Offload::GSO_TCPV4,
            (false, true) => Offload::GSO_TCPV6,
        };
        Offload { gso_type, gso_size: self.gso_size, hdr_len: 0, ..self.checksum_only() }
    }

    fn checksum_only(&self) -> Offload {
        Offload {
            flags: 1,
            csum_start: u16::try_from(self.l4()).unwrap(),
            csum_offset: u16::try_from(self.checksum_offset()).unwrap(),
            ..Offload::NONE
        }
    }

    /// Checks what every frame on a wire must satisfy, and gives its payload.
    fn verify<'a>(&self, frame: &'a [u8], len: usize) -> &'a [u8] {
        let frame = &frame[..len];
        let (l3, l4) = (self.l3(), self.l4());
        let be16 = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        if self.v6 {
            assert_eq!(be16(l3 + 4), len - l4, "IPv6 payload length");
        } else {
            assert_eq!(be16(l3 + 2), len - l3, "IPv4 total length");
        }
        if self.udp {
            assert_eq!(be16(l4 + 4), len - l4, "UDP length");
            assert_ne!(be16(l4 + 6), 0, "UDP checksum left out");
        }
        let mut summed = self.pseudo_header(frame, len - l4);
        summed.extend(&frame[l4..]);
        assert_eq!(ones_sum(&summed), 0xffff, "checksum");
        &frame[self.headers()..]
    }

    /// Checks one segment of several, and gives its payload.
    fn verify_segment<'a>(&self, frame: &'a [u8], n: usize, of: usize) -> &'a [u8] {
        let (whole, l3, l4) = (self.frame(), self.l3(), self.l4());
        assert_eq!(frame[..l3], whole[..l3], "Ethernet header");
        if !self.v6 {
            assert_eq!(ones_sum(&frame[l3..l4]), 0xffff, "IPv4 header checksum");
            let id = u16::from_be_bytes([frame[l3 + 4], frame[l3 + 5]]);
            assert_eq!(id, self.id.wrapping_add(u16::try_from(n).unwrap()));
        }
        if !self.udp {
            let seq = u32::from_be_bytes(frame[l4 + 4..l4 + 8].try_into().unwrap());
            assert_eq!(seq, self.seq.wrapping_add(u32::try_from(n * usize::from(self.gso_size)).unwrap()));
            let mut flags = self.flags;
            flags &= if n + 1 < of { !0x09 } else { !0 };
            flags &= if n > 0 { !0x80 } else { !0 };
            assert_eq!(frame[l4 + 13], flags, "TCP flags of segment {n} of {of}");
            assert_eq!(frame[l4 + 14..l4 + 16], whole[l4 + 14..l4 + 16], "window");
            assert_eq!(
                frame[l4 + 18..self.headers()],
                whole[l4 + 18..self.headers()],
                "urgent pointer, options"
            );
        }
        self.verify(frame, frame.len())
    }
}

/// The ones' complement sum, word by word (RFC 1071, 4.1).
fn ones_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// Sends frames from an app to a wire, and gives what arrives there.
fn cross(frames: Vec<(Vec<u8>, Offload)>, takes: Capabilities) -> (Vec<Vec<u8>>, TestPort) {
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    let mut forwarder = Forwarder::new(switch.clone());
    let mut app = TestPort::join(&switch, "app", WhenFull::Drop, Capabilities::all(1500));
    let wire = TestPort::join(&switch, "wire", WhenFull::Drop, takes);
    app.source.frames.extend(frames);
    forwarder.forward(app.index, &mut app.source, Time::ZERO);
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

/// Without tags or options.
fn plain_shape(udp: bool, payload: Vec<u8>) -> Shape {
    Shape {
        tags: 0,
        v6: false,
        udp,
        ip_options: 0,
        tcp_options: 0,
        payload,
        gso_size: 1000,
        flags: 0x10,
        seq: 1,
        id: 1,
        padding: 0,
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
