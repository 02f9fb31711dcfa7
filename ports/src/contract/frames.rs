//! Frames that can be told from anybody else's, and whose every byte is known.

use crate::{Frame, Mac, Offload, OffloadFlags};

/// The station that the suite's frames come from. `88b5` is the EtherType for local experiments (IEEE 802-2014,
/// 9.2.3), which they carry too; super-frames must be TCP for a kernel to accept them.
pub const STATION: Mac = Mac::from_bits(0x0288_b500_0001);
const PEER: Mac = Mac::from_bits(0x0288_b500_0002);

/// A frame of `len` bytes, from 18, with its number and known contents.
#[must_use]
pub fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(PEER.octets());
    bytes.extend(STATION.octets());
    bytes.extend(0x88b5_u16.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    let fill = number.wrapping_mul(0x9e37_79b9).to_le_bytes();
    bytes.extend(fill.iter().cycle().zip(0_u8..=255).map(|(f, i)| f ^ i).cycle().take(len - bytes.len()));
    bytes
}

/// The number in a frame of the suite; `None` for anybody else's.
#[must_use]
pub fn sequence(frame: &[u8]) -> Option<u32> {
    let (_, src) = Frame::new(frame).stations()?;
    let ours = src == STATION && frame.get(12..14)? == [0x88, 0xb5];
    if ours { Some(u32::from_be_bytes(frame.get(14..18)?.try_into().ok()?)) } else { None }
}

/// A TCP super-frame over IPv4 of `len` bytes, its checksum left to be completed, and its metadata.
#[must_use]
pub fn super_frame(len: usize) -> (Vec<u8>, Offload) {
    let mut bytes = frame(1, len);
    bytes[12..14].copy_from_slice(&[0x08, 0x00]);
    let datagram = u16::try_from(len - 14).unwrap_or(0);
    let mut ip = [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ip[2..4].copy_from_slice(&datagram.to_be_bytes());
    let sum = crate::checksum::finish(crate::checksum::sum(&ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes[14..34].copy_from_slice(&ip);
    bytes[46] = 5 << 4; // TCP header of 20 bytes
    bytes[47] = 0x10; // ACK
    let offload = Offload {
        flags: OffloadFlags::NEEDS_CSUM.bits(),
        gso_type: Offload::GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1460,
        csum_start: 34,
        csum_offset: 16,
    };
    (bytes, offload)
}
