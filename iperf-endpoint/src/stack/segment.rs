//! The header fields of one TCP segment, as far as the stack's own book-keeping looks at them, and the few
//! frames that the stack writes itself.

use std::net::Ipv4Addr;

use ports::wire::{Headers, Ip, TCP};
use ports::{Frame, GsoType, OffloadFlags, checksum};

/// TCP flags (RFC 9293, 3.1).
pub(super) mod flag {
    pub(crate) const FIN: u8 = 1;
    pub(crate) const SYN: u8 = 2;
    pub(crate) const RST: u8 = 4;
    pub(crate) const ACK: u8 = 16;
}

/// Length of the Ethernet, IPv4 and TCP headers without options.
pub(super) const HEADERS: usize = 54;
/// Where the TCP header starts in a frame without IP options, as smoltcp writes them.
pub(super) const L4: usize = 34;

/// Whether sequence number `a` comes after `b` (RFC 9293, 3.4).
pub(super) const fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// Whom a connection is with: the remote end, and our port. Our address is the stack's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) remote: Ipv4Addr,
    pub(super) remote_port: u16,
    pub(super) local_port: u16,
}

impl Tuple {
    /// The tuple as one number.
    pub(super) fn key(self) -> u64 {
        u64::from(self.remote.to_bits()) << 32
            | u64::from(self.remote_port) << 16
            | u64::from(self.local_port)
    }
}

/// One segment that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) tuple: Tuple,
    pub(super) to: Ipv4Addr,
    pub(super) mac: [u8; 6],
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    /// Payload bytes.
    pub(super) len: u32,
    headers: Headers,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Segment {
    /// Reads an untagged, unfragmented TCP/IPv4 frame; `None` for anything else, and for one that is cut.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let headers = Headers::parse(bytes, bytes.len())?;
        if headers.protocol != TCP || headers.ip != Ip::V4 || headers.l3 != 14 {
            return None;
        }
        let l4 = headers.l4;
        Some(Self {
            tuple: Tuple {
                remote: Ipv4Addr::from_bits(be32(bytes, headers.l3 + 12)?),
                remote_port: be16(bytes, l4)?,
                local_port: be16(bytes, l4 + 2)?,
            },
            to: Ipv4Addr::from_bits(be32(bytes, headers.l3 + 16)?),
            mac: *bytes.get(6..)?.first_chunk()?,
            seq: be32(bytes, l4 + 4)?,
            ack: be32(bytes, l4 + 8)?,
            flags: *bytes.get(l4 + 13)?,
            window: be16(bytes, l4 + 14)?,
            len: u32::try_from(headers.end - headers.payload).ok()?,
            headers,
        })
    }

    /// Whether all of these flags are set.
    pub(super) const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number after everything the segment occupies.
    pub(super) const fn end(&self) -> u32 {
        let control = (self.flags & flag::FIN != 0) as u32 + (self.flags & flag::SYN != 0) as u32;
        self.seq.wrapping_add(self.len).wrapping_add(control)
    }

    /// Whether the checksum is right, or its bearer vouches for it: a frame that asks for its checksum to be
    /// completed never left this machine, and a super-frame was checked before it was put together.
    pub(super) fn is_intact(&self, frame: &Frame<'_>) -> bool {
        let vouched = (OffloadFlags::NEEDS_CSUM | OffloadFlags::DATA_VALID).bits();
        let offload = frame.offload();
        if offload.flags & vouched != 0 || offload.gso() != GsoType::None {
            return true;
        }
        let bytes = frame.bytes().unwrap_or_default();
        let (Some((src, dst)), Some(tcp)) =
            (self.headers.addresses(bytes), bytes.get(self.headers.l4..self.headers.end))
        else {
            return false;
        };
        checksum::fold(checksum::pseudo_header(src, dst, TCP, tcp.len()) + checksum::sum(tcp)) == 0xffff
    }

    /// The option of this kind: where its data starts in the frame, and the data.
    fn option<'a>(&self, bytes: &'a [u8], kind: u8) -> Option<(usize, &'a [u8])> {
        let (mut at, end) = (self.headers.l4 + 20, self.headers.payload);
        while at < end {
            match *bytes.get(at)? {
                0 => return None,
                1 => at += 1,
                k => {
                    let len = usize::from(*bytes.get(at + 1)?);
                    if len < 2 || at + len > end {
                        return None;
                    }
                    if k == kind {
                        return Some((at + 2, bytes.get(at + 2..at + len)?));
                    }
                    at += len;
                }
            }
        }
        None
    }

    /// The maximum segment size option (RFC 9293, 3.7.1) and where it stands.
    pub(super) fn mss(&self, bytes: &[u8]) -> Option<(usize, u16)> {
        let (at, data) = self.option(bytes, 2)?;
        Some((at, u16::from_be_bytes(data.try_into().ok()?)))
    }

    /// The window scale option (RFC 7323, 2.2).
    pub(super) fn window_scale(&self, bytes: &[u8]) -> Option<u8> {
        self.option(bytes, 3).and_then(|(_, data)| data.first().map(|shift| (*shift).min(14)))
    }

    /// Whether the segment reports data received out of order (RFC 2018, 3).
    pub(super) fn has_sack(&self, bytes: &[u8]) -> bool {
        self.headers.payload > self.headers.l4 + 20 && self.option(bytes, 5).is_some()
    }
}

/// What goes into the headers of a segment that the stack writes itself.
pub(super) struct BareAck {
    pub(super) to_mac: [u8; 6],
    pub(super) from_mac: [u8; 6],
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) from_port: u16,
    pub(super) to_port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
}

impl BareAck {
    /// A whole frame: an ACK without payload or options, checksums filled in.
    pub(super) fn frame(&self) -> [u8; HEADERS] {
        let mut f = [0; HEADERS];
        f[0..6].copy_from_slice(&self.to_mac);
        f[6..12].copy_from_slice(&self.from_mac);
        f[12..18].copy_from_slice(&[8, 0, 0x45, 0, 0, 40]);
        f[20..24].copy_from_slice(&[0x40, 0, 64, TCP]);
        f[26..30].copy_from_slice(&self.from.octets());
        f[30..34].copy_from_slice(&self.to.octets());
        let ip = checksum::finish(checksum::sum(&f[14..34]));
        f[24..26].copy_from_slice(&ip.to_be_bytes());
        f[34..36].copy_from_slice(&self.from_port.to_be_bytes());
        f[36..38].copy_from_slice(&self.to_port.to_be_bytes());
        f[38..42].copy_from_slice(&self.seq.to_be_bytes());
        f[42..46].copy_from_slice(&self.ack.to_be_bytes());
        f[46..48].copy_from_slice(&[5 << 4, flag::ACK]);
        f[48..50].copy_from_slice(&self.window.to_be_bytes());
        let pseudo = checksum::pseudo_header(&self.from.octets(), &self.to.octets(), TCP, 20);
        let tcp = checksum::finish(pseudo + checksum::sum(&f[L4..]));
        f[50..52].copy_from_slice(&tcp.to_be_bytes());
        f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack() -> BareAck {
        BareAck {
            to_mac: [2, 0, 0, 0, 0, 1],
            from_mac: [2, 0, 0, 0, 0, 2],
            from: Ipv4Addr::new(10, 0, 0, 2),
            to: Ipv4Addr::new(10, 0, 0, 1),
            from_port: 4000,
            to_port: 5201,
            seq: 7,
            ack: 9,
            window: 100,
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_intact() {
        let bytes = ack().frame();
        let s = Segment::parse(&bytes).unwrap();
        assert_eq!((s.tuple.remote_port, s.tuple.local_port), (4000, 5201));
        assert_eq!((s.seq, s.ack, s.window, s.len, s.end()), (7, 9, 100, 0, 7));
        assert!(s.is_intact(&Frame::new(&bytes)));
        for at in 26..HEADERS {
            let mut bad = bytes;
            bad[at] ^= 0x10;
            let ok = Segment::parse(&bad).is_some_and(|s| s.is_intact(&Frame::new(&bad)));
            assert!(!ok, "byte {at}");
        }
    }

    #[test]
    fn options_are_found_behind_others_and_never_past_the_header() {
        let mut bytes = ack().frame().to_vec();
        bytes.extend([1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 3, 3, 7, 0]);
        bytes[46] = 10 << 4;
        bytes[17] = 60;
        let s = Segment::parse(&bytes).unwrap();
        assert_eq!(s.mss(&bytes), Some((68, 1460)));
        assert_eq!(s.window_scale(&bytes), Some(7));
        bytes[67] = 60; // a length beyond the header
        assert_eq!(s.mss(&bytes), None);
        bytes[67] = 0;
        assert_eq!(s.mss(&bytes), None);
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert!(after(1, u32::MAX));
        assert!(!after(u32::MAX, 1));
        assert!(!after(5, 5));
    }
}
