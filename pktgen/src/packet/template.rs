//! The packet that is sent: UDP over IPv4 over Ethernet, as `initialize_packet` of netmap's pkt-gen makes it.

use ports::{Mac, checksum};

/// What the payload repeats, so that a capture shows where a frame came from; receivers know it by this text.
const PAYLOAD: &[u8] = b"netmap pkt-gen DIRECT payload\nhttp://info.iet.unipi.it/~luigi/netmap/ ";

const IP: usize = 14;
const UDP: usize = IP + 20;
const BODY: usize = UDP + 8;
/// The bytes that depend on the flow: from the IPv4 header's checksum to the end of the UDP header.
const VARYING: std::ops::Range<usize> = IP + 10..BODY;

/// Addresses and ports of one packet, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub src: u32,
    /// Source UDP port.
    pub src_port: u16,
    /// Destination address.
    pub dst: u32,
    /// Destination UDP port.
    pub dst_port: u16,
}

impl Flow {
    /// Sum of the words that the IPv4 header's checksum covers.
    fn address_sum(&self) -> u64 {
        [self.src >> 16, self.src & 0xffff, self.dst >> 16, self.dst & 0xffff].map(u64::from).iter().sum()
    }

    fn port_sum(&self) -> u64 {
        u64::from(self.src_port) + u64::from(self.dst_port)
    }
}

/// What the checksums cover and no flow changes, to which a flow adds its own six words. Instead of correcting a
/// checksum by what changed (RFC 1624): as cheap, and no error can creep on from frame to frame.
#[derive(Clone, Copy, Debug)]
struct Sums {
    /// The IPv4 header but for checksum and addresses.
    ip: u64,
    /// Pseudo-header, UDP header and payload but for checksum, addresses and ports.
    udp: u64,
}

impl Sums {
    /// Writes addresses, ports and checksums of a flow into a frame. One that is too short for its headers is left.
    #[inline]
    fn patch(self, flow: Flow, frame: &mut [u8]) {
        let Some(to) =
            frame.get_mut(VARYING).and_then(<[u8]>::first_chunk_mut::<{ VARYING.end - VARYING.start }>)
        else {
            return;
        };
        let addresses = flow.address_sum();
        let ip = checksum::finish(self.ip + addresses);
        let udp = match checksum::finish(self.udp + addresses + flow.port_sum()) {
            0 => 0xffff, // zero would say that there is none (RFC 768)
            sum => sum,
        };
        to[0..2].copy_from_slice(&ip.to_be_bytes());
        to[2..6].copy_from_slice(&flow.src.to_be_bytes());
        to[6..10].copy_from_slice(&flow.dst.to_be_bytes());
        to[10..12].copy_from_slice(&flow.src_port.to_be_bytes());
        to[12..14].copy_from_slice(&flow.dst_port.to_be_bytes());
        to[16..18].copy_from_slice(&udp.to_be_bytes()); // behind the length, which stays
    }
}

/// A frame with valid checksums, from which frames of other flows can be made.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    sums: Sums,
}

impl Template {
    /// Shortest frame: the headers and no payload.
    pub(crate) const MIN: usize = BODY;
    /// Longest frame: what an IPv4 length field can say, and the Ethernet header.
    pub(crate) const MAX: usize = 0xffff + IP;

    /// A frame of `len` bytes without FCS, brought within [`Self::MIN`]..=[`Self::MAX`].
    #[must_use]
    pub(crate) fn new(len: usize, src_mac: Mac, dst_mac: Mac, flow: Flow) -> Self {
        let len = len.clamp(Self::MIN, Self::MAX);
        let be16 = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
        let mut bytes = vec![0; len];
        bytes[..6].copy_from_slice(&dst_mac.octets());
        bytes[6..12].copy_from_slice(&src_mac.octets());
        bytes[12..14].copy_from_slice(&0x0800u16.to_be_bytes());
        let ip = &mut bytes[IP..UDP];
        (ip[0], ip[1]) = (0x45, 0x10); // TOS: low delay
        ip[2..4].copy_from_slice(&be16(len - IP));
        (ip[6], ip[8], ip[9]) = (0x40, 64, ports::wire::UDP); // don't fragment, TTL
        bytes[UDP + 4..UDP + 6].copy_from_slice(&be16(len - UDP));
        for (to, from) in bytes[BODY..].iter_mut().zip(PAYLOAD.iter().cycle()) {
            *to = *from;
        }
        let pseudo_header = checksum::pseudo_header(&[], &[], ports::wire::UDP, len - UDP);
        let sums =
            Sums { ip: checksum::sum(&bytes[IP..UDP]), udp: pseudo_header + checksum::sum(&bytes[UDP..]) };
        sums.patch(flow, &mut bytes);
        Self { bytes, sums }
    }

    /// The frame of the flow that the template was made for.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Turns a copy of the template into the frame of another flow.
    #[inline]
    pub(crate) fn patch(&self, flow: Flow, copy: &mut [u8]) {
        self.sums.patch(flow, copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ones' complement sum, word by word (RFC 1071, 4.1), shared with nothing that made the frame.
    fn sum(bytes: &[u8], start: u32) -> u32 {
        let mut sum = start;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum
    }

    /// Whether headers, lengths and checksums of a frame are as they must be.
    fn is_sound(frame: &[u8]) -> bool {
        let be16 = |at: usize| usize::from(frame[at]) << 8 | usize::from(frame[at + 1]);
        let udp = &frame[34..];
        let lengths = be16(16) == frame.len() - 14 && be16(38) == udp.len();
        let kinds = be16(12) == 0x0800 && frame[14] == 0x45 && frame[23] == 17;
        let pseudo = sum(&frame[26..34], 17 + u32::try_from(udp.len()).unwrap());
        let udp_sum = be16(40);
        lengths && kinds && sum(&frame[14..34], 0) == 0xffff && udp_sum != 0 && sum(udp, pseudo) == 0xffff
    }

    fn flow_of(frame: &[u8]) -> Flow {
        let be32 = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let be16 = |at: usize| u16::from_be_bytes(frame[at..at + 2].try_into().unwrap());
        Flow { src: be32(26), dst: be32(30), src_port: be16(34), dst_port: be16(36) }
    }

    fn any_flow() -> impl Strategy<Value = Flow> {
        (any::<u32>(), any::<u16>(), any::<u32>(), any::<u16>())
            .prop_map(|(src, src_port, dst, dst_port)| Flow { src, src_port, dst, dst_port })
    }

    #[test]
    fn the_packet_of_pkt_gen() {
        let flow = Flow { src: 0x0a00_0001, src_port: 1234, dst: 0x0a01_0001, dst_port: 1234 };
        let frame = Template::new(60, Mac::ZERO, Mac::BROADCAST, flow);
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 0, // Ethernet
            0x45, 0x10, 0, 46, 0, 0, 0x40, 0, 64, 17, 0x26, 0xad, 10, 0, 0, 1, 10, 1, 0, 1, // IPv4
            0x04, 0xd2, 0x04, 0xd2, 0, 26, // UDP, but for the checksum
        ];
        assert_eq!(frame.bytes()[..40], expected);
        assert_eq!(frame.bytes()[42..], *b"netmap pkt-gen DIR");
        assert!(is_sound(frame.bytes()));
    }

    #[test]
    fn lengths_end_where_ipv4_ends() {
        let flow = Flow { src: 0, src_port: 0, dst: 0, dst_port: 0 };
        for (asked, made) in [(0, 42), (42, 42), (43, 43), (1514, 1514), (65_549, 65_549), (70_000, 65_549)] {
            let t = Template::new(asked, Mac::ZERO, Mac::ZERO, flow);
            assert_eq!(t.bytes().len(), made);
            assert!(is_sound(t.bytes()), "{asked}");
        }
    }

    #[test]
    fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
        let mut flow = Flow { src: 1, src_port: 0, dst: 2, dst_port: 7 };
        let t = Template::new(60, Mac::ZERO, Mac::ZERO, flow);
        let mut copy = t.bytes().to_vec();
        let mut all_ones = 0;
        for port in 0..=u16::MAX {
            flow.src_port = port;
            t.patch(flow, &mut copy);
            assert!(is_sound(&copy), "{port}");
            all_ones += u32::from(copy[40..42] == [0xff, 0xff]);
        }
        assert_eq!(all_ones, 1);
    }

    proptest! {
        #[test]
        fn any_flow_gives_a_sound_frame(len in 42usize..3000, first in any_flow(), other in any_flow()) {
            let t = Template::new(len, Mac::ZERO, Mac::BROADCAST, first);
            prop_assert!(is_sound(t.bytes()));
            prop_assert_eq!(flow_of(t.bytes()), first);
            let mut copy = t.bytes().to_vec();
            t.patch(other, &mut copy);
            prop_assert!(is_sound(&copy));
            prop_assert_eq!(flow_of(&copy), other);
            let fresh = Template::new(len, Mac::ZERO, Mac::BROADCAST, other);
            prop_assert_eq!(fresh.bytes(), &copy[..]);
            t.patch(other, &mut copy[..41]); // too short: left alone, and no panic
        }
    }
}
