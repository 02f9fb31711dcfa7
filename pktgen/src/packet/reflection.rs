//! A frame turned round, so that it goes back where it came from.

use ports::Mac;

const HEADER: usize = 14;
const VLAN_TAGS: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
const MOST_TAGS: usize = 2;

/// Swaps the stations of a frame, and the addresses of an IPv4 or IPv6 packet in it, also behind up to two VLAN tags.
/// UDP ports stay as they are, as with netmap's pong, and so do all checksums: sums do not mind the order.
///
/// A frame to a group is answered from `own`, since no frame may come from a group. Returns false for a frame that
/// cannot be answered, because it is too short or says that it comes from a group; it is then left as it was.
pub(crate) fn reflect(frame: &mut [u8], own: Mac) -> bool {
    let Some([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, ..]) = frame.first_chunk::<HEADER>().copied()
    else {
        return false;
    };
    let (dst, src) = (Mac::new([d0, d1, d2, d3, d4, d5]), Mac::new([s0, s1, s2, s3, s4, s5]));
    if !src.is_unicast() {
        return false;
    }
    frame[..6].copy_from_slice(&src.octets());
    frame[6..12].copy_from_slice(&if dst.is_unicast() { dst } else { own }.octets());
    swap_addresses(frame);
    true
}

fn swap_addresses(frame: &mut [u8]) {
    let mut ip = HEADER;
    for _ in 0..MOST_TAGS {
        ip += if VLAN_TAGS.iter().any(|tag| frame.get(ip - 2..ip) == Some(tag)) { 4 } else { 0 };
    }
    let Some((before, packet)) = frame.split_at_mut_checked(ip) else { return };
    let (src, len) = match (&before[ip - 2..], packet.first().map(|b| b >> 4)) {
        ([0x08, 0x00], Some(4)) => (12, 4),
        ([0x86, 0xdd], Some(6)) => (8, 16),
        _ => return,
    };
    let Some(addresses) = packet.get_mut(src..src + 2 * len) else { return };
    let (src, dst) = addresses.split_at_mut(len);
    src.swap_with_slice(dst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: Mac = Mac::new([2, 0, 0, 0, 0, 9]);
    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn frame(dst: [u8; 6], src: [u8; 6], rest: &[&[u8]]) -> Vec<u8> {
        [&dst[..], &src, &rest.concat()].concat()
    }

    fn ip4(src: u8, dst: u8) -> Vec<u8> {
        let mut packet = vec![0x45; 28];
        packet[12..20].copy_from_slice(&[10, 0, 0, src, 10, 0, 0, dst]);
        (packet[20], packet[22]) = (1, 2); // ports
        packet
    }

    fn ip6(src: u8, dst: u8) -> Vec<u8> {
        let mut packet = vec![0x60; 48];
        packet[8..40].copy_from_slice(&[[src; 16], [dst; 16]].concat());
        packet
    }

    #[test]
    fn stations_and_addresses_are_swapped_and_ports_are_not() {
        let tag = [0x81, 0, 0, 5];
        let double = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 5];
        for tags in [&[][..], &tag, &double] {
            for (kind, there, back) in [([8, 0], ip4(1, 2), ip4(2, 1)), ([0x86, 0xdd], ip6(1, 2), ip6(2, 1))]
            {
                let mut bytes = frame(B, A, &[tags, &kind, &there]);
                assert!(reflect(&mut bytes, OWN));
                assert_eq!(bytes, frame(A, B, &[tags, &kind, &back]));
            }
        }
        let arp = [8, 6, 0, 1, 8, 0, 6, 4];
        let mut bytes = frame(B, A, &[&arp]);
        assert!(reflect(&mut bytes, OWN));
        assert_eq!(bytes, frame(A, B, &[&arp]));
    }

    #[test]
    fn nothing_comes_from_a_group() {
        let mut bytes = frame([0xff; 6], A, &[&[8, 0], &ip4(1, 2)]);
        assert!(reflect(&mut bytes, OWN));
        assert_eq!(bytes, frame(A, OWN.octets(), &[&[8, 0], &ip4(2, 1)]));
        let mut bytes = frame(B, [1, 0, 0x5e, 0, 0, 1], &[&[8, 0]]);
        let before = bytes.clone();
        assert!(!reflect(&mut bytes, OWN));
        assert_eq!(bytes, before);
        assert!(!reflect(&mut bytes[..13], OWN));
    }

    #[test]
    fn a_lie_about_the_version_is_not_followed() {
        for lie in [&[8, 0, 0x65][..], &[8, 0], &[0x86, 0xdd, 0x45]] {
            let mut bytes = frame(B, A, &[lie, &[7; 60]]);
            assert!(reflect(&mut bytes, OWN));
            assert_eq!(bytes[12..], *[lie, &[7; 60]].concat());
        }
    }

    proptest! {
        #[test]
        fn twice_is_never(bytes in proptest::collection::vec(any::<u8>(), 14..120), kind in 0usize..4) {
            let mut bytes = bytes;
            (bytes[0], bytes[6]) = (bytes[0] & !1, bytes[6] & !1);
            bytes[12..14].copy_from_slice(&[[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8]][kind]);
            let before = bytes.clone();
            prop_assert!(reflect(&mut bytes, OWN) && reflect(&mut bytes, OWN));
            prop_assert_eq!(bytes, before);
        }
    }
}
