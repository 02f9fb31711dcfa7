//! Where the headers of a frame are. Enough of Ethernet, IP, TCP and UDP for offloads and for noticing
//! checksums that nobody filled in; nothing is interpreted beyond that.

/// EtherTypes that carry a VLAN tag (802.1Q, 802.1ad).
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Headers of options in IPv6, for hosts on the way and for the last one (RFC 8200, 4.3 and 4.6).
const OPTIONS: [u8; 2] = [0, 60];
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

/// The IP version of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Offsets of the headers of a TCP or UDP frame, in bytes from the start of the frame. All lie within the
/// bytes they were parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// IP version.
    pub ip: Ip,
    /// Start of the IP header.
    pub l3: usize,
    /// Start of the TCP or UDP header.
    pub l4: usize,
    /// Start of the payload.
    pub payload: usize,
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// End of the IP datagram by its own length field; what follows is Ethernet padding. A super-frame over
    /// 64 KiB says zero there, and ends where its bytes end.
    pub end: usize,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

impl Headers {
    /// Finds the headers of an unfragmented TCP or UDP frame of which `bytes` are at least the headers and
    /// `len` is the whole length. Up to two VLAN tags; in IPv6, of the extension headers those with options.
    #[must_use]
    pub fn parse(bytes: &[u8], len: usize) -> Option<Self> {
        let mut l3 = 14;
        while l3 <= 18 && TAGS.contains(&be16(bytes, l3 - 2)?) {
            l3 += 4;
        }
        let (ip, l4, protocol, end) = match be16(bytes, l3 - 2)? {
            IPV4 => Self::ipv4(bytes, l3, len)?,
            IPV6 => Self::ipv6(bytes, l3, len)?,
            _ => return None,
        };
        let payload = l4
            + match protocol {
                TCP => usize::from(bytes.get(l4 + 12)? >> 4) * 4,
                UDP => 8,
                _ => return None,
            };
        let smallest = if protocol == TCP { 20 } else { 8 };
        (payload >= l4 + smallest && payload <= bytes.len() && payload <= end).then_some(Self {
            ip,
            l3,
            l4,
            payload,
            protocol,
            end,
        })
    }

    fn ipv4(bytes: &[u8], l3: usize, len: usize) -> Option<(Ip, usize, u8, usize)> {
        let first = *bytes.get(l3)?;
        let header = usize::from(first & 0x0f) * 4;
        let fragment = be16(bytes, l3 + 6)? & 0x3fff; // MF or an offset
        if first >> 4 != 4 || header < 20 || fragment != 0 {
            return None;
        }
        let end = match be16(bytes, l3 + 2)? {
            0 => len,
            total => l3 + usize::from(total),
        };
        (end <= len && l3 + header <= end).then_some((Ip::V4, l3 + header, *bytes.get(l3 + 9)?, end))
    }

    fn ipv6(bytes: &[u8], l3: usize, len: usize) -> Option<(Ip, usize, u8, usize)> {
        if bytes.get(l3)? >> 4 != 6 {
            return None;
        }
        let mut l4 = l3 + 40;
        let end = match be16(bytes, l3 + 4)? {
            0 => len,
            payload => l4 + usize::from(payload),
        };
        let mut protocol = *bytes.get(l3 + 6)?;
        while OPTIONS.contains(&protocol) {
            protocol = *bytes.get(l4)?;
            l4 += 8 + 8 * usize::from(*bytes.get(l4 + 1)?);
        }
        (end <= len && l4 <= end).then_some((Ip::V6, l4, protocol, end))
    }

    /// Source and destination address of the frame that was parsed: 4 or 16 bytes each.
    #[must_use]
    pub fn addresses<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (at, len) = match self.ip {
            Ip::V4 => (self.l3 + 12, 4),
            Ip::V6 => (self.l3 + 8, 16),
        };
        Some((bytes.get(at..at + len)?, bytes.get(at + len..at + 2 * len)?))
    }

    /// Where the TCP or UDP checksum stands.
    #[must_use]
    pub const fn checksum_at(&self) -> usize {
        self.l4 + if self.protocol == TCP { 16 } else { 6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tcp4() -> Vec<u8> {
        let mut f = vec![0; 14 + 20 + 32 + 100];
        f[12..14].copy_from_slice(&IPV4.to_be_bytes());
        f[14] = 0x45;
        f[16..18].copy_from_slice(&152u16.to_be_bytes());
        f[23] = TCP;
        f[46] = 8 << 4;
        f
    }

    #[test]
    fn finds_tcp_over_ipv4() {
        let f = tcp4();
        let h = Headers::parse(&f, f.len()).unwrap();
        assert_eq!((h.ip, h.l3, h.l4, h.payload, h.end), (Ip::V4, 14, 34, 66, 166));
        assert_eq!(h.checksum_at(), 50);
    }

    #[test]
    fn finds_it_behind_two_tags() {
        let mut f = tcp4();
        for tag in [[0x81, 0, 0, 1], [0x88, 0xa8, 0, 2]] {
            f.splice(12..12, tag);
        }
        assert_eq!(Headers::parse(&f, f.len()).unwrap().l3, 22);
    }

    /// TCP over IPv6 behind two headers of options, the second of 16 bytes.
    fn tcp6() -> Vec<u8> {
        let mut f = vec![0; 14 + 40 + 8 + 16 + 20 + 100];
        f[12..14].copy_from_slice(&IPV6.to_be_bytes());
        f[14] = 0x60;
        f[18..20].copy_from_slice(&144u16.to_be_bytes());
        f[54] = 60;
        f[62..64].copy_from_slice(&[TCP, 1]);
        f[78 + 12] = 5 << 4;
        f
    }

    #[test]
    fn finds_it_behind_options_of_ipv6() {
        let f = tcp6();
        let h = Headers::parse(&f, f.len()).unwrap();
        assert_eq!((h.ip, h.l3, h.l4, h.payload, h.end), (Ip::V6, 14, 78, 98, 198));
        for (at, value) in [(54, 43), (54, 44), (55, 255), (63, 18)] {
            let mut lie = f.clone();
            lie[at] = value; // where another host is its destination, a fragment, and two that end nowhere
            assert!(Headers::parse(&lie, lie.len()).is_none(), "{at} {value}");
        }
        assert!((0..98).all(|len| Headers::parse(&f[..len], f.len()).is_none()));
    }

    #[test]
    fn refuses_what_is_cut_or_lies() {
        let f = tcp4();
        for len in 0..66 {
            assert!(Headers::parse(&f[..len], f.len()).is_none(), "{len}");
        }
        for (at, value) in
            [(14, 0x44), (14, 0x65), (17, 0xff), (20, 0x20), (21, 1), (23, 1), (46, 0x40), (46, 0xf0)]
        {
            let mut lie = f.clone();
            lie[at] = value;
            lie.truncate(if value == 0xf0 { 80 } else { lie.len() });
            assert!(Headers::parse(&lie, lie.len()).is_none(), "{at} {value:#x}");
        }
    }

    proptest! {
        #[test]
        fn offsets_lie_within(bytes in proptest::collection::vec(any::<u8>(), 0..200), more in 0usize..2000) {
            let mut bytes = bytes;
            if bytes.len() > 15 {
                bytes[12..14].copy_from_slice(&if more % 2 == 0 { IPV4 } else { IPV6 }.to_be_bytes());
                bytes[14] = if more % 2 == 0 { 0x45 } else { 0x60 };
            }
            if let Some(h) = Headers::parse(&bytes, bytes.len() + more) {
                prop_assert!(h.l3 < h.l4 && h.l4 < h.payload && h.payload <= bytes.len());
                prop_assert!(h.end <= bytes.len() + more && h.checksum_at() + 2 <= h.payload);
                prop_assert!(h.addresses(&bytes).is_some());
            }
        }
    }
}
