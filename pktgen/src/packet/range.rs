//! Address ranges.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// UDP port where none is given.
const DEFAULT_PORT: u16 = 1234;
/// Group of an IPv6 address that varies where none is given: the last.
const DEFAULT_GROUP: u8 = 7;

/// Addresses and UDP ports of one end, as netmap's `-s` and `-d`: `ADDR[:PORT][-ADDR[:PORT]]`, where `ADDR` is an IPv4
/// address or `[GROUP@][ADDR]` with an IPv6 address, of which one 16-bit group varies, 0 being the first and 7, the
/// last, the default. Without a port the brackets may be left out.
///
/// Both ends are included and in order: reversed ones are swapped, addresses and ports each on their own. The
/// second port defaults to the first, the first to 1234.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: (IpAddr, u16),
    last: (IpAddr, u16),
    /// Of IPv6, the group that varies.
    group: u8,
}

impl AddressRange {
    /// Just this address, and port 1234.
    #[must_use]
    pub const fn single(address: IpAddr) -> Self {
        Self { first: (address, DEFAULT_PORT), last: (address, DEFAULT_PORT), group: DEFAULT_GROUP }
    }

    /// Just its first address and port.
    pub(super) const fn lowest(self) -> Self {
        Self { last: self.first, ..self }
    }

    /// Whether there is only one address and one port.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.first == self.last
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub const fn is_v6(&self) -> bool {
        self.first.0.is_ipv6()
    }

    /// Lowest address and lowest port.
    #[must_use]
    pub const fn first(&self) -> (IpAddr, u16) {
        self.first
    }

    /// Highest address and highest port.
    #[must_use]
    pub const fn last(&self) -> (IpAddr, u16) {
        self.last
    }

    /// How far it is from one address to the next.
    #[must_use]
    pub(super) const fn step(&self) -> u128 {
        if self.is_v6() { 1 << (16 * (7 - self.group)) } else { 1 }
    }

    /// First and last in netmap's words.
    pub(crate) fn ends(&self) -> [String; 2] {
        [self.first, self.last].map(|(address, port)| match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("{}@[{address}]:{port}", self.group),
        })
    }
}

/// The text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}: {1} (try: 10.0.0.1, 10.0.0.1:2000-10.0.0.9:2100, fd00::1 or 7@[fd00::1]:2000-[fd00::9]:2100)"
)]
pub struct BadRange(String, &'static str);

/// One end as it was given.
struct End {
    address: IpAddr,
    port: Option<u16>,
    group: Option<u8>,
}

impl FromStr for End {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, text) = text.split_once('@').map_or((None, text), |(group, rest)| (Some(group), rest));
        let bracketed =
            text.strip_prefix('[').map(|rest| rest.split_once(']').ok_or("a bracket is not closed"));
        let (address, port) = match bracketed.transpose()? {
            Some((address, "")) => (address, None),
            Some((address, rest)) => {
                (address, Some(rest.strip_prefix(':').ok_or("only a port can follow a bracket")?))
            }
            None if text.matches(':').count() > 1 => (text, None),
            None => text.split_once(':').map_or((text, None), |(address, port)| (address, Some(port))),
        };
        let address = if group.is_some() || bracketed.is_some() || address.contains(':') {
            IpAddr::V6(address.parse().map_err(|_| "no IPv6 address")?)
        } else {
            IpAddr::V4(address.parse().map_err(|_| "no IPv4 address")?)
        };
        let port =
            port.map(|p| p.parse().map_err(|_| "the port is no number from 0 to 65535")).transpose()?;
        let group = match group.map(str::parse) {
            None => None,
            Some(Ok(group @ 0..=7)) => Some(group),
            Some(_) => return Err("the group that varies is no number from 0 to 7"),
        };
        Ok(Self { address, port, group })
    }
}

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = |what| BadRange(text.to_owned(), what);
        let (low, high) = text.split_once('-').map_or((text, None), |(low, high)| (low, Some(high)));
        let low: End = low.parse().map_err(bad)?;
        let (port, group) = (low.port.unwrap_or(DEFAULT_PORT), low.group.unwrap_or(DEFAULT_GROUP));
        let high = match high {
            Some(high) => high.parse().map_err(bad)?,
            None => End { address: low.address, port: None, group: None },
        };
        let varies = match (low.address, high.address) {
            (IpAddr::V4(_), IpAddr::V4(_)) => Ok(()),
            (IpAddr::V6(a), IpAddr::V6(b)) => only_group_varies(a, b, group),
            _ => Err("one end is IPv4, the other IPv6"),
        };
        varies.map_err(bad)?;
        if high.group.is_some_and(|g| g != group) {
            return Err(bad("the ends name different groups"));
        }
        let high_port = high.port.unwrap_or(port);
        Ok(Self {
            first: (low.address.min(high.address), port.min(high_port)),
            last: (low.address.max(high.address), port.max(high_port)),
            group,
        })
    }
}

/// netmap goes on from one end to where the group is the other's, whatever else differs.
fn only_group_varies(a: Ipv6Addr, b: Ipv6Addr, group: u8) -> Result<(), &'static str> {
    let mut pairs = a.segments().into_iter().zip(b.segments()).zip(0..);
    if pairs.all(|((a, b), at)| a == b || at == group) {
        Ok(())
    } else {
        Err("the ends differ in another group than the one that varies, which GROUP@ names")
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_ports = (self.first.1, self.last.1) != (DEFAULT_PORT, DEFAULT_PORT);
        if self.is_v6() && self.group != DEFAULT_GROUP {
            write!(f, "{}@", self.group)?;
        }
        let mut end = |(address, port), dash: &str| match address {
            IpAddr::V6(address) if with_ports => write!(f, "{dash}[{address}]:{port}"),
            _ if with_ports => write!(f, "{dash}{address}:{port}"),
            _ => write!(f, "{dash}{address}"),
        };
        end(self.first, "")?;
        if self.is_single() { Ok(()) } else { end(self.last, "-") }
    }
}

impl From<Ipv4Addr> for AddressRange {
    fn from(address: Ipv4Addr) -> Self {
        Self::single(address.into())
    }
}

impl From<Ipv6Addr> for AddressRange {
    fn from(address: Ipv6Addr) -> Self {
        Self::single(address.into())
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for AddressRange {
    type Error = BadRange;
    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_read_as_netmap_reads_them() {
        for (text, first, last) in [
            ("10.0.0.1", "10.0.0.1:1234", "10.0.0.1:1234"),
            ("10.0.0.1:2000", "10.0.0.1:2000", "10.0.0.1:2000"),
            ("10.0.0.1-10.0.0.9", "10.0.0.1:1234", "10.0.0.9:1234"),
            ("10.0.0.1:2000-10.0.0.9", "10.0.0.1:2000", "10.0.0.9:2000"),
            ("10.0.0.1:2000-10.0.0.9:2100", "10.0.0.1:2000", "10.0.0.9:2100"),
            ("10.0.0.9:2000-10.0.0.1:1000", "10.0.0.1:1000", "10.0.0.9:2000"),
            ("10.0.0.1-10.0.0.1:1300", "10.0.0.1:1234", "10.0.0.1:1300"),
            ("fd00::1", "7@[fd00::1]:1234", "7@[fd00::1]:1234"),
            ("[fd00::1]", "7@[fd00::1]:1234", "7@[fd00::1]:1234"),
            ("3@fd00::1", "3@[fd00::1]:1234", "3@[fd00::1]:1234"),
            ("[fd00::1]:9", "7@[fd00::1]:9", "7@[fd00::1]:9"),
            ("7@[fd00::1]:9-[fd00::5]:4", "7@[fd00::1]:4", "7@[fd00::5]:9"),
            ("fd00::5-fd00::1", "7@[fd00::1]:1234", "7@[fd00::5]:1234"),
            ("0@[fd00::5]-0@[fc00::5]:7", "0@[fc00::5]:7", "0@[fd00::5]:1234"),
        ] {
            assert_eq!(range(text).ends(), [first, last], "{text}");
        }
    }

    #[test]
    fn ranges_are_written_in_short() {
        for text in
            ["10.0.0.1", "10.0.0.1-10.0.0.9", "fd00::1", "2@fd00::1", "2@[fd00:0:1::]:7-[fd00:0:2::]:8"]
        {
            assert_eq!(range(text).to_string(), text);
        }
        assert_eq!(range("10.0.0.9-10.0.0.1").to_string(), "10.0.0.1-10.0.0.9");
    }

    #[test]
    fn bad_texts_are_named() {
        for (text, why) in [
            ("", "no IPv4 address"),
            ("10.0.0", "no IPv4 address"),
            ("host", "no IPv4 address"),
            ("10.0.0.1-", "no IPv4 address"),
            ("10.0.0.1:", "port"),
            ("10.0.0.1:65536", "65535"),
            ("10.0.0.1:1-10.0.0.2:x", "port"),
            ("fd00:::1", "no IPv6 address"),
            ("[10.0.0.1]", "no IPv6 address"),
            ("7@10.0.0.1", "no IPv6 address"),
            ("[fd00::1", "bracket"),
            ("[fd00::1]5", "bracket"),
            ("8@[fd00::1]", "0 to 7"),
            ("x@[fd00::1]", "0 to 7"),
            ("10.0.0.1-fd00::1", "one end is IPv4"),
            ("fd00::1-fd01::2", "another group"),
            ("0@fd00::1-fd00::2", "another group"),
            ("6@fd00::1-7@fd00::1", "different groups"),
        ] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    fn any_range() -> impl Strategy<Value = AddressRange> {
        let v4 = (any::<u32>(), any::<u32>()).prop_map(|(a, b)| {
            let [a, b] = [a.min(b), a.max(b)].map(|bits| IpAddr::V4(bits.into()));
            (a, b, DEFAULT_GROUP)
        });
        let v6 = (any::<[u16; 8]>(), any::<u16>(), 0u8..8).prop_map(|(a, n, group)| {
            let mut b = a;
            b[usize::from(group)] |= n;
            (IpAddr::V6(a.into()), IpAddr::V6(b.into()), group)
        });
        (prop_oneof![v4, v6], any::<u16>(), any::<u16>()).prop_map(|((a, b, group), p, q)| AddressRange {
            first: (a, p.min(q)),
            last: (b, p.max(q)),
            group,
        })
    }

    proptest! {
        #[test]
        fn text_and_range_agree(r in any_range()) {
            prop_assert_eq!(range(&r.to_string()), r);
        }

        #[test]
        fn no_text_trips_it(text in "[0-9a-f:.@\\[\\]-]{0,40}") {
            let _ = text.parse::<AddressRange>();
        }
    }
}
