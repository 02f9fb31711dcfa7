//! The stamp at the head of a payload: which frame it is, and when it was sent.

use std::time::Duration;

use ports::wire::Headers;
use ports::{Time, checksum};

/// A number and a time, where netmap's ping has them and in its order: sequence, seconds, nanoseconds, 32 bits each,
/// little-endian as an x86 writes them.
///
/// The time is the monotonic clock of the machine that sends, which means nothing to another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u32,
    pub(crate) time: Time,
}

const SEC_NS: u64 = 1_000_000_000;

impl Stamp {
    /// Bytes of payload that it takes.
    pub(crate) const LEN: usize = 12;

    const OLDEST: Duration = Duration::from_secs(60);
    /// The receiver's reading of the clock may be that of its pass, and the sender's a newer one.
    const AHEAD: Duration = Duration::from_secs(1);

    fn to_bytes(self) -> [u8; Self::LEN] {
        let word = |n: u64| (n as u32).to_le_bytes(); // seconds wrap after 136 years
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[4..8].copy_from_slice(&word(self.time.0 / SEC_NS));
        bytes[8..12].copy_from_slice(&word(self.time.0 % SEC_NS));
        bytes
    }

    fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (sec, nsec) = (u64::from(word(4)), u64::from(word(8)));
        let time = Time(sec * SEC_NS + nsec);
        (nsec < SEC_NS).then_some(Self { sequence: word(0), time })
    }

    /// Whether it can be a stamp, rather than other payload, where the clock says `now`: it is a minute old at most.
    #[inline]
    pub(crate) fn is_fresh(self, now: Time) -> bool {
        now.since(self.time) <= Self::OLDEST && self.time.since(now) <= Self::AHEAD
    }

    /// What stands where a UDP frame would have its stamp, if that can be a time.
    #[inline]
    pub(crate) fn read(frame: &[u8], headers: &Headers) -> Option<Self> {
        let at = headers.payload;
        let bytes = frame.get(at..at + Self::LEN)?.first_chunk()?;
        (headers.protocol == ports::wire::UDP && headers.end >= at + Self::LEN).then_some(())?;
        Self::from_bytes(*bytes)
    }
}

/// Where the stamp goes in frames of one make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    payload: usize,
    checksum: usize,
}

impl Place {
    /// In frames with the headers of this one; `None` if it has no room for a stamp.
    pub(crate) fn within(frame: &[u8]) -> Option<Self> {
        let headers = Headers::parse(frame, frame.len())?;
        let fits = headers.protocol == ports::wire::UDP && headers.end >= headers.payload + Stamp::LEN;
        fits.then_some(Self { payload: headers.payload, checksum: headers.checksum_at() })
    }

    /// Stamps a frame with a valid UDP checksum, which stays valid.
    #[inline]
    pub(crate) fn stamp(self, stamp: Stamp, frame: &mut [u8]) {
        let Some(payload) = frame.get_mut(self.payload..).and_then(<[u8]>::first_chunk_mut) else { return };
        let after = stamp.to_bytes();
        let before: [u8; Stamp::LEN] = std::mem::replace(payload, after);
        let Some(at) = frame.get_mut(self.checksum..).and_then(<[u8]>::first_chunk_mut) else { return };
        *at = corrected(*at, sum(before), sum(after));
    }
}

/// In the machine's order of bytes, two words at a time: it folds to the same (RFC 1071, 2).
fn sum(bytes: [u8; Stamp::LEN]) -> u64 {
    bytes.as_chunks().0.iter().map(|words| u64::from(u32::from_ne_bytes(*words))).sum()
}

/// The checksum after words that summed to `before` have become words that sum to `after` (RFC 1624, equation 3).
fn corrected(old: [u8; 2], before: u64, after: u64) -> [u8; 2] {
    let sum = u16::from_ne_bytes(old);
    if sum == 0 {
        return old; // there is none (RFC 768)
    }
    match checksum::finish(u64::from(!sum) + u64::from(!checksum::fold(before)) + after) {
        0 => [0xff; 2],
        new => new.to_ne_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::sound::plain as frame;
    use proptest::prelude::*;

    /// Whether the UDP checksum of an IPv4 frame is right, word by word (RFC 1071, 4.1).
    fn is_sound(frame: &[u8]) -> bool {
        let mut sum = 17 + u32::try_from(frame.len()).unwrap() - 34;
        for word in frame[26..].chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff && frame[40..42] != [0, 0]
    }

    #[test]
    fn it_stands_where_netmaps_does() {
        let mut bytes = frame(60);
        let stamp = Stamp { sequence: 0x0403_0201, time: Time(7 * SEC_NS + 0x0a) };
        Place::within(&bytes).unwrap().stamp(stamp, &mut bytes);
        assert_eq!(bytes[42..54], [1, 2, 3, 4, 7, 0, 0, 0, 0x0a, 0, 0, 0]);
        let mut tagged = frame(60);
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        Place::within(&tagged).unwrap().stamp(stamp, &mut tagged);
        assert_eq!(tagged[46..50], [1, 2, 3, 4]);
    }

    #[test]
    fn a_frame_without_room_has_no_place_and_other_payload_is_no_stamp() {
        assert!(Place::within(&frame(53)).is_none() && Place::within(&frame(54)).is_some());
        let mut bytes = frame(54);
        let read = |bytes: &[u8]| Stamp::read(bytes, &Headers::parse(bytes, bytes.len()).unwrap());
        assert!(
            !read(&bytes).is_some_and(|stamp| stamp.is_fresh(Time::from_secs(365 * 86_400))),
            "a year of uptime"
        );
        Place::within(&bytes).unwrap().stamp(Stamp { sequence: 0, time: Time::ZERO }, &mut bytes);
        let stamp = read(&bytes).unwrap();
        assert!(stamp.is_fresh(Time::ZERO) && stamp.is_fresh(Time::from_secs(60)));
        assert!(!stamp.is_fresh(Time::from_secs(61)));
        assert!(Stamp { time: Time(5), ..stamp }.is_fresh(Time::ZERO), "stamped after our pass began");
        bytes[53] = 0xff; // more nanoseconds than a second has
        assert_eq!(read(&bytes), None);
    }

    proptest! {
        #[test]
        fn stamps_come_back_and_checksums_stay_right(
            len in 54usize..1500, stamps in proptest::collection::vec((any::<u32>(), 0..u64::from(u32::MAX) * SEC_NS), 1..20),
        ) {
            let mut bytes = frame(len);
            let place = Place::within(&bytes).unwrap();
            for (sequence, time) in stamps {
                let stamp = Stamp { sequence, time: Time(time) };
                place.stamp(stamp, &mut bytes);
                prop_assert!(is_sound(&bytes));
                let headers = Headers::parse(&bytes, bytes.len()).unwrap();
                prop_assert_eq!(Stamp::read(&bytes, &headers), Some(stamp));
            }
        }

        #[test]
        fn no_frame_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = bytes;
            Place::within(&frame(60)).unwrap().stamp(Stamp { sequence: 1, time: Time(1) }, &mut bytes);
            if let Some(headers) = Headers::parse(&bytes, bytes.len()) {
                let _ = Stamp::read(&bytes, &headers);
            }
        }
    }
}
