//! Which neighbours smoltcp knows, so that it can be told of those it does not.
//!
//! smoltcp learns of neighbours from ARP alone. Its answer to one that it does not know becomes an ARP request,
//! and the answer itself is lost: the first echo reply, the first SYN-ACK. Whoever sends to us has just shown
//! where it is, so the stack tells smoltcp, by an ARP reply that no wire saw, before smoltcp gets the frame.
//! That believes no more than ARP does, whose replies anybody on the link can forge. A peer that falls silent is
//! asked for by ARP, lest one forged or damaged frame, or a move that only others heard of, cuts it off.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::{Mac, Time};

use super::arp::Arp;

/// Most neighbours remembered: half of what smoltcp holds. Both let go of the one not heard for longest, so
/// that what is remembered here is known there, also while others get in by ARP.
const MOST: usize = 128;
/// How long smoltcp is not told again. A [`Lease`] may begin when that has almost passed and lasts as long
/// again; smoltcp forgets after 60 s.
const FRESH: Duration = Duration::from_secs(20);
/// Pause between two requests, whoever they are for.
const PAUSE: Duration = Duration::from_millis(20);

/// What smoltcp was told.
pub(super) struct Neighbours {
    address: Ipv4Addr,
    prefix_len: u8,
    gateway: Option<Ipv4Addr>,
    /// The one told last comes last.
    known: Vec<Neighbour>,
    next_request: Time,
    /// How often something ceased to be true.
    changes: u64,
}

struct Neighbour {
    address: Ipv4Addr,
    mac: [u8; 6],
    /// When to tell smoltcp again.
    due: Time,
}

/// Spares a connection the look-up: nothing is to be told of its peer, as long as the station is the same.
#[derive(Clone, Copy, Default)]
pub(super) struct Lease {
    until: Time,
    changes: u64,
}

impl Neighbours {
    /// A host of this address in its network, whose way out is the gateway.
    pub(super) fn new(address: Ipv4Addr, prefix_len: u8, gateway: Option<Ipv4Addr>) -> Self {
        Self {
            address,
            prefix_len,
            gateway,
            known: Vec::with_capacity(MOST),
            next_request: Time::ZERO,
            changes: 0,
        }
    }

    /// A frame from `source` came from the station `mac`: the neighbour whom smoltcp must be told to be there.
    pub(super) fn heard(&mut self, source: Ipv4Addr, mac: [u8; 6], now: Time) -> Option<Ipv4Addr> {
        let hop = self.next_hop(source)?;
        if !Mac::new(mac).is_unicast() {
            return None;
        }
        let is_known = self.known.iter().any(|n| n.address == hop && n.mac == mac && now < n.due);
        if is_known || self.is_routed(hop, mac) {
            return None;
        }
        self.note(hop, mac, now + FRESH);
        Some(hop)
    }

    /// smoltcp received an ARP packet, and may have taken the sender in: where it is will be told once more.
    pub(super) fn heard_arp(&mut self, frame: &[u8], now: Time) {
        if let Some(arp) = Arp::parse(frame).filter(|arp| arp.target == self.address) {
            self.note(arp.sender, arp.mac, now);
        }
    }

    /// A peer does not answer: the neighbour to send an ARP request for.
    pub(super) fn ask(&mut self, peer: Ipv4Addr, now: Time) -> Option<Ipv4Addr> {
        if now < self.next_request {
            return None;
        }
        self.next_request = now + PAUSE;
        self.next_hop(peer)
    }

    /// The neighbour through which `to` is answered, if nothing was ever heard of it.
    pub(super) fn missing(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        self.next_hop(to).filter(|&hop| self.known.iter().all(|n| n.address != hop))
    }

    /// A lease for a connection whose peer was [heard](Self::heard) now.
    pub(super) fn lease(&self, now: Time) -> Lease {
        Lease { until: now + FRESH, changes: self.changes }
    }

    /// Whether a lease still holds.
    pub(super) fn honours(&self, lease: Lease, now: Time) -> bool {
        lease.changes == self.changes && now < lease.until
    }

    /// The neighbour through which `to` is answered.
    fn next_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        let host = u32::MAX.checked_shr(u32::from(self.prefix_len)).unwrap_or(0);
        if (self.address.to_bits() ^ to.to_bits()) & !host != 0 {
            return self.gateway;
        }
        let broadcast = host > 1 && to.to_bits() & host == host;
        (!broadcast).then_some(to)
    }

    /// Whether a frame of a neighbour came through the gateway. ARP does not cross routers, so such a frame,
    /// which may have been forged far away, says nothing about where the neighbour is.
    fn is_routed(&self, hop: Ipv4Addr, mac: [u8; 6]) -> bool {
        self.gateway.is_some_and(|g| g != hop && self.known.iter().any(|n| n.address == g && n.mac == mac))
    }

    fn note(&mut self, address: Ipv4Addr, mac: [u8; 6], due: Time) {
        let old = self.known.iter().position(|n| n.address == address);
        let full = (self.known.len() >= MOST).then_some(0);
        if let Some(at) = old.or(full) {
            let gone = self.known.remove(at);
            self.changes += u64::from(gone.address != address || gone.mac != mac);
        }
        self.known.push(Neighbour { address, mac, due });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

    const fn at(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    const fn mac(last: u8) -> [u8; 6] {
        [2, 0, 0, 0, 0, last]
    }

    fn second(n: u64) -> Time {
        Time::from_secs(n)
    }

    #[test]
    fn told_once_and_again_in_time() {
        let mut n = Neighbours::new(US, 24, None);
        assert_eq!(n.heard(at(7), mac(7), second(1)), Some(at(7)));
        assert_eq!(n.heard(at(7), mac(7), second(20)), None);
        assert_eq!(n.heard(at(7), mac(7), second(21)), Some(at(7)));
        assert_eq!(n.heard(at(7), mac(8), second(21)), Some(at(7)), "it moved");
        assert_eq!(n.known.len(), 1);
    }

    #[test]
    fn a_hop_is_missing_until_it_is_heard() {
        let mut n = Neighbours::new(US, 24, Some(GATEWAY));
        let afar = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!((n.missing(at(7)), n.missing(afar)), (Some(at(7)), Some(GATEWAY)));
        n.heard(GATEWAY, mac(1), second(1));
        assert_eq!((n.missing(at(7)), n.missing(afar)), (Some(at(7)), None));
    }

    #[test]
    fn only_hops_that_can_be_answered() {
        let mut n = Neighbours::new(US, 24, None);
        assert_eq!(n.heard(at(255), mac(7), second(1)), None);
        assert_eq!(n.heard(at(7), [3, 0, 0, 0, 0, 1], second(1)), None);
        assert_eq!(n.heard(Ipv4Addr::new(192, 0, 2, 1), mac(7), second(1)), None);
        assert!(n.known.is_empty());
        for (prefix_len, hop) in [(0, None), (31, Some(at(3))), (32, Some(GATEWAY))] {
            let n = Neighbours::new(US, prefix_len, Some(GATEWAY));
            assert_eq!(n.next_hop(if prefix_len == 0 { Ipv4Addr::BROADCAST } else { at(3) }), hop);
        }
    }

    #[test]
    fn a_frame_through_the_gateway_moves_no_neighbour() {
        let mut n = Neighbours::new(US, 24, Some(GATEWAY));
        assert_eq!(n.heard(at(7), mac(7), second(1)), Some(at(7)));
        assert_eq!(n.heard(Ipv4Addr::new(192, 0, 2, 1), mac(1), second(1)), Some(GATEWAY));
        assert_eq!(n.heard(at(7), mac(1), second(1)), None);
        assert_eq!(n.heard(at(8), mac(1), second(1)), None);
        assert_eq!(n.heard(GATEWAY, mac(9), second(1)), Some(GATEWAY), "the gateway itself may move");
    }

    #[test]
    fn the_one_told_longest_ago_is_forgotten_and_leases_end() {
        let mut n = Neighbours::new(Ipv4Addr::new(10, 0, 0, 2), 8, None);
        let host = |i: usize| Ipv4Addr::from_bits(0x0a01_0000 + u32::try_from(i).unwrap());
        for i in 0..MOST {
            assert!(n.heard(host(i), mac(1), second(1)).is_some());
        }
        let lease = n.lease(second(1));
        assert!(n.honours(lease, second(20)) && !n.honours(lease, second(21)));
        assert!(n.heard(host(MOST), mac(1), second(2)).is_some());
        assert!(!n.honours(lease, second(2)));
        assert_eq!(n.heard(host(1), mac(1), second(2)), None);
        assert!(n.heard(host(0), mac(1), second(2)).is_some());
        assert_eq!(n.known.len(), MOST);
    }

    #[test]
    fn arp_is_told_again() {
        let mut n = Neighbours::new(US, 24, None);
        n.heard(at(7), mac(7), second(1));
        let lease = n.lease(second(1));
        let mut arp = [0; 42];
        arp[22..28].copy_from_slice(&mac(8));
        arp[28..32].copy_from_slice(&at(7).octets());
        n.heard_arp(&arp, second(2));
        assert!(n.honours(lease, second(2)), "for somebody else");
        arp[38..42].copy_from_slice(&US.octets());
        n.heard_arp(&arp[..41], second(2));
        assert!(n.honours(lease, second(2)), "cut");
        n.heard_arp(&arp, second(2));
        assert!(!n.honours(lease, second(2)));
        assert_eq!(n.heard(at(7), mac(8), second(2)), Some(at(7)));
    }
}
