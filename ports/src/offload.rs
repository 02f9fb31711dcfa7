//! Offload metadata: what a frame still needs done to it before it may stand on a wire.
//!
//! The fields, their order and their meaning are those of `struct virtio_net_hdr` (virtio 1.2, 5.1.6; the
//! first ten bytes), which is also what a TAP with `IFF_VNET_HDR` and an `AF_PACKET` socket with
//! `PACKET_VNET_HDR` read and write: a backend copies the header as it is.

use serde::{Deserialize, Serialize};

use crate::Frame;

bitflags::bitflags! {
    /// `virtio_net_hdr.flags`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OffloadFlags: u8 {
        /// The checksum at `csum_start + csum_offset` holds only the pseudo-header sum and is to be completed.
        const NEEDS_CSUM = 1;
        /// The checksums were verified by who delivered the frame.
        const DATA_VALID = 2;
    }

    /// What a port can take in [`Tx::transmit`](crate::Tx::transmit) without help of the switch's offload stage.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Offloads: u8 {
        /// Frames with [`OffloadFlags::NEEDS_CSUM`].
        const CSUM = 1;
        /// Super-frames of TCP over IPv4.
        const TSO4 = 2;
        /// Super-frames of TCP over IPv6.
        const TSO6 = 4;
        /// Super-frames whose TCP header carries CWR/ECE ([`Offload::GSO_ECN`]).
        const TSO_ECN = 8;
        /// Super-frames of UDP, one datagram a segment.
        const USO = 16;
    }
}

/// The kinds of `virtio_net_hdr.gso_type`, without its ECN bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoType {
    /// Not a super-frame.
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP, one datagram a segment (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
    /// Anything else: IP fragmentation offload (UFO, long gone from Linux) or a number that nobody defined.
    Other,
}

/// Offload metadata of one frame: `struct virtio_net_hdr` in host byte order. All zero means nothing to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// See [`OffloadFlags`]; unknown bits are kept.
    pub flags: u8,
    /// `VIRTIO_NET_HDR_GSO_*`; read it through [`Offload::gso`].
    pub gso_type: u8,
    /// Length of all headers of a super-frame, bytes. A hint: the offload stage reads the headers itself.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// Where checksumming starts, bytes from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum is stored, bytes from `csum_start`.
    pub csum_offset: u16,
}

const _: () = assert!(size_of::<Offload>() == Offload::LEN && align_of::<Offload>() == 2);

impl Offload {
    /// Bytes of the header as TAP and `AF_PACKET` carry it.
    pub const LEN: usize = 10;
    /// Nothing to do: a plain frame.
    pub const NONE: Self =
        Self { flags: 0, gso_type: 0, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };
    /// `VIRTIO_NET_HDR_GSO_TCPV4`.
    pub const GSO_TCPV4: u8 = 1;
    /// `VIRTIO_NET_HDR_GSO_UDP` (UFO).
    pub const GSO_UDP: u8 = 3;
    /// `VIRTIO_NET_HDR_GSO_TCPV6`.
    pub const GSO_TCPV6: u8 = 4;
    /// `VIRTIO_NET_HDR_GSO_UDP_L4`.
    pub const GSO_UDP_L4: u8 = 5;
    /// `VIRTIO_NET_HDR_GSO_ECN`, a bit beside the type.
    pub const GSO_ECN: u8 = 0x80;

    /// The header as it stands in memory shared with the kernel or a guest (little endian, virtio 1.x).
    #[must_use]
    pub const fn from_bytes(b: [u8; Self::LEN]) -> Self {
        Self {
            flags: b[0],
            gso_type: b[1],
            hdr_len: u16::from_le_bytes([b[2], b[3]]),
            gso_size: u16::from_le_bytes([b[4], b[5]]),
            csum_start: u16::from_le_bytes([b[6], b[7]]),
            csum_offset: u16::from_le_bytes([b[8], b[9]]),
        }
    }

    /// The inverse of [`Self::from_bytes`].
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let h = self.hdr_len.to_le_bytes();
        let g = self.gso_size.to_le_bytes();
        let s = self.csum_start.to_le_bytes();
        let o = self.csum_offset.to_le_bytes();
        [self.flags, self.gso_type, h[0], h[1], g[0], g[1], s[0], s[1], o[0], o[1]]
    }

    /// The kind of super-frame.
    #[must_use]
    pub const fn gso(self) -> GsoType {
        match self.gso_type & !Self::GSO_ECN {
            0 => GsoType::None,
            Self::GSO_TCPV4 => GsoType::Tcp4,
            Self::GSO_TCPV6 => GsoType::Tcp6,
            Self::GSO_UDP_L4 => GsoType::UdpL4,
            _ => GsoType::Other,
        }
    }

    /// Whether the checksum is still to be completed.
    #[must_use]
    pub const fn needs_csum(self) -> bool {
        self.flags & OffloadFlags::NEEDS_CSUM.bits() != 0
    }

    /// Whether the metadata says nothing at all; whatever the other fields hold has no meaning then.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.flags == 0 && self.gso_type == 0
    }

    /// Whether the frame may stand on a wire as it is.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.bits() & Self::WORK == 0
    }

    /// Of [`Self::bits`], those of which none is set if the frame [is plain](Self::is_plain).
    pub const WORK: u16 = 0xff00 | OffloadFlags::NEEDS_CSUM.bits() as u16;

    /// What says whether there is anything to be done, as one number: those of many frames can be joined.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u16 {
        u16::from_le_bytes([self.flags, self.gso_type])
    }

    /// Whether the metadata can be that of a frame of `len` bytes: the checksum stands behind the Ethernet header and within
    /// the frame, segments have bytes, and headers are no longer than the frame. Guests and peers may say anything.
    #[must_use]
    pub const fn is_sound(self, len: usize) -> bool {
        let (start, end) =
            (self.csum_start as usize, self.csum_start as usize + self.csum_offset as usize + 2);
        let summed = !self.needs_csum() || (start >= Frame::HEADER && end <= len);
        let cut = self.gso_type == 0 || (self.gso_size > 0 && self.hdr_len as usize <= len);
        summed && cut
    }

    /// What a port must be able to do to take the frame as it is; `None` if no port can
    /// ([`GsoType::Other`]).
    #[must_use]
    pub fn needs(self) -> Option<Offloads> {
        let mut needs = match self.gso() {
            GsoType::None => Offloads::empty(),
            GsoType::Tcp4 => Offloads::TSO4,
            GsoType::Tcp6 => Offloads::TSO6,
            GsoType::UdpL4 => Offloads::USO,
            GsoType::Other => return None,
        };
        needs.set(Offloads::CSUM, self.needs_csum());
        needs.set(Offloads::TSO_ECN, self.gso_type & Self::GSO_ECN != 0);
        Some(needs)
    }
}

/// What a port can take, asked once a burst: a guest or a peer may negotiate it anew while attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Longest frame that is no super-frame, bytes, Ethernet header included, FCS not (1514 at MTU 1500).
    pub frame: u32,
    /// Longest super-frame, bytes; meaningful with one of the TSO or USO offloads.
    pub super_frame: u32,
    /// Offloads the port takes from the sender.
    pub offloads: Offloads,
}

impl Capabilities {
    /// Longest super-frame anybody makes: 64 KiB of IP datagram and an Ethernet header with one VLAN tag.
    pub const MAX_SUPER_FRAME: u32 = 65_535 + 18;

    /// A port of real frames: nothing but what an Ethernet wire takes at this IP MTU.
    #[must_use]
    pub const fn wire(mtu: u32) -> Self {
        Self { frame: mtu + 14, super_frame: 0, offloads: Offloads::empty() }
    }

    /// A port that takes everything: checksums to be filled in and super-frames up to 64 KiB.
    #[must_use]
    pub const fn all(mtu: u32) -> Self {
        Self { frame: mtu + 14, super_frame: Self::MAX_SUPER_FRAME, offloads: Offloads::all() }
    }

    /// Whether the port takes a frame of `len` bytes with this metadata as it is. VLAN-tagged frames may be
    /// four bytes longer, as on Linux. No port takes metadata that [makes no sense](Offload::is_sound).
    #[must_use]
    pub fn takes(&self, len: usize, offload: Offload) -> bool {
        if offload.is_plain() {
            return len <= self.frame as usize + 4;
        }
        let Some(needs) = offload.needs().filter(|_| offload.is_sound(len)) else { return false };
        let limit = if offload.gso_type == 0 { self.frame as usize + 4 } else { self.super_frame as usize };
        self.offloads.contains(needs) && len <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip() {
        let o = Offload {
            flags: 1,
            gso_type: 0x81,
            hdr_len: 66,
            gso_size: 1448,
            csum_start: 34,
            csum_offset: 16,
        };
        assert_eq!(Offload::from_bytes(o.to_bytes()), o);
        assert_eq!(o.gso(), GsoType::Tcp4);
        assert_eq!(o.needs(), Some(Offloads::TSO4 | Offloads::CSUM | Offloads::TSO_ECN));
    }

    #[test]
    fn a_wire_takes_plain_frames_only() {
        let wire = Capabilities::wire(1500);
        assert!(wire.takes(1514, Offload::NONE));
        assert!(wire.takes(1518, Offload::NONE));
        assert!(!wire.takes(1519, Offload::NONE));
        let csum = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
        assert!(!wire.takes(60, csum));
        assert!(Capabilities::all(1500).takes(60, csum));
        let tso = Offload { gso_type: Offload::GSO_TCPV4, gso_size: 1460, ..csum };
        assert!(Capabilities::all(1500).takes(65_549, tso));
        let ufo = Offload { gso_type: Offload::GSO_UDP, ..Offload::NONE };
        assert!(!Capabilities::all(1500).takes(60, ufo));
    }

    #[test]
    fn no_port_takes_metadata_that_lies() {
        let good = Offload {
            flags: 1,
            gso_type: Offload::GSO_TCPV4,
            hdr_len: 54,
            gso_size: 1460,
            csum_start: 34,
            csum_offset: 16,
        };
        let takes = |offload: Offload| Capabilities::all(1500).takes(100, offload);
        let open = Offload { gso_type: 0, ..good };
        assert!(takes(good) && takes(open));
        assert!(takes(Offload { csum_start: 82, ..open }), "the last two bytes");
        for lie in [
            Offload { csum_start: 83, ..open },
            Offload { csum_start: 13, ..open },
            Offload { csum_start: u16::MAX, csum_offset: u16::MAX, ..open },
            Offload { csum_start: 83, ..good },
            Offload { gso_size: 0, ..good },
            Offload { hdr_len: 101, ..good },
        ] {
            assert!(!takes(lie), "{lie:?}");
        }
    }
}
