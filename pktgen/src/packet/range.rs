//! Address ranges, and the order in which their members are used.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Flow;

/// UDP port where none is given.
const DEFAULT_PORT: u16 = 1234;

/// Addresses and UDP ports of one end: `addr[:port][-addr[:port]]`, as netmap's `-s` and `-d`. IPv4 only for now.
///
/// Both ends are included and in order: reversed ones are swapped, addresses and ports each on their own. The
/// second port defaults to the first, the first to 1234.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: (Ipv4Addr, u16),
    last: (Ipv4Addr, u16),
}

impl AddressRange {
    /// Just this address, and port 1234.
    #[must_use]
    pub const fn single(address: Ipv4Addr) -> Self {
        Self { first: (address, DEFAULT_PORT), last: (address, DEFAULT_PORT) }
    }

    /// Whether there is only one address and one port.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.first == self.last
    }

    /// Lowest address and lowest port.
    #[must_use]
    pub const fn first(&self) -> (Ipv4Addr, u16) {
        self.first
    }

    /// Highest address and highest port.
    #[must_use]
    pub const fn last(&self) -> (Ipv4Addr, u16) {
        self.last
    }
}

/// The text is no range of IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: {1} (try: 10.0.0.1, 10.0.0.1:2000 or 10.0.0.1:2000-10.0.0.9:2100)")]
pub struct BadRange(String, &'static str);

/// `addr[:port]`.
fn end(text: &str) -> Result<(Ipv4Addr, Option<u16>), &'static str> {
    let (address, port) = match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return Err("IPv6 is not available yet"),
        Some((address, port)) => (address, Some(port)),
        None => (text, None),
    };
    let port = port.map(|p| p.parse().map_err(|_| "the port is no number from 0 to 65535")).transpose()?;
    Ok((address.parse().map_err(|_| "no IPv4 address")?, port))
}

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = |what| BadRange(text.to_owned(), what);
        let (low, high) = text.split_once('-').map_or((text, None), |(low, high)| (low, Some(high)));
        let (address, port) = end(low).map_err(bad)?;
        let port = port.unwrap_or(DEFAULT_PORT);
        let (other, other_port) = match high {
            Some(high) => end(high).map_err(bad)?,
            None => (address, None),
        };
        let other_port = other_port.unwrap_or(port);
        Ok(Self {
            first: (address.min(other), port.min(other_port)),
            last: (address.max(other), port.max(other_port)),
        })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_ports = (self.first.1, self.last.1) != (DEFAULT_PORT, DEFAULT_PORT);
        let mut end = |(address, port): (Ipv4Addr, u16), dash: &str| {
            write!(f, "{dash}{address}")?;
            if with_ports { write!(f, ":{port}") } else { Ok(()) }
        };
        end(self.first, "")?;
        if self.is_single() { Ok(()) } else { end(self.last, "-") }
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

/// Goes through all combinations of two ranges like an odometer: the source port turns fastest, then the source
/// address, the destination port, the destination address (`update_ip` of netmap's pkt-gen).
#[derive(Clone, Debug)]
pub struct Odometer {
    src: AddressRange,
    dst: AddressRange,
    flow: Flow,
}

impl Odometer {
    /// Stands at the first of all ranges.
    #[must_use]
    pub const fn new(src: AddressRange, dst: AddressRange) -> Self {
        let flow = Flow {
            src: src.first.0.to_bits(),
            src_port: src.first.1,
            dst: dst.first.0.to_bits(),
            dst_port: dst.first.1,
        };
        Self { src, dst, flow }
    }

    /// Whether it never turns.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.src.is_single() && self.dst.is_single()
    }

    /// Where it stands.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Turns it by one.
    pub fn advance(&mut self) {
        let flow = &mut self.flow;
        let _ = turn_port(&mut flow.src_port, &self.src)
            || turn_address(&mut flow.src, &self.src)
            || turn_port(&mut flow.dst_port, &self.dst)
            || turn_address(&mut flow.dst, &self.dst);
    }
}

/// Turns one wheel; false if it came round, so that the next one has to turn.
const fn turn_port(port: &mut u16, range: &AddressRange) -> bool {
    let more = *port < range.last.1;
    *port = if more { *port + 1 } else { range.first.1 };
    more
}

const fn turn_address(address: &mut u32, range: &AddressRange) -> bool {
    let more = *address < range.last.0.to_bits();
    *address = if more { *address + 1 } else { range.first.0.to_bits() };
    more
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
        let ip = |d| Ipv4Addr::new(10, 0, 0, d);
        for (text, first, last) in [
            ("10.0.0.1", (ip(1), 1234), (ip(1), 1234)),
            ("10.0.0.1:2000", (ip(1), 2000), (ip(1), 2000)),
            ("10.0.0.1-10.0.0.9", (ip(1), 1234), (ip(9), 1234)),
            ("10.0.0.1:2000-10.0.0.9", (ip(1), 2000), (ip(9), 2000)),
            ("10.0.0.1:2000-10.0.0.9:2100", (ip(1), 2000), (ip(9), 2100)),
            ("10.0.0.9:2000-10.0.0.1:1000", (ip(1), 1000), (ip(9), 2000)),
            ("10.0.0.1-10.0.0.1:1300", (ip(1), 1234), (ip(1), 1300)),
        ] {
            assert_eq!((range(text).first(), range(text).last()), (first, last), "{text}");
        }
        assert_eq!(range("10.0.0.1").to_string(), "10.0.0.1");
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
            ("7@[fd00::1]:9", "IPv6"),
            ("fd00::1", "IPv6"),
        ] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    fn any_range() -> impl Strategy<Value = AddressRange> {
        (any::<u32>(), 0u32..4, any::<u16>(), 0u16..4).prop_map(|(a, n, p, m)| AddressRange {
            first: (a.into(), p),
            last: (a.saturating_add(n).into(), p.saturating_add(m)),
        })
    }

    fn span(r: &AddressRange) -> Vec<(u32, u16)> {
        let (a, p) = r.first();
        let (b, q) = r.last();
        (a.to_bits()..=b.to_bits()).flat_map(|a| (p..=q).map(move |p| (a, p))).collect()
    }

    proptest! {
        #[test]
        fn text_and_range_agree(r in any_range()) {
            prop_assert_eq!(range(&r.to_string()), r);
        }

        #[test]
        fn the_odometer_goes_through_all_in_order_and_starts_anew(src in any_range(), dst in any_range()) {
            let mut odometer = Odometer::new(src, dst);
            let expected: Vec<_> =
                span(&dst).into_iter().flat_map(|d| span(&src).into_iter().map(move |s| (s, d))).collect();
            for (s, d) in expected.iter().chain(&expected) {
                let f = odometer.flow();
                prop_assert_eq!(((f.src, f.src_port), (f.dst, f.dst_port)), (*s, *d));
                odometer.advance();
            }
            prop_assert_eq!(odometer.is_single(), expected.len() == 1);
        }
    }
}
