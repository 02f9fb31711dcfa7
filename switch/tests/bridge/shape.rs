//! Super-frames of any shape, and what must be true of the frames that they become: every checksum verified word by
//! word, straight out of RFC 1071.

use ports::{Mac, Offload};
use proptest::prelude::*;

use crate::support::mac;

/// A super-frame to be made.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    tags: usize,
    v6: bool,
    udp: bool,
    /// Words of four bytes in IPv4, headers of eight in IPv6: for hosts on the way first, then for the last.
    ip_options: usize,
    tcp_options: usize,
    pub(crate) payload: Vec<u8>,
    pub(crate) gso_size: u16,
    flags: u8,
    seq: u32,
    id: u16,
    /// Ethernet padding behind the datagram.
    pub(crate) padding: usize,
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..9000);
    let head = (0usize..3, any::<bool>(), any::<bool>(), 0usize..11, 0usize..11);
    (head, bytes, 32u16..1377, any::<u8>(), any::<u32>(), any::<u16>(), 0usize..8).prop_map(
        |((tags, v6, udp, ip_options, tcp_options), payload, gso_size, flags, seq, id, padding)| {
            let ip_options = if v6 { ip_options % 3 } else { ip_options };
            Shape { tags, v6, udp, ip_options, tcp_options, payload, gso_size, flags, seq, id, padding }
        },
    )
}

/// Without tags or options.
pub(crate) fn plain_shape(udp: bool, payload: Vec<u8>) -> Shape {
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

impl Shape {
    fn l3(&self) -> usize {
        14 + 4 * self.tags
    }

    fn l4(&self) -> usize {
        self.l3() + if self.v6 { 40 + 8 * self.ip_options } else { 20 + 4 * self.ip_options }
    }

    pub(crate) fn headers(&self) -> usize {
        self.l4() + if self.udp { 8 } else { 20 + 4 * self.tcp_options }
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    /// The frame, its checksum field holding the sum of the pseudo-header, as a sender leaves it.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut f = [Mac::BROADCAST.octets(), mac(1).octets()].concat();
        for tag in 0..self.tags {
            f.extend([0x81, 0, 0, u8::try_from(tag).unwrap()]);
        }
        f.extend(if self.v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        let l4_len = self.headers() - self.l4() + self.payload.len();
        if self.v6 {
            f.extend([0x60, 1, 2, 3]);
            f.extend(u16::try_from(8 * self.ip_options + l4_len).unwrap().to_be_bytes());
            let mut kinds = [0, 60].into_iter().take(self.ip_options).chain([self.protocol()]);
            f.extend([kinds.next().unwrap(), 64]);
            f.extend((0..32).map(|n| n * 7));
            kinds.for_each(|next| f.extend([next, 0, 1, 4, 0, 0, 0, 0])); // padding, RFC 8200, 4.2
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

    pub(crate) fn offload(&self) -> Offload {
        let gso_type = match (self.udp, self.v6) {
            (true, _) => Offload::GSO_UDP_L4,
            (false, false) => Offload::GSO_TCPV4,
            (false, true) => Offload::GSO_TCPV6,
        };
        Offload { gso_type, gso_size: self.gso_size, hdr_len: 0, ..self.checksum_only() }
    }

    pub(crate) fn checksum_only(&self) -> Offload {
        Offload {
            flags: 1,
            csum_start: u16::try_from(self.l4()).unwrap(),
            csum_offset: u16::try_from(self.checksum_offset()).unwrap(),
            ..Offload::NONE
        }
    }

    /// Checks what every frame on a wire must satisfy, and gives its payload.
    pub(crate) fn verify<'a>(&self, frame: &'a [u8], len: usize) -> &'a [u8] {
        let frame = &frame[..len];
        let (l3, l4) = (self.l3(), self.l4());
        let be16 = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        if self.v6 {
            assert_eq!(be16(l3 + 4), len - l3 - 40, "IPv6 payload length");
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
    pub(crate) fn verify_segment<'a>(&self, frame: &'a [u8], n: usize, of: usize) -> &'a [u8] {
        let (whole, l3, l4) = (self.frame(), self.l3(), self.l4());
        assert_eq!(frame[..l3], whole[..l3], "Ethernet header");
        if self.v6 {
            assert_eq!(frame[l3 + 6..l4], whole[l3 + 6..l4], "IPv6 addresses and options");
        } else {
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
