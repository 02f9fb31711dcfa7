//! Which flow a frame belongs to: by its stations ([`Flow`]), and by its addresses and ports as one number, the same both ways
//! ([`hash`]).

use crate::{Frame, Mac};

/// Who a frame is from and to, as it says: quick to compare with that of the frame before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Bytes 0 to 7 of the frame.
    start: u64,
    /// Bytes 4 to 11.
    end: u64,
}

impl Flow {
    /// Of bytes 0 to 7 and 8 to 11, as they are in memory: each is read once, since a guest may write them meanwhile.
    #[inline]
    pub(crate) const fn new(start: u64, rest: u32) -> Self {
        const { assert!(cfg!(target_endian = "little"), "bytes 4 to 7 are the upper half") };
        Self { start, end: start >> 32 | (rest as u64) << 32 }
    }

    /// What no frame says: the bytes that it holds twice differ.
    pub const NONE: Self = Self { start: 0, end: u64::MAX };
    /// Another that no frame says.
    pub const RUNT: Self = Self { start: u64::MAX, end: 0 };

    /// The destination station.
    #[must_use]
    #[inline]
    pub const fn dst(self) -> Mac {
        Mac::from_bits(u64::from_be(self.start) >> 16)
    }

    /// The source station.
    #[must_use]
    #[inline]
    pub const fn src(self) -> Mac {
        Mac::from_bits(u64::from_be(self.end))
    }

    /// Whether both are from the same station.
    #[must_use]
    #[inline]
    pub const fn is_from_same(self, other: Self) -> bool {
        u64::from_be(self.end ^ other.end) & Mac::BROADCAST.to_bits() == 0
    }
}

/// Bytes of a frame that may be looked at: Ethernet, two VLAN tags, the longest IPv4 header, the ports.
const HEAD: usize = 14 + 8 + 60 + 4;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: [u16; 2] = [0x8100, 0x88a8];
/// Protocols whose header begins with two ports: TCP, UDP, SCTP.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

/// A number for the flow of a frame, equal for the frames of both directions: of its IP addresses and ports, or of its
/// stations if it carries no IP. Fragments of one packet belong to one flow, since their ports do not count.
#[must_use]
pub fn hash(frame: &Frame<'_>) -> u64 {
    let mut bytes = [0; HEAD];
    let len = frame.head(&mut bytes);
    mix(network(bytes.get(..len).unwrap_or_default()).unwrap_or_else(|| stations(&bytes)))
}

/// Which of so many queues a frame goes to: that of its flow, which keeps its order.
#[must_use]
#[inline]
pub(crate) fn spread(frame: &Frame<'_>, queues: usize) -> usize {
    // The upper half of the hash as a fraction of one, of the number of queues: no division.
    let share = ((hash(frame) >> 32) * queues as u64) >> 32;
    usize::try_from(share).unwrap_or(0)
}

fn stations(head: &[u8; HEAD]) -> u64 {
    folded(&head[..6]) ^ folded(&head[6..12])
}

/// What tells IP flows apart; `None` for a frame that carries none.
fn network(head: &[u8]) -> Option<u64> {
    let mut at = 12;
    while VLAN.contains(&word(head, at)?) {
        at += 4;
    }
    let packet = head.get(at + 2..)?;
    match word(head, at)? {
        IPV4 => ipv4(packet),
        IPV6 => ipv6(packet),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<u64> {
    let addresses = folded(packet.get(12..16)?) ^ folded(packet.get(16..20)?);
    let header = usize::from(packet.first()? & 0xf) * 4;
    let is_fragment = word(packet, 6)? & 0x3fff != 0; // more of it follows, or came before
    let ports = if is_fragment { 0 } else { ports(*packet.get(9)?, packet.get(header..)) };
    Some(addresses << 16 ^ ports)
}

fn ipv6(packet: &[u8]) -> Option<u64> {
    let addresses = folded(packet.get(8..24)?) ^ folded(packet.get(24..40)?);
    Some(addresses << 16 ^ ports(*packet.get(6)?, packet.get(40..)))
}

/// Both ports, whichever comes first. What has none, or is cut before them, is one flow with its addresses.
fn ports(protocol: u8, header: Option<&[u8]>) -> u64 {
    let ports = || Some(u64::from(word(header?, 0)? ^ word(header?, 2)?));
    if WITH_PORTS.contains(&protocol) { ports().unwrap_or(0) } else { 0 }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([*pair.first()?, *pair.get(1)?]))
}

/// Bytes as one number; of more than eight, each eight on top of those before.
fn folded(bytes: &[u8]) -> u64 {
    bytes.chunks(8).map(|chunk| chunk.iter().fold(0, |n, b| n << 8 | u64::from(*b))).fold(0, |n, m| n ^ m)
}

/// Spreads neighbouring numbers (the finaliser of splitmix64).
const fn mix(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A UDP frame, with a VLAN tag if there is one.
    fn udp(tag: Option<u16>, src: ([u8; 4], u16), dst: ([u8; 4], u16)) -> Vec<u8> {
        let mut frame = vec![2; 12];
        if let Some(tag) = tag {
            frame.extend([0x81, 0]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend(src.0);
        frame.extend(dst.0);
        frame.extend(src.1.to_be_bytes());
        frame.extend(dst.1.to_be_bytes());
        frame.resize(64, 0);
        frame
    }

    fn of(frame: &[u8]) -> u64 {
        hash(&Frame::new(frame))
    }

    proptest! {
        #[test]
        fn both_directions_are_one_flow(
            tag in proptest::option::of(any::<u16>()), src: ([u8; 4], u16), dst: ([u8; 4], u16),
        ) {
            prop_assert_eq!(of(&udp(tag, src, dst)), of(&udp(tag, dst, src)));
        }

        #[test]
        fn no_frame_says_what_marks_none(start: u64, rest: u32, edge in 0..3usize) {
            let (start, rest) = [(start, rest), (0, u32::MAX), (u64::MAX, 0)][edge];
            prop_assert!(![Flow::NONE, Flow::RUNT].contains(&Flow::new(start, rest)));
        }

        #[test]
        fn no_bytes_trip_it(bytes in proptest::collection::vec(any::<u8>(), 0..100), kind in 0..4usize) {
            let mut bytes = bytes;
            if bytes.len() > 14 {
                bytes[12..14].copy_from_slice(&[IPV4, IPV6, VLAN[0], VLAN[1]][kind].to_be_bytes());
            }
            of(&bytes);
        }
    }

    #[test]
    fn any_byte_of_the_stations_makes_another_flow() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 0];
        let flow = Frame::new(&bytes).flow().unwrap();
        assert_eq!((flow.dst(), flow.src()), (Mac::BROADCAST, Mac::new([2, 0, 0, 0, 0, 7])));
        assert_eq!(Some(flow), Frame::new(&bytes.clone()).flow());
        assert_ne!(flow, Flow::NONE);
        assert_ne!(flow, Flow::RUNT);
        for at in 0..12 {
            let mut other = bytes;
            other[at] ^= 1;
            let other = Frame::new(&other).flow().unwrap();
            assert_ne!(flow, other, "byte {at}");
            assert_eq!(flow.is_from_same(other), at < 6, "byte {at}");
        }
    }

    #[test]
    fn flows_spread() {
        for (step, what) in [(1, "ports"), (0, "addresses")] {
            let mut queues = [0; 5];
            for n in 0..1000u16 {
                let [a, b] = n.to_be_bytes();
                let dst = if step == 1 { ([10, 1, 0, 1], n) } else { ([10, 1, a, b], 9) };
                queues[spread(&Frame::new(&udp(None, ([10, 0, 0, 1], 1234), dst)), 5)] += 1;
            }
            assert!(queues.iter().all(|n| (150..250).contains(n)), "{what}: {queues:?}");
        }
    }

    #[test]
    fn fragments_stay_together_and_other_protocols_have_no_ports() {
        let whole = |port| udp(None, ([10, 0, 0, 1], port), ([10, 1, 0, 1], 9));
        let fragment = |port, offset: [u8; 2]| {
            let mut frame = whole(port);
            frame[20..22].copy_from_slice(&offset);
            frame
        };
        assert_ne!(of(&whole(1)), of(&whole(2)));
        assert_eq!(of(&fragment(1, [0x20, 0])), of(&fragment(2, [0, 7])));
        let icmp = |port| {
            let mut frame = whole(port);
            frame[23] = 1;
            frame
        };
        assert_eq!(of(&icmp(1)), of(&icmp(2)));
    }

    #[test]
    fn without_ip_the_stations_count() {
        let arp = |src: u8, dst: u8| {
            let mut frame = vec![dst; 6];
            frame.extend([src; 6]);
            frame.extend([8, 6]);
            frame.resize(60, 7);
            frame
        };
        assert_eq!(of(&arp(1, 2)), of(&arp(2, 1)));
        assert_ne!(of(&arp(1, 2)), of(&arp(1, 3)));
    }
}
