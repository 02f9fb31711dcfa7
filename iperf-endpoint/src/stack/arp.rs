//! ARP packets (RFC 826), as far as the stack reads and writes them itself.

use std::net::Ipv4Addr;

/// `ares_op$REQUEST`.
pub(super) const REQUEST: u8 = 1;
/// `ares_op$REPLY`.
pub(super) const REPLY: u8 = 2;

/// What an ARP packet says.
pub(super) struct Arp {
    /// [`REQUEST`], [`REPLY`], or what else there may be.
    pub(super) operation: u8,
    /// Station and address of who sent it.
    pub(super) mac: [u8; 6],
    pub(super) sender: Ipv4Addr,
    /// The address that is asked for or answered to.
    pub(super) target: Ipv4Addr,
}

impl Arp {
    /// The packet in a frame of ARP's EtherType, if it is all there.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(20..)?.first_chunk::<22>()?;
        let address = |at: usize| Some(Ipv4Addr::from(*packet[at..].first_chunk::<4>()?));
        let mac = *packet[2..].first_chunk()?;
        Some(Self { operation: packet[1], mac, sender: address(8)?, target: address(18)? })
    }
}

/// An ARP announcement (RFC 5227, 2.3): tells the switch and the neighbours where `address` is now.
pub(super) fn announcement(mac: [u8; 6], address: Ipv4Addr) -> [u8; 60] {
    arp_request(mac, address, address)
}

/// An ARP request (RFC 826): `address`, at `mac`, asks all where `target` is.
pub(super) fn arp_request(mac: [u8; 6], address: Ipv4Addr, target: Ipv4Addr) -> [u8; 60] {
    let mut f = arp_reply(mac, address, [0xff; 6], target);
    f[21] = 1;
    f[32..38].fill(0);
    f
}

/// An ARP reply (RFC 826): tells `to`, at `to_mac`, that `address` is at `mac`.
pub(super) fn arp_reply(mac: [u8; 6], address: Ipv4Addr, to_mac: [u8; 6], to: Ipv4Addr) -> [u8; 60] {
    let mut f = [0; 60]; // the shortest frame an Ethernet wire takes, FCS not counted
    f[0..6].copy_from_slice(&to_mac);
    f[6..12].copy_from_slice(&mac);
    f[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]);
    f[22..28].copy_from_slice(&mac);
    f[28..32].copy_from_slice(&address.octets());
    f[32..38].copy_from_slice(&to_mac);
    f[38..42].copy_from_slice(&to.octets());
    f
}
