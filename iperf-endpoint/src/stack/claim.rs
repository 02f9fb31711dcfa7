//! Whether the address is ours alone: conflict detection (RFC 5227) for a host that does not wait.
//!
//! At the start all are asked who has the address (a probe, 2.1.1), and work begins at once. An answer within the
//! first second means that the address is taken, and whoever owns the stack is told. Later answers mean nothing:
//! anybody on the link can forge one, and that must not end a test.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::{Mac, Time};

use super::arp::{Arp, REPLY, REQUEST, arp_reply, arp_request};

/// How long an answer to the probe may take (`PROBE_WAIT` of RFC 5227).
const WAIT: Duration = Duration::from_secs(1);

/// Our claim to an address.
pub(super) struct Claim {
    mac: Mac,
    address: Ipv4Addr,
    until: Time,
    taken_by: Option<Mac>,
}

impl Claim {
    pub(super) const fn new(mac: Mac, address: Ipv4Addr) -> Self {
        Self { mac, address, until: Time::ZERO, taken_by: None }
    }

    /// The frame that asks who has the address, sent at `now`.
    pub(super) fn probe(&mut self, now: Time) -> [u8; 60] {
        self.until = now + WAIT;
        arp_request(self.mac.octets(), Ipv4Addr::UNSPECIFIED, self.address)
    }

    /// An ARP packet arrived. Gives the answer to somebody else's probe for our address, which smoltcp, taking the
    /// sender for nobody, leaves out.
    pub(super) fn heard(&mut self, frame: &[u8], now: Time) -> Option<[u8; 60]> {
        let arp = Arp::parse(frame)?;
        let sender = Mac::new(arp.mac);
        if sender == self.mac || !sender.is_unicast() {
            return None;
        }
        let nobody = Ipv4Addr::UNSPECIFIED;
        match arp.operation {
            REPLY if arp.sender == self.address && now < self.until => self.taken_by = Some(sender),
            REQUEST if arp.sender == nobody && arp.target == self.address => {
                return Some(arp_reply(self.mac.octets(), self.address, arp.mac, nobody));
            }
            _ => {}
        }
        None
    }

    /// Who has the address already.
    pub(super) const fn taken_by(&self) -> Option<Mac> {
        self.taken_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn claim(n: u8) -> Claim {
        Claim::new(Mac::new([2, 0, 0, 0, 0, n]), ADDRESS)
    }

    #[test]
    fn who_has_the_address_answers_and_is_found() {
        let (mut first, mut second) = (claim(1), claim(2));
        let probe = second.probe(Time::from_secs(5));
        let answer = first.heard(&probe, Time::from_secs(5)).unwrap();
        assert_eq!(second.heard(&answer, Time::from_secs(5)), None);
        assert_eq!(second.taken_by(), Some(Mac::new([2, 0, 0, 0, 0, 1])));
        assert_eq!(first.taken_by(), None);
    }

    #[test]
    fn late_answers_echoes_and_scraps_mean_nothing() {
        let (mut first, mut second) = (claim(1), claim(2));
        let probe = second.probe(Time::from_secs(5));
        assert_eq!(second.heard(&probe, Time::from_secs(5)), None);
        let answer = first.heard(&probe, Time::from_secs(5)).unwrap();
        second.heard(&answer, Time::from_secs(6));
        for len in 0..42 {
            second.heard(&answer[..len], Time::from_secs(5));
        }
        assert_eq!(second.taken_by(), None);
    }
}
