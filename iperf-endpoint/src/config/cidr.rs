//! An address with its network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 address with its prefix length, `10.0.0.2/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
}

/// The text is not an address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IPv4 address with prefix length (try: 10.0.0.2/24)")]
pub struct BadCidr(String);

impl Cidr {
    /// Whether `other` is on the same network.
    #[must_use]
    pub fn contains(self, other: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        self.address.to_bits() & mask == other.to_bits() & mask
    }

    /// Whether `other` is the network's own address or its broadcast address. Networks of two stations or one have
    /// neither (RFC 3021).
    pub(super) fn is_everybody(self, other: Ipv4Addr) -> bool {
        let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let bits = other.to_bits() & host;
        self.prefix < 31 && self.contains(other) && (bits == 0 || bits == host)
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;
    fn from_str(s: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(s.to_owned());
        let (address, prefix) = s.split_once('/').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|&p: &u8| digits && p <= 32).ok_or_else(bad)?;
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_text() {
        assert_eq!("10.0.0.2/24".parse::<Cidr>().unwrap().to_string(), "10.0.0.2/24");
        for bad in ["10.0.0.2", "10.0.0.2/33", "10.0.0.2/", "10.0.0.2/+8", "x/8", "10.0.0/8", "::1/64"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        let net: Cidr = "10.0.0.2/24".parse().unwrap();
        assert!(net.contains(Ipv4Addr::new(10, 0, 0, 77)));
        assert!(!net.contains(Ipv4Addr::new(10, 0, 1, 2)));
        assert!("10.0.0.2/0".parse::<Cidr>().unwrap().contains(Ipv4Addr::new(1, 2, 3, 4)));
    }
}
