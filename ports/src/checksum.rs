//! The Internet checksum (RFC 1071), as fast as the machine's vectors go.

/// The ones' complement sum of `bytes`, not folded: big-endian 16-bit words, an odd last byte padded with zero.
/// Sums of pieces that start at even offsets may be added.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= 128 && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { sum_avx2(bytes) };
    }
    sum_words(bytes)
}

/// Adds the carries back in until 16 bits are left (RFC 1071, 2).
#[must_use]
pub const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[expect(clippy::cast_possible_truncation, reason = "just folded")]
    let folded = sum as u16;
    folded
}

/// The checksum that makes the sum of all words, itself included, all ones. For UDP, send 0xffff where this
/// says zero (RFC 768).
#[must_use]
pub const fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The sum of the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1) of `len` bytes of `protocol` between these
/// addresses, which are 4 or 16 bytes each.
#[must_use]
pub fn pseudo_header(src: &[u8], dst: &[u8], protocol: u8, len: usize) -> u64 {
    sum_words(src) + sum_words(dst) + u64::from(protocol) + (len as u64 & 0xffff) + (len as u64 >> 16)
}

/// Bytes summed in one go: 32-bit lanes that each take one 16-bit word of every 64 bytes cannot overflow.
const BLOCK: usize = 1 << 20;

#[inline(always)] // must be compiled with its caller's vector width
fn sum_words(bytes: &[u8]) -> u64 {
    let mut total = 0;
    for block in bytes.chunks(BLOCK) {
        let mut lanes = [0u32; 32];
        let (chunks, rest) = block.as_chunks::<64>();
        for chunk in chunks {
            let (words, _) = chunk.as_chunks::<2>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane += u32::from(u16::from_ne_bytes(*word));
            }
        }
        let native = lanes.iter().map(|l| u64::from(*l)).sum();
        // RFC 1071, 2(B): summing in host order and swapping the folded result gives the big-endian sum.
        total += u64::from(u16::from_be(fold(native)));
        let (words, last) = rest.as_chunks::<2>();
        total += words.iter().map(|w| u64::from(u16::from_be_bytes(*w))).sum::<u64>();
        total += last.first().map_or(0, |b| u64::from(*b) << 8);
    }
    total
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> u64 {
    sum_words(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Word by word, straight out of RFC 1071, 4.1.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for word in bytes.chunks(2) {
            sum += u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            // 0 and 0xffff are the same number in ones' complement; sums of non-zero words never give 0.
            prop_assert_eq!(fold(sum(&bytes)), reference(&bytes));
        }

        #[test]
        fn pieces_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..3000), cut in 0usize..1500) {
            let cut = (cut * 2).min(bytes.len());
            let (a, b) = bytes.split_at(cut);
            prop_assert_eq!(fold(sum(a) + sum(b)), reference(&bytes));
        }
    }

    #[test]
    fn a_known_header() {
        // The IPv4 header of RFC 1071's many commentaries: checksum b861.
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(finish(sum(&header)), 0xb861);
    }
}
