//! Ethernet station addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit station (MAC) address, held as a number in transmission order: the first byte on the wire is the
/// most significant of the 48, so that ordering and printing agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(u64);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self(0xffff_ffff_ffff);
    /// `00:00:00:00:00:00`, which no station has.
    pub const ZERO: Self = Self(0);

    /// The address in the six bytes as they stand on the wire.
    #[must_use]
    pub const fn new(b: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }

    /// The address as a number below 2^48, as used for the key of a MAC table.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The address of the low 48 bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::BROADCAST.0)
    }

    /// The six bytes in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// Whether the address names one station: the group bit is clear (IEEE 802-2014, 8.2) and it is not zero.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0 & (1 << 40) == 0 && self.0 != 0
    }

    /// A locally administered address derived from `seed`: the same seed gives the same address, and two
    /// names differ with overwhelming likelihood (46 bits of FNV-1a).
    #[must_use]
    pub fn local(seed: &str) -> Self {
        let hash = seed
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let bits = (hash ^ (hash >> 48)) & Self::BROADCAST.0;
        Self((bits & !(0x03 << 40)) | (0x02 << 40))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.octets();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not six colon-separated hexadecimal bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no MAC address (try: 02:00:00:00:00:01)")]
pub struct BadMac(String);

impl FromStr for Mac {
    type Err = BadMac;
    fn from_str(s: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(s.to_owned());
        let mut octets = [0; 6];
        let mut parts = s.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|p| matches!(p.len(), 1 | 2)).ok_or_else(bad)?;
            *octet = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+')).ok_or_else(bad)?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Self::new(octets)) }
    }
}

impl serde::Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_octets_agree() {
        let m: Mac = "02:00:5e:10:20:ff".parse().unwrap();
        assert_eq!(m.octets(), [2, 0, 0x5e, 0x10, 0x20, 0xff]);
        assert_eq!(m.to_string(), "02:00:5e:10:20:ff");
        assert!(m.is_unicast());
        assert!(!Mac::BROADCAST.is_unicast());
        assert!(!Mac::ZERO.is_unicast());
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "02:00:00:00:00:0g",
            "020:0:0:0:0:0",
            "+1:0:0:0:0:0",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn local_addresses_are_unicast_and_local() {
        for seed in ["vale0:ep", "vale0:ep2", ""] {
            let m = Mac::local(seed);
            assert!(m.is_unicast());
            assert_eq!(m.octets()[0] & 0x03, 0x02);
        }
        assert_ne!(Mac::local("vale0:1"), Mac::local("vale0:2"));
    }
}
