//! The packet that is sent: UDP over IP over Ethernet, as `initialize_packet` of netmap's pkt-gen makes it.

use fastrand::Rng;
use ports::{Mac, checksum, wire};

use super::flow::v4;
use super::{Family, Flow, Layout, Odometer, Tag};
use crate::Frames;

/// What the checksums cover and no flow changes, to which a flow adds its own words. Instead of correcting a
/// checksum by what changed (RFC 1624): as cheap, and no error can creep on from frame to frame.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// The IPv4 header but for checksum and addresses.
    ip: u64,
    /// Pseudo-header, UDP header and payload but for checksum, addresses, ports and sequence number.
    udp: u64,
}

/// A frame with valid checksums, from which frames of other flows, sequence numbers and sizes can be made.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The longest frame that it can be made into, and how much of it is used.
    bytes: Vec<u8>,
    len: usize,
    layout: Layout,
    flow: Flow,
    /// Frames have a sequence number in their first four bytes of payload.
    sequenced: bool,
    sums: Sums,
}

impl Template {
    /// Bytes of a sequence number.
    pub(crate) const SEQUENCE: usize = 4;

    /// Bytes of the headers of such frames, and of their sequence number.
    pub(crate) const fn shortest(layout: Layout, sequenced: bool) -> usize {
        layout.body() + if sequenced { Self::SEQUENCE } else { 0 }
    }

    /// The frame of the first flow, of the longest size.
    #[must_use]
    pub(crate) fn first(frames: &Frames, src_mac: Mac) -> Self {
        let flow = *Odometer::new(frames.src, frames.dst).flow();
        let len = usize::try_from(frames.size.longest()).unwrap_or(usize::MAX);
        Self::new(frames, len, src_mac, flow, false, &mut frames.rng())
    }

    /// A frame of `len` bytes without FCS, brought within what its headers need and can tell of. `rng` fills a random
    /// payload.
    #[must_use]
    pub(crate) fn new(
        frames: &Frames,
        len: usize,
        src_mac: Mac,
        flow: Flow,
        sequenced: bool,
        rng: &mut Rng,
    ) -> Self {
        let layout = frames.layout();
        let len = len.clamp(Self::shortest(layout, sequenced), layout.longest());
        let mut bytes = vec![0; len];
        ethernet(&mut bytes, src_mac, frames.dst_mac, layout.family, &frames.vlans);
        let (headers, body) = bytes.split_at_mut(layout.body());
        frames.payload.fill(body, rng);
        let ip = &mut headers[layout.l3..];
        match layout.family {
            Family::V4 => {
                (ip[0], ip[1]) = (0x45, 0x10); // TOS: low delay
                (ip[6], ip[8], ip[9]) = (0x40, 64, wire::UDP); // don't fragment, TTL
            }
            Family::V6 => (ip[0], ip[6], ip[7]) = (0x60, wire::UDP, 64), // next header, hop limit
        }
        let mut template = Self { bytes, len, layout, flow, sequenced, sums: Sums::default() };
        template.resize(len);
        template
    }

    /// The frame of the flow that the template was made for, with sequence number zero.
    #[must_use]
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Makes it a frame of `len` bytes, no more than it was made for.
    pub(crate) fn resize(&mut self, len: usize) {
        let (l3, l4) = (self.layout.l3, self.layout.l4());
        let len = len.clamp(Self::shortest(self.layout, self.sequenced), self.bytes.len());
        let be16 = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
        self.len = len;
        let frame = &mut self.bytes[..len];
        match self.layout.family {
            Family::V4 => {
                frame[l3 + 2..l3 + 4].copy_from_slice(&be16(len - l3));
                frame[l3 + 10..l4].fill(0); // checksum and addresses
            }
            Family::V6 => {
                frame[l3 + 4..l3 + 6].copy_from_slice(&be16(len - l4));
                frame[l3 + 8..l4].fill(0); // addresses
            }
        }
        frame[l4..l4 + 4].fill(0); // ports
        frame[l4 + 4..l4 + 6].copy_from_slice(&be16(len - l4));
        frame[l4 + 6..l4 + 8].fill(0); // checksum
        if self.sequenced {
            frame[l4 + 8..l4 + 8 + Self::SEQUENCE].fill(0);
        }
        let pseudo_header = checksum::pseudo_header(&[], &[], wire::UDP, len - l4);
        self.sums =
            Sums { ip: checksum::sum(&frame[l3..l4]), udp: pseudo_header + checksum::sum(&frame[l4..]) };
        let mut bytes = std::mem::take(&mut self.bytes);
        self.patch(&self.flow, 0, &mut bytes);
        self.bytes = bytes;
    }

    /// Turns a copy of the template into the frame of another flow and sequence number. One that is too short for its
    /// headers is left.
    #[inline]
    pub(crate) fn patch(&self, flow: &Flow, sequence: u32, copy: &mut [u8]) {
        let sequence = self.sequenced.then_some(sequence);
        match self.layout.family {
            Family::V4 => self.patch_v4(flow, sequence, copy),
            Family::V6 => self.patch_v6(flow, sequence, copy),
        }
    }

    #[inline]
    fn patch_v4(&self, flow: &Flow, sequence: Option<u32>, copy: &mut [u8]) {
        // From the IPv4 header's checksum to the end of the UDP header.
        let Some((to, body)) =
            copy.get_mut(self.layout.l3 + 10..).and_then(<[u8]>::split_first_chunk_mut::<18>)
        else {
            return;
        };
        let addresses = flow.address_sum_v4();
        to[0..2].copy_from_slice(&checksum::finish(self.sums.ip + addresses).to_be_bytes());
        to[2..6].copy_from_slice(&v4(flow.src).to_be_bytes());
        to[6..10].copy_from_slice(&v4(flow.dst).to_be_bytes());
        let Some(udp) = to.last_chunk_mut() else { return };
        self.patch_udp(flow, addresses, sequence, udp, body);
    }

    #[inline]
    fn patch_v6(&self, flow: &Flow, sequence: Option<u32>, copy: &mut [u8]) {
        // From the source address to the end of the UDP header.
        let Some((to, body)) =
            copy.get_mut(self.layout.l3 + 8..).and_then(<[u8]>::split_first_chunk_mut::<40>)
        else {
            return;
        };
        to[..16].copy_from_slice(&flow.src.to_be_bytes());
        to[16..32].copy_from_slice(&flow.dst.to_be_bytes());
        let Some(udp) = to.last_chunk_mut() else { return };
        self.patch_udp(flow, flow.address_sum(), sequence, udp, body);
    }

    #[inline]
    fn patch_udp(
        &self,
        flow: &Flow,
        addresses: u64,
        sequence: Option<u32>,
        udp: &mut [u8; 8],
        body: &mut [u8],
    ) {
        udp[0..2].copy_from_slice(&flow.src_port.to_be_bytes());
        udp[2..4].copy_from_slice(&flow.dst_port.to_be_bytes());
        let mut sum = self.sums.udp + addresses + flow.port_sum();
        if let (Some(sequence), Some(to)) = (sequence, body.first_chunk_mut()) {
            *to = sequence.to_be_bytes();
            sum += u64::from(sequence);
        }
        // Zero would say that there is none (RFC 768), which IPv6 does not allow (RFC 8200, 8.1).
        let sum = match checksum::finish(sum) {
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Ethernet header with its tags, outermost first.
fn ethernet(frame: &mut [u8], src: Mac, dst: Mac, family: Family, tags: &[Tag]) {
    frame[..6].copy_from_slice(&dst.octets());
    frame[6..12].copy_from_slice(&src.octets());
    let mut at = 12;
    for (tag, inner) in tags.iter().zip((0..tags.len()).rev()) {
        frame[at..at + 2].copy_from_slice(&Tag::ether_type(inner).to_be_bytes());
        frame[at + 2..at + 4].copy_from_slice(&tag.control().to_be_bytes());
        at += 4;
    }
    let ether_type: u16 = match family {
        Family::V4 => 0x0800,
        Family::V6 => 0x86dd,
    };
    frame[at..at + 2].copy_from_slice(&ether_type.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::sound::read;
    use crate::{Payload, Size};
    use fastrand::Rng;
    use proptest::prelude::*;

    fn template(frames: &Frames, len: usize, flow: Flow, sequenced: bool) -> Template {
        Template::new(frames, len, Mac::ZERO, flow, sequenced, &mut Rng::with_seed(1))
    }

    const FLOW: Flow = Flow { src: 0x0a00_0001, src_port: 1234, dst: 0x0a01_0001, dst_port: 1234 };

    #[test]
    fn the_packet_of_pkt_gen() {
        let frame = template(&Frames::default(), 60, FLOW, false);
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 0, // Ethernet
            0x45, 0x10, 0, 46, 0, 0, 0x40, 0, 64, 17, 0x26, 0xad, 10, 0, 0, 1, 10, 1, 0, 1, // IPv4
            0x04, 0xd2, 0x04, 0xd2, 0, 26, // UDP, but for the checksum
        ];
        assert_eq!(frame.bytes()[..40], expected);
        assert_eq!(frame.bytes()[42..], *b"netmap pkt-gen DIR");
        assert_eq!(read(frame.bytes()).unwrap().flow, FLOW);
    }

    #[test]
    fn the_packet_of_pkt_gen_over_ipv6() {
        let frames = Frames { src: Frames::SRC_V6.into(), dst: Frames::DST_V6.into(), ..Frames::default() };
        let flow = Flow { src: Frames::SRC_V6.to_bits(), dst: Frames::DST_V6.to_bits(), ..FLOW };
        let frame = template(&frames, 80, flow, false);
        let expected = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 26, 17, 64, 0xfd, 0, 0, 0];
        assert_eq!(frame.bytes()[12..26], expected);
        assert_eq!(frame.bytes()[62..], *b"netmap pkt-gen DIR");
        assert_eq!(read(frame.bytes()).unwrap().flow, flow);
    }

    #[test]
    fn tags_stand_outermost_first() {
        let tags = |text: &[&str]| {
            let frames =
                Frames { vlans: text.iter().map(|t| t.parse().unwrap()).collect(), ..Frames::default() };
            read(template(&frames, 64, FLOW, false).bytes()).unwrap().tags
        };
        assert_eq!(tags(&["100:5"]), [(0x8100, 0xa064)]);
        assert_eq!(tags(&["7", "4094"]), [(0x88a8, 7), (0x8100, 4094)]);
    }

    #[test]
    fn lengths_end_where_ip_ends() {
        for (asked, made) in [(0, 42), (42, 42), (43, 43), (1514, 1514), (65_549, 65_549), (70_000, 65_549)] {
            let t = template(&Frames::default(), asked, FLOW, false);
            assert_eq!(t.bytes().len(), made);
            assert!(read(t.bytes()).is_ok(), "{asked}");
        }
    }

    #[test]
    fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
        for v6 in [false, true] {
            let mut frames = Frames::default();
            if v6 {
                (frames.src, frames.dst) = (Frames::SRC_V6.into(), Frames::DST_V6.into());
            }
            let mut flow = FLOW;
            let t = template(&frames, 80, flow, false);
            let at = if v6 { 60 } else { 40 };
            let mut copy = t.bytes().to_vec();
            let mut all_ones = 0;
            for port in 0..=u16::MAX {
                flow.src_port = port;
                t.patch(&flow, 0, &mut copy);
                assert!(read(&copy).is_ok(), "{port}");
                all_ones += u32::from(copy[at..at + 2] == [0xff, 0xff]);
            }
            assert_eq!(all_ones, 1);
        }
    }

    fn any_payload() -> impl Strategy<Value = Payload> {
        prop_oneof![
            Just(Payload::Netmap),
            Just(Payload::Zero),
            Just(Payload::Ones),
            Just(Payload::Increment),
            Just(Payload::Random),
            proptest::collection::vec(any::<u8>(), 1..9).prop_map(Payload::Bytes),
        ]
    }

    fn any_frames() -> impl Strategy<Value = Frames> {
        (any::<bool>(), proptest::collection::vec((0u16..4095, 0u8..8), 0..3), any_payload()).prop_map(
            |(v6, tags, payload)| {
                let vlans =
                    tags.iter().map(|(id, priority)| format!("{id}:{priority}").parse().unwrap()).collect();
                let mut frames = Frames { vlans, payload, size: Size::Fixed(100), ..Frames::default() };
                if v6 {
                    (frames.src, frames.dst) = (Frames::SRC_V6.into(), Frames::DST_V6.into());
                }
                frames
            },
        )
    }

    prop_compose! {
        fn any_flow(v6: bool)(src: u128, src_port: u16, dst: u128, dst_port: u16) -> Flow {
            let mask = if v6 { u128::MAX } else { u32::MAX.into() };
            Flow { src: src & mask, src_port, dst: dst & mask, dst_port }
        }
    }

    proptest! {
        /// Whatever it consists of, and whatever becomes of it.
        #[test]
        fn every_frame_is_sound(
            (frames, first, other) in any_frames()
                .prop_flat_map(|f| { let v6 = f.src.is_v6(); (Just(f), any_flow(v6), any_flow(v6)) }),
            more in 0usize..3000,
            less in 0usize..3000,
            sequence in proptest::option::of(any::<u32>()),
        ) {
            let least = Template::shortest(frames.layout(), sequence.is_some());
            let mut t = template(&frames, least + more, first, sequence.is_some());
            let original = read(t.bytes()).map_err(TestCaseError::fail)?;
            prop_assert_eq!(original.flow, first);
            prop_assert_eq!((original.v6, original.tags.len()), (frames.src.is_v6(), frames.vlans.len()));
            let mut copy = t.bytes().to_vec();
            t.patch(&other, sequence.unwrap_or(7), &mut copy);
            let patched = read(&copy).map_err(TestCaseError::fail)?;
            prop_assert_eq!(patched.flow, other);
            if let Some(sequence) = sequence {
                prop_assert_eq!(&copy[patched.body..patched.body + 4], &sequence.to_be_bytes());
            } else {
                prop_assert_eq!(&copy[patched.body..], &t.bytes()[patched.body..]);
            }
            let fresh = template(&frames, least + more, other, sequence.is_some());
            if sequence.is_none_or(|n| n == 0) {
                prop_assert_eq!(fresh.bytes(), &copy[..]);
            }
            let len = least + less.min(more);
            t.resize(len);
            prop_assert_eq!(t.bytes().len(), len);
            prop_assert_eq!(read(t.bytes()).map_err(TestCaseError::fail)?.flow, first);
            t.patch(&other, 1, &mut copy[..least.min(41)]); // too short: left alone, and no panic
        }
    }
}
