//! Answers to stations that never asked where we are.

use super::garbage::{mend, ping};
use super::*;

const US: Duration = Duration::from_micros(1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

/// `b` alone, and the far end of its cable.
struct Lone {
    b: Host,
    end: Port,
    now: Time,
}

impl Lone {
    fn new(gateway: Option<Ipv4Addr>) -> Self {
        let wire = Capabilities::wire(1500);
        let (end, b) = virtual_port::pair("cable", 64, wire).unwrap();
        let config = Config { gateway, ..config(B) };
        let mut lone = Self { b: Host::new(config, wire, b), end, now: Time::from_secs(1) };
        lone.b.stack.listen(PORT, SocketOptions::default());
        lone.answers(&[]); // the announcement
        lone
    }

    /// What `b` sends in the pass in which this frame arrives.
    fn answers(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.end.tx.transmit(&[Frame::new(bytes)]);
        self.end.tx.flush();
        self.now = self.now + US;
        self.b.poll(self.now);
        let mut burst = Burst::new();
        self.end.rx.receive(&mut burst);
        let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
        drop(burst);
        self.end.rx.release(frames.len());
        frames
    }

    /// The one answer, which must go to that station.
    fn answer(&mut self, station: [u8; 6], bytes: &[u8]) -> Vec<u8> {
        let [answer] = self.answers(bytes).try_into().unwrap();
        assert_eq!((&answer[..6], &answer[12..14]), (&station[..], &[8, 0][..]));
        answer
    }
}

fn station(n: usize) -> [u8; 6] {
    let [hi, lo] = u16::try_from(n).unwrap().to_be_bytes();
    [2, 1, 0, 0, hi, lo]
}

fn ping_from(source: Ipv4Addr, station: [u8; 6]) -> Vec<u8> {
    let mut f = ping(source.octets());
    f[6..12].copy_from_slice(&station);
    f
}

fn segment_from(source: Ipv4Addr, station: [u8; 6], (from_port, to_port): (u16, u16), flags: u8) -> Vec<u8> {
    let ack = super::super::segment::BareAck {
        to_mac: mac(B).octets(),
        from_mac: station,
        from: source,
        to: B,
        from_port,
        to_port,
        seq: 1000,
        ack: 0,
        window: 1000,
    };
    let mut f = ack.frame();
    f[47] = flags;
    mend(&mut f);
    f.to_vec()
}

#[test]
fn the_first_echo_request_is_answered_at_once() {
    let mut n = Lone::new(None);
    assert_eq!(n.answer(station(1), &ping_from(A, station(1)))[34], 0);
}

#[test]
fn a_syn_is_answered_at_once() {
    let mut n = Lone::new(None);
    assert_eq!(n.answer(station(1), &segment_from(A, station(1), (4000, PORT), 2))[47], 0x12);
    let other = Ipv4Addr::new(10, 0, 0, 3);
    assert_eq!(n.answer(station(2), &segment_from(other, station(2), (4000, PORT + 1), 2))[47], 0x14);
}

#[test]
fn an_answer_follows_a_station_that_moves() {
    let mut n = Lone::new(None);
    for round in [1, 2, 1] {
        n.answer(station(round), &ping_from(A, station(round)));
        let port = 4000 + u16::try_from(round).unwrap();
        n.answer(station(9), &segment_from(A, station(9), (port, PORT + 1), 2));
    }
    // Two connections of one peer: whichever is heard last.
    for (at, port) in [(1, 4000), (1, 4001), (2, 4000), (1, 4001), (2, 4000)] {
        let f = segment_from(A, station(at), (port, PORT), 2);
        let answers = n.answers(&f);
        assert!(answers.iter().all(|a| a[..6] == station(at)), "{at} {port}");
    }
}

#[test]
fn a_station_that_moved_and_said_so_may_move_back() {
    let mut n = Lone::new(None);
    n.answer(station(1), &ping_from(A, station(1)));
    let arp = super::super::arp::arp_reply(station(2), A, mac(B).octets(), B);
    assert!(n.answers(&arp).is_empty());
    n.answer(station(1), &ping_from(A, station(1)));
}

#[test]
fn more_stations_than_anyone_remembers_are_all_answered() {
    let mut n = Lone::new(None);
    n.b = Host::new(Config { prefix_len: 16, ..config(B) }, Capabilities::wire(1500), n.b.port);
    n.answers(&[]);
    for round in 0..3 {
        for i in 0..400 {
            let [hi, lo] = u16::try_from(i + 256).unwrap().to_be_bytes();
            let source = Ipv4Addr::new(10, 0, hi, lo);
            n.answer(station(i), &ping_from(source, station(i)));
            n.answer(station(i), &segment_from(source, station(i), (4000 + round, PORT), 2));
        }
    }
}

#[test]
fn an_answer_to_afar_goes_to_the_gateway_it_came_by() {
    let mut n = Lone::new(Some(GATEWAY));
    n.answer(station(1), &ping_from(FAR, station(1)));
    n.answer(station(1), &segment_from(FAR, station(1), (4000, PORT), 2));
    n.answer(station(2), &ping_from(FAR, station(2)));
    // What claims to be a neighbour and came by the gateway is asked for by ARP.
    let [asked] = n.answers(&ping_from(A, station(2))).try_into().unwrap();
    assert_eq!(asked[12..14], [8, 6]);
    let mut without = Lone::new(None);
    assert!(without.answers(&ping_from(FAR, station(1))).is_empty());
}

#[test]
fn only_intact_datagrams_to_us_alone_are_learnt_from() {
    let mut n = Lone::new(None);
    let mut damaged = ping_from(A, station(1));
    damaged[29] ^= 0x10;
    assert!(n.answers(&damaged).is_empty());
    let mut to_all = ping_from(A, station(1));
    to_all[..6].fill(0xff);
    let [asked] = n.answers(&to_all).try_into().unwrap();
    assert_eq!(asked[12..14], [8, 6]);
}

/// One forged frame sends what follows to nowhere; the peer, to whom it is to speak, will not say so.
#[test]
fn a_sender_finds_its_peer_again() {
    let mut n = Net::direct(Capabilities::wire(1500));
    let (c, s) = n.connected(SocketOptions::default());
    let forged = segment_from(A, station(1), (n.a.stack.local(c).port(), PORT), 16);
    n.a.port.tx.transmit(&[Frame::new(&forged)]);
    n.a.port.tx.flush();
    n.b.poll(n.now);
    let mut carry = Carry::new(s, c, 100_000);
    assert!(n.until(Duration::from_millis(500), |n| carry.step(&mut n.b.stack, &mut n.a.stack)));
    assert!(n.b.stack.info(s).retransmits > 0, "it was not led astray");
}

/// Two hosts on one link, or each behind a router of its own that answers no ARP: the longest time without a
/// byte for either, over several lifetimes of what smoltcp knows about neighbours.
fn longest_gap(routed: bool, up: bool, down: bool) -> Duration {
    let wire = Capabilities::wire(1500);
    let (port_a, port_b) = virtual_port::pair("cable", 256, wire).unwrap();
    let b = if routed { Ipv4Addr::new(10, 0, 1, 2) } else { B };
    let config = |a: Ipv4Addr| {
        let [x, y, z, _] = a.octets();
        Config { gateway: routed.then_some(Ipv4Addr::new(x, y, z, 254)), ..config(a) }
    };
    let hosts = (Host::new(config(A), wire, port_a), Host::new(config(b), wire, port_b));
    let mut n = Net { a: hosts.0, b: hosts.1, middle: None, now: Time::from_secs(1) };
    let router = super::super::arp::arp_reply(mac(b).octets(), GATEWAY, mac(A).octets(), A);
    n.b.port.tx.transmit(&[Frame::new(&router)]);
    n.b.port.tx.flush();
    n.a.poll(n.now);
    let options = SocketOptions { window: Some(8192), ..SocketOptions::default() };
    n.b.stack.listen(PORT, options);
    let c = n.a.stack.connect(SocketAddrV4::new(b, PORT), options).unwrap();
    let mut s = None;
    n.until(Duration::from_secs(1), |n| {
        s = s.or_else(|| n.b.stack.accept(PORT));
        s.is_some()
    });
    let (s, start) = (s.unwrap(), n.now);
    let (mut last, mut longest) = ([n.now; 2], Duration::ZERO);
    while n.now < start + Duration::from_secs(200) {
        n.now = n.now + Duration::from_millis(2);
        n.a.stack.send_pattern(c, if up { 8192 } else { 0 });
        n.b.stack.send_pattern(s, if down { 8192 } else { 0 });
        n.a.poll(n.now);
        n.b.poll(n.now);
        let got = [n.b.stack.discard(s, 8192) > 0 || !up, n.a.stack.discard(c, 8192) > 0 || !down];
        for (got, last) in got.into_iter().zip(&mut last) {
            longest = longest.max(n.now.since(*last));
            *last = if got { n.now } else { *last };
        }
    }
    longest
}

#[test]
fn long_transfers_outlive_what_is_known_about_neighbours() {
    for (routed, up, down) in [
        (false, true, false),
        (false, false, true),
        (false, true, true),
        (true, true, false),
        (true, false, true),
        (true, true, true),
    ] {
        let gap = longest_gap(routed, up, down);
        println!("routed {routed}, up {up}, down {down}: {gap:?}");
        assert!(gap < Duration::from_millis(20), "routed {routed}, up {up}, down {down}: {gap:?}");
    }
}
