//! Noticing checksums that the sender left to be filled in.
//!
//! A local sender whose device promises to fill in checksums hands over frames with only the sum of the
//! pseudo-header in the checksum field (`CHECKSUM_PARTIAL`, linux/skbuff.h). Between two veths nobody ever does
//! fill them in: the kernel's stack at the other end knows to trust them, but AF_XDP hands over bytes and not
//! what the kernel knows of them. Passed on, such a frame is broken for every receiver.

use crate::checksum::{fold, pseudo_header, sum};
use crate::wire::Headers;

/// Whether the TCP or UDP checksum of a frame was left to be filled in.
///
/// A good checksum equals the sum of the pseudo-header once in 65536 frames. Only then are the bytes summed.
pub(super) fn is_unfilled(frame: &[u8]) -> bool {
    let Some(headers) = Headers::parse(frame, frame.len()) else { return false };
    let Some((src, dst)) = headers.addresses(frame) else { return false };
    let Some(field) = frame.get(headers.checksum_at()..).and_then(<[u8]>::first_chunk) else { return false };
    let pseudo = pseudo_header(src, dst, headers.protocol, headers.end - headers.l4);
    if fold(pseudo) != u16::from_be_bytes(*field) {
        return false;
    }
    let datagram = frame.get(headers.l4..headers.end).unwrap_or_default();
    fold(pseudo + sum(datagram)) != 0xffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checksum::finish;
    use crate::wire::{TCP, UDP};

    /// A frame with its checksum field at zero, padded to 60 bytes.
    fn frame(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let l4_len = payload.len() + if protocol == TCP { 20 } else { 8 };
        let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let len = u16::try_from(l4_len).unwrap();
        if v6 {
            f.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            f.extend(len.to_be_bytes());
            f.extend([protocol, 64]);
            f.extend([0xfd; 16]);
            f.extend([0xfe; 16]);
        } else {
            f.extend([0x08, 0x00, 0x45, 0]);
            f.extend((len + 20).to_be_bytes());
            f.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        let mut l4 = vec![0; l4_len - payload.len()];
        l4[..4].copy_from_slice(&[0x12, 0x34, 0x14, 0x51]);
        if protocol == TCP {
            l4[12] = 5 << 4;
        } else {
            l4[4..6].copy_from_slice(&len.to_be_bytes());
        }
        f.extend(l4);
        f.extend(payload);
        f.resize(f.len().max(60), 0xee); // whatever stood in the buffer: padding is not part of the datagram
        f
    }

    fn pseudo(f: &[u8]) -> (Headers, u64) {
        let h = Headers::parse(f, f.len()).unwrap();
        let (src, dst) = h.addresses(f).unwrap();
        (h, pseudo_header(src, dst, h.protocol, h.end - h.l4))
    }

    fn with_checksum(mut f: Vec<u8>, checksum: impl Fn(&Headers, u64, &[u8]) -> u16) -> Vec<u8> {
        let (h, pseudo) = pseudo(&f);
        let value = checksum(&h, pseudo, &f[h.l4..h.end]);
        f[h.checksum_at()..][..2].copy_from_slice(&value.to_be_bytes());
        f
    }

    fn unfilled(f: Vec<u8>) -> Vec<u8> {
        with_checksum(f, |_, pseudo, _| fold(pseudo))
    }

    fn filled(f: Vec<u8>) -> Vec<u8> {
        with_checksum(f, |_, pseudo, datagram| match finish(pseudo + sum(datagram)) {
            0 => 0xffff,
            value => value,
        })
    }

    #[test]
    fn what_was_left_is_noticed() {
        for (v6, protocol) in [(false, TCP), (false, UDP), (true, TCP), (true, UDP)] {
            for len in [1, 2, 100, 1400] {
                let f = frame(v6, protocol, &vec![0x5a; len]);
                assert!(is_unfilled(&unfilled(f.clone())), "{v6} {protocol} {len}");
                assert!(!is_unfilled(&filled(f)), "{v6} {protocol} {len}");
            }
        }
    }

    #[test]
    fn a_good_checksum_that_happens_to_equal_the_pseudo_header_is_good() {
        let mut f = unfilled(frame(false, UDP, &[0; 40]));
        let (h, pseudo) = pseudo(&f);
        let rest = finish(pseudo + sum(&f[h.l4..h.end]));
        f[h.payload..][..2].copy_from_slice(&rest.to_be_bytes());
        assert_eq!(fold(pseudo + sum(&f[h.l4..h.end])), 0xffff);
        assert!(!is_unfilled(&f));
    }

    #[test]
    fn udp_without_a_checksum_is_good() {
        assert!(!is_unfilled(&frame(false, UDP, &[1, 2, 3])));
    }

    #[test]
    fn what_is_merely_broken_is_left_to_the_receiver() {
        let broken =
            with_checksum(frame(false, TCP, &[7; 30]), |_, pseudo, d| finish(pseudo + sum(d)) ^ 0x0100);
        assert!(!is_unfilled(&broken));
    }

    proptest! {
        #[test]
        fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            is_unfilled(&bytes);
        }

        #[test]
        fn any_filled_frame_is_good(v6: bool, tcp: bool, payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let f = filled(frame(v6, if tcp { TCP } else { UDP }, &payload));
            prop_assert!(!is_unfilled(&f));
        }
    }
}
