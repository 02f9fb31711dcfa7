//! Super-frames: one TCP or UDP header and more payload than a wire takes (virtio 1.2, 5.1.6.2; Linux
//! `Documentation/networking/segmentation-offloads.rst`).

use ports::wire::{Headers, Ip, TCP, UDP};
use ports::{Frame, GsoType, Reason, checksum};

use super::checksum::stored;

/// Most bytes of headers: Ethernet with two tags, IPv4 and TCP with all their options.
pub(super) const MAX_HEADERS: usize = 22 + 60 + 60;
/// Fewest payload bytes of a segment of TCP, whose smallest MSS is 48 with Linux (`TCP_MIN_SND_MSS`) and may hold 16 bytes
/// of options; less only serves to make work (CVE-2019-11479).
const MIN_SEGMENT: usize = 32;
/// Most segments, which is as many as those of TCP can be. Datagrams may have any length, and are bounded by this alone.
const MAX_PIECES: usize = (1 << 16) / MIN_SEGMENT;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// A super-frame whose headers are found to be in order.
pub(super) struct SuperFrame<'f> {
    /// The frame without the pieces that segments were cut from: there may be a thousand of either.
    rest: Frame<'f>,
    /// Bytes of the frame before `rest`.
    passed: usize,
    /// The headers, as they were read.
    head: [u8; MAX_HEADERS],
    headers: Headers,
    /// Payload bytes of a segment.
    segment: usize,
    /// Payload bytes of all.
    payload: usize,
}

impl<'f> SuperFrame<'f> {
    /// Reads and judges the headers of a frame with a GSO type.
    pub(super) fn read(frame: Frame<'f>) -> Result<Self, Reason> {
        let mut head = [0; MAX_HEADERS];
        let read = frame.head(&mut head);
        let headers = Headers::parse(&head[..read], frame.len()).ok_or(Reason::NoOffload)?;
        let offload = frame.offload();
        let as_announced = match offload.gso() {
            GsoType::Tcp4 => headers.ip == Ip::V4 && headers.protocol == TCP,
            GsoType::Tcp6 => headers.ip == Ip::V6 && headers.protocol == TCP,
            GsoType::UdpL4 => headers.protocol == UDP,
            GsoType::None | GsoType::Other => false,
        };
        let summed = !offload.needs_csum()
            || usize::from(offload.csum_start) == headers.l4
                && usize::from(offload.csum_start) + usize::from(offload.csum_offset)
                    == headers.checksum_at();
        let (segment, payload) = (usize::from(offload.gso_size), headers.end - headers.payload);
        let shortest = if headers.protocol == TCP { MIN_SEGMENT } else { payload.div_ceil(MAX_PIECES) };
        // An IP length field must be able to say it.
        let sayable = headers.payload + segment - headers.l3 <= usize::from(u16::MAX);
        if !offload.is_sound(frame.len()) || !as_announced || !summed || segment < shortest || !sayable {
            return Err(Reason::NoOffload);
        }
        Ok(Self { rest: frame, passed: 0, head, headers, segment, payload })
    }

    /// Number of segments, 1 to 2049.
    pub(super) fn pieces(&self) -> u16 {
        u16::try_from(self.payload.div_ceil(self.segment).max(1)).unwrap_or(u16::MAX)
    }

    /// Length of one segment with its headers.
    pub(super) fn piece_len(&self, piece: u16) -> usize {
        let from = usize::from(piece) * self.segment;
        self.headers.payload + self.payload.saturating_sub(from).min(self.segment)
    }

    /// Writes one segment, headers and checksums included, to `to`, which is as long as [`Self::piece_len`] says. Segments are
    /// written in their order.
    pub(super) fn write(&mut self, piece: u16, to: &mut [u8]) {
        let Headers { payload, l3, l4, protocol, ip, .. } = self.headers;
        to[..payload].copy_from_slice(&self.head[..payload]);
        let from = payload + usize::from(piece) * self.segment;
        let (rest, at) = self.rest.from_piece_at(from - self.passed);
        (self.rest, self.passed) = (rest, from - at);
        rest.copy_at(at, &mut to[payload..]);
        match ip {
            Ip::V4 => write_ipv4(&mut to[l3..], l4 - l3, piece),
            Ip::V6 => put(to, l3 + 4, to.len() - l3 - 40),
        }
        match protocol {
            TCP => self.write_tcp(&mut to[l4..], piece),
            _ => put(to, l4 + 4, to.len() - l4),
        }
        self.write_checksum(to);
    }

    fn write_tcp(&self, tcp: &mut [u8], piece: u16) {
        let from = u32::from(piece) * u32::from(self.rest.offload().gso_size);
        let first = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        tcp[4..8].copy_from_slice(&first.wrapping_add(from).to_be_bytes());
        if piece + 1 != self.pieces() {
            tcp[13] &= !(FIN | PSH);
        }
        if piece != 0 {
            tcp[13] &= !CWR; // RFC 3168, 6.1.2: the reduction is told once
        }
    }

    fn write_checksum(&self, to: &mut [u8]) {
        let Some((src, dst)) = self.headers.addresses(&self.head) else { return };
        let (l4, at) = (self.headers.l4, self.headers.checksum_at());
        let pseudo = checksum::pseudo_header(src, dst, self.headers.protocol, to.len() - l4);
        put(to, at, 0);
        let sum = stored(pseudo + checksum::sum(&to[l4..]));
        put(to, at, usize::from(sum));
    }
}

fn write_ipv4(ip: &mut [u8], header: usize, piece: u16) {
    put(ip, 2, ip.len());
    // As Linux does in inet_gso_segment: the identification counts on.
    let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(piece);
    put(ip, 4, usize::from(id));
    put(ip, 10, 0);
    let sum = checksum::finish(checksum::sum(&ip[..header]));
    put(ip, 10, usize::from(sum));
}

/// Writes a 16-bit field.
#[expect(
    clippy::cast_possible_truncation,
    reason = "every length was found to fit, every other value is 16 bits"
)]
fn put(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}
