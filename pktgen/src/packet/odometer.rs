//! The order in which the members of two ranges are used.

use super::{AddressRange, Flow};

/// Goes through all combinations of two ranges like an odometer: the source port turns fastest, then the source
/// address, the destination port, the destination address (`update_ip` and `update_ip6` of netmap's pkt-gen).
#[derive(Clone, Debug)]
pub struct Odometer {
    src: Wheels,
    dst: Wheels,
    flow: Flow,
}

/// The two wheels of one end.
#[derive(Clone, Copy, Debug)]
struct Wheels {
    /// First and last address, and how far it is from one to the next.
    address: (u128, u128),
    step: u128,
    port: (u16, u16),
}

impl Wheels {
    fn new(range: AddressRange) -> Self {
        let ((first, port0), (last, port1)) = (range.first(), range.last());
        Self { address: (bits(first), bits(last)), step: range.step(), port: (port0, port1) }
    }

    /// Turns by one; false if all came round, so that the next wheels have to turn.
    #[inline]
    fn turn(&self, address: &mut u128, port: &mut u16) -> bool {
        if *port < self.port.1 {
            *port += 1;
            return true;
        }
        *port = self.port.0;
        let more = *address < self.address.1;
        *address = if more { *address + self.step } else { self.address.0 };
        more
    }
}

/// An IPv4 address stands in the low 32 bits.
fn bits(address: std::net::IpAddr) -> u128 {
    match address {
        std::net::IpAddr::V4(a) => a.to_bits().into(),
        std::net::IpAddr::V6(a) => a.to_bits(),
    }
}

impl Odometer {
    /// Stands at the first of all ranges.
    #[must_use]
    pub fn new(src: AddressRange, dst: AddressRange) -> Self {
        let (src, dst) = (Wheels::new(src), Wheels::new(dst));
        let flow =
            Flow { src: src.address.0, src_port: src.port.0, dst: dst.address.0, dst_port: dst.port.0 };
        Self { src, dst, flow }
    }

    /// Where it stands.
    #[must_use]
    #[inline]
    pub const fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Turns it by one.
    #[inline]
    pub fn advance(&mut self) {
        let flow = &mut self.flow;
        let _ = self.src.turn(&mut flow.src, &mut flow.src_port)
            || self.dst.turn(&mut flow.dst, &mut flow.dst_port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_range() -> impl Strategy<Value = AddressRange> {
        let v4 = (any::<u32>(), 0u32..4).prop_map(|(a, n)| {
            let [a, b] = [a, a.saturating_add(n)].map(std::net::Ipv4Addr::from_bits);
            (format!("{a}"), format!("{b}"))
        });
        (v4, any::<u16>(), 0u16..4)
            .prop_map(|((a, b), p, m)| format!("{a}:{p}-{b}:{}", p.saturating_add(m)).parse().unwrap())
    }

    fn any_range6() -> impl Strategy<Value = AddressRange> {
        (any::<[u16; 8]>(), 0usize..8, 0u16..4, any::<u16>(), 0u16..4).prop_map(|(a, g, n, p, m)| {
            let mut b = a;
            b[g] = b[g].saturating_add(n);
            let [a, b] = [a, b].map(std::net::Ipv6Addr::from);
            format!("{g}@[{a}]:{p}-[{b}]:{}", p.saturating_add(m)).parse().unwrap()
        })
    }

    /// Every member of a range, address by address.
    fn span(r: &AddressRange) -> Vec<(u128, u16)> {
        let ((a, p), (b, q)) = (r.first(), r.last());
        let (mut a, b) = (bits(a), bits(b));
        let mut addresses = vec![a];
        while a != b {
            a += r.step();
            addresses.push(a);
        }
        addresses.into_iter().flat_map(|a| (p..=q).map(move |p| (a, p))).collect()
    }

    fn check(src: AddressRange, dst: AddressRange) {
        let mut odometer = Odometer::new(src, dst);
        let expected: Vec<_> =
            span(&dst).into_iter().flat_map(|d| span(&src).into_iter().map(move |s| (s, d))).collect();
        for (s, d) in expected.iter().chain(&expected) {
            let f = odometer.flow();
            assert_eq!(((f.src, f.src_port), (f.dst, f.dst_port)), (*s, *d));
            odometer.advance();
        }
        assert_eq!(src.is_single() && dst.is_single(), expected.len() == 1);
    }

    proptest! {
        #[test]
        fn it_goes_through_all_in_order_and_starts_anew(src in any_range(), dst in any_range()) {
            check(src, dst);
        }

        #[test]
        fn groups_of_ipv6_turn_alone(src in any_range6(), dst in any_range6()) {
            check(src, dst);
        }
    }

    #[test]
    fn the_group_asked_for_turns() {
        let mut odometer =
            Odometer::new("1@[fd00:1::7]-[fd00:3::7]".parse().unwrap(), "[fd00::9]".parse().unwrap());
        let mut sources = Vec::new();
        for _ in 0..4 {
            sources.push(std::net::Ipv6Addr::from_bits(odometer.flow().src).to_string());
            odometer.advance();
        }
        assert_eq!(sources, ["fd00:1::7", "fd00:2::7", "fd00:3::7", "fd00:1::7"]);
    }
}
