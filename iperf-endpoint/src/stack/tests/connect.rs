//! How connections begin and end.

use super::super::segment::Tuple;
use super::*;
use ports::Reason;

const SECOND: Duration = Duration::from_secs(1);

fn all() -> Capabilities {
    Capabilities::all(1500)
}

#[test]
fn connects_and_knows_both_ends() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    assert_eq!(n.a.stack.remote(c), TO_B);
    assert_eq!(n.b.stack.local(s), TO_B);
    assert_eq!(n.b.stack.remote(s), n.a.stack.local(c));
    assert_eq!(*n.a.stack.local(c).ip(), A);
    let info = n.a.stack.info(c);
    assert_eq!((info.mss, info.path_mtu, info.retransmits), (1460, 1500, 0));
    assert!(info.rtt > Duration::ZERO && info.rtt < Duration::from_millis(1), "{:?}", info.rtt);
    assert!(n.now < Time::from_secs(1) + Duration::from_millis(5), "no timer may be part of a handshake");
}

#[test]
fn a_burst_of_connects_all_succeed() {
    let mut n = Net::direct(all());
    n.b.stack.listen(PORT, SocketOptions::default());
    let clients: Vec<_> =
        (0..128).map(|_| n.a.stack.connect(TO_B, SocketOptions::default()).unwrap()).collect();
    let mut servers = Vec::new();
    assert!(n.until(SECOND * 3, |n| {
        servers.extend(std::iter::from_fn(|| n.b.stack.accept(PORT)));
        servers.len() == 128 && clients.iter().all(|c| n.a.stack.state(*c) == State::Open)
    }));
    // Accepted in the order they came.
    let order: Vec<_> = servers.iter().map(|s| n.b.stack.remote(*s)).collect();
    let asked: Vec<_> = clients.iter().map(|c| n.a.stack.local(*c)).collect();
    assert_eq!(order, asked);
}

#[test]
fn refused_and_unheard_end_closed() {
    let mut n = Net::direct(all());
    let refused = n.a.stack.connect(TO_B, SocketOptions::default()).unwrap();
    assert!(n.until(SECOND, |n| n.a.stack.state(refused) == State::Closed));
    let nobody = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), PORT);
    let start = n.now;
    let unheard = n.a.stack.connect(nobody, SocketOptions::default()).unwrap();
    assert_eq!(n.a.stack.state(unheard), State::Connecting);
    assert!(n.until(SECOND * 7, |n| n.a.stack.state(unheard) == State::Closed));
    assert!(n.now.since(start) >= SECOND * 5);
    let far = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), PORT);
    let routeless = n.a.stack.connect(far, SocketOptions::default()).unwrap();
    assert!(n.until(SECOND * 7, |n| n.a.stack.state(routeless) == State::Closed));
    for c in [refused, unheard, routeless] {
        n.a.stack.release(c);
    }
    assert!(n.until(SECOND * 70, |n| n.a.stack.table.len() == 0));
}

#[test]
fn addresses_nobody_can_have_are_closed_at_once() {
    let mut n = Net::direct(all());
    for ip in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1), A] {
        let c = n.a.stack.connect(SocketAddrV4::new(ip, PORT), SocketOptions::default()).unwrap();
        assert!(n.until(SECOND * 7, |n| n.a.stack.state(c) == State::Closed), "{ip}");
        n.a.stack.release(c);
    }
    let zero = n.a.stack.connect(SocketAddrV4::new(B, 0), SocketOptions::default()).unwrap();
    assert_eq!(n.a.stack.state(zero), State::Closed);
}

#[test]
fn bad_configs_are_named() {
    let bad = |address, prefix, mac, mtu| {
        Stack::new(Config::new(address, prefix, mac, 1), Capabilities::wire(mtu)).err().unwrap().to_string()
    };
    assert!(bad(Ipv4Addr::new(224, 0, 0, 1), 24, mac(A), 1500).contains("224.0.0.1/24"));
    assert!(bad(A, 33, mac(A), 1500).contains("10.0.0.1/33"));
    assert!(bad(A, 24, Mac::BROADCAST, 1500).contains("ff:ff"));
    assert!(bad(A, 24, mac(A), 500).contains("500"));
}

#[test]
fn half_close_lets_the_rest_through() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    assert_eq!(n.a.stack.send(c, b"last words"), 10);
    n.a.stack.close(c);
    assert!(n.until(SECOND, |n| n.b.stack.slot_has(s, 10)));
    assert_eq!(n.b.stack.state(s), State::Open, "not before everything was read");
    let mut into = [0; 64];
    assert_eq!(n.b.stack.receive(s, &mut into), 10);
    assert!(n.until(SECOND, |n| n.b.stack.state(s) == State::PeerClosed));
    assert_eq!(n.a.stack.state(c), State::Open, "the other direction is open still");
    let mut back = Carry::new(s, c, 300_000);
    assert!(n.until(SECOND, |n| back.step(&mut n.b.stack, &mut n.a.stack)));
    n.b.stack.close(s);
    assert!(
        n.until(SECOND, |n| { n.a.stack.state(c) == State::Closed && n.b.stack.state(s) == State::Closed })
    );
}

#[test]
fn what_came_before_the_end_can_be_read_after_it() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    n.a.stack.close(c);
    assert!(n.until(SECOND, |n| n.b.stack.state(s) == State::PeerClosed));
    assert_eq!(n.b.stack.send(s, b"report"), 6);
    n.b.stack.close(s);
    for _ in 0..6 {
        n.step();
    }
    assert_eq!(n.b.stack.state(s), State::Closed);
    assert_eq!(n.a.stack.state(c), State::Open, "six bytes are unread");
    let mut into = [0; 64];
    assert_eq!(n.a.stack.receive(c, &mut into), 6);
    assert_eq!(n.a.stack.state(c), State::Closed);
}

#[test]
fn reset_closes_the_other_end() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    n.b.stack.send(s, b"never read");
    n.a.stack.abort(c);
    assert!(n.until(SECOND, |n| n.b.stack.state(s) == State::Closed));
    assert_eq!(n.a.stack.state(c), State::Closed);
}

#[test]
fn release_gives_everything_back() {
    let mut n = Net::direct(all());
    for round in 0..200 {
        let (c, s) = n.connected(SocketOptions::default());
        n.a.stack.send_pattern(c, 100_000);
        n.a.stack.close(c);
        assert!(n.until(SECOND, |n| {
            n.b.stack.discard(s, usize::MAX);
            n.b.stack.state(s) == State::PeerClosed
        }));
        n.b.stack.close(s);
        n.a.stack.release(c);
        n.b.stack.release(s);
        assert!(
            n.until(SECOND, |n| n.a.stack.table.len() + n.b.stack.table.len() == 0),
            "round {round}: closed connections leave at once, not after TIME-WAIT"
        );
        assert_eq!(n.a.stack.state(c), State::Closed);
    }
    assert!(n.now < Time::from_secs(2), "{:?}", n.now);
}

#[test]
fn a_connection_released_while_open_is_reset() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    n.a.stack.release(c);
    assert!(n.until(SECOND, |n| n.b.stack.state(s) == State::Closed));
    assert_eq!(n.a.stack.table.len(), 0);
}

/// Whatever number it begins with.
#[test]
fn a_peer_that_restarts_comes_again_by_the_same_port() {
    let mut n = Net::direct(all());
    let (mut c, mut s) = n.connected(SocketOptions::default());
    for seed in 1..=16 {
        let local_port = n.a.stack.local(c).port();
        n.b.stack.close(s); // who ends it waits
        assert!(n.until(SECOND, |n| n.a.stack.state(c) == State::PeerClosed));
        n.a.stack.close(c);
        n.a.stack.release(c);
        n.b.stack.release(s);
        assert!(n.until(SECOND, |n| n.b.stack.table.len() == 0));
        assert!(n.b.stack.time_wait.holds(Tuple { remote: A, remote_port: local_port, local_port: PORT }));
        n.a.stack = Stack::new(Config::new(A, 24, mac(A), seed), all()).unwrap();
        n.a.stack.next_port = local_port;
        (c, s) = n.connected(SocketOptions::default());
        assert_eq!(n.a.stack.local(c).port(), local_port);
    }
}

#[test]
fn a_fin_sent_again_in_time_wait_is_acknowledged_again() {
    let mut n = Net::stormy(Weather::default(), 1);
    let (c, s) = n.connected(SocketOptions::default());
    n.a.stack.close(c);
    assert!(n.until(SECOND, |n| n.b.stack.state(s) == State::PeerClosed));
    n.b.stack.close(s);
    n.a.stack.release(c);
    // b's FIN arrives; the acknowledgement of it does not.
    n.b.poll(n.now);
    n.middle.as_mut().unwrap().pass();
    n.a.poll(n.now);
    let middle = n.middle.as_mut().unwrap();
    middle.weather.lost = 1000;
    middle.pass();
    middle.weather.lost = 0;
    assert_eq!(n.a.stack.table.len(), 0);
    assert_eq!(n.b.stack.state(s), State::PeerClosed);
    assert!(n.until(SECOND * 3, |n| n.b.stack.state(s) == State::Closed));
    assert!(n.b.stack.slot_is_graceful(s), "an RST would have closed it too");
}

#[test]
fn a_peer_that_vanishes_is_noticed() {
    for sending in [false, true] {
        let mut n = Net::direct(all());
        let (c, s) = n.connected(SocketOptions::default());
        let b = &mut n.b;
        if sending {
            b.stack.send_pattern(s, 1000);
        }
        let (start, mut now) = (n.now, n.now);
        loop {
            b.poll(now);
            if b.stack.state(s) == State::Closed || now.since(start) > SECOND * 90 {
                break;
            }
            now = b.stack.deadline(now).max(now + TICK);
        }
        assert!(now.since(start) >= SECOND * 29, "{:?}", now.since(start));
        assert!(now.since(start) <= SECOND * 45, "{:?}", now.since(start));
        assert_eq!(n.a.stack.state(c), State::Open);
    }
}

#[test]
fn an_idle_connection_stays() {
    let mut n = Net::direct(all());
    let (c, s) = n.connected(SocketOptions::default());
    assert!(!n.until(SECOND * 300, |n| n.a.stack.state(c) != State::Open));
    assert_eq!(n.b.stack.state(s), State::Open);
    let mut carry = Carry::new(c, s, 100_000);
    assert!(n.until(SECOND, |n| carry.step(&mut n.a.stack, &mut n.b.stack)));
    assert_eq!(n.a.stack.info(c).retransmits, 0);
}

#[test]
fn a_flood_of_syns_is_bounded_and_forgotten() {
    let mut n = Net::direct(all());
    n.b.stack.listen(PORT, SocketOptions::default());
    let clients: Vec<_> =
        (0..1000).map(|_| n.a.stack.connect(TO_B, SocketOptions::default()).unwrap()).collect();
    n.until(SECOND, |_| false);
    assert!(n.b.stack.table.len() <= 2 * 256, "{}", n.b.stack.table.len());
    assert!(n.b.port.counters.read().dropped(Reason::Full) > 0);
    assert!(!clients.iter().any(|c| n.a.stack.state(*c) == State::Closed), "no refusal, only silence");
    // Nobody accepts; the peers go away; nothing may stay.
    for c in clients {
        n.a.stack.abort(c);
        n.a.stack.release(c);
    }
    n.until(SECOND * 10, |n| n.a.stack.table.len() == 0);
    while n.b.stack.accept(PORT).is_some() {}
    assert!(n.until(SECOND * 70, |n| n.b.stack.table.len() == 0), "{}", n.b.stack.table.len());
    let c = n.a.stack.connect(TO_B, SocketOptions::default()).unwrap();
    assert!(n.until(SECOND, |n| n.a.stack.state(c) == State::Open));
}

#[test]
fn an_answer_to_nobody_is_never_waited_for() {
    // Every SYN from a station that does not answer ARP: half-open until forgotten.
    let mut n = Net::direct(all());
    n.b.stack.listen(PORT, SocketOptions::default());
    let c = n.a.stack.connect(TO_B, SocketOptions::default()).unwrap();
    for _ in 0..6 {
        n.step();
        if n.b.stack.table.len() == 1 {
            break;
        }
    }
    assert_eq!(n.b.stack.table.len(), 1);
    let mut now = n.now;
    while now < n.now + SECOND * 8 {
        n.b.poll(now);
        now = n.b.stack.deadline(now).max(now + TICK);
    }
    assert_eq!(n.b.stack.table.len(), 0);
    assert_ne!(n.a.stack.state(c), State::Closed);
}

#[test]
fn the_mss_option_bounds_what_is_sent() {
    let mut n = Net::stormy(Weather::default(), 1);
    let options = SocketOptions { mss: Some(500), ..SocketOptions::default() };
    let (c, s) = n.connected(options);
    assert_eq!(n.a.stack.info(c).mss, 500);
    assert_eq!(n.b.stack.info(s).mss, 500);
    let before: u64 = n.frames().iter().sum();
    let mut carry = Carry::new(c, s, 500_000);
    assert!(n.until(SECOND, |n| carry.step(&mut n.a.stack, &mut n.b.stack)));
    assert!(n.frames().iter().sum::<u64>() - before >= 1000);
}

impl Stack {
    fn slot_has(&self, c: Connection, bytes: usize) -> bool {
        self.table.index(c).and_then(|i| self.table.at(i)).is_some_and(|s| s.socket().recv_queue() == bytes)
    }

    fn slot_is_graceful(&self, c: Connection) -> bool {
        self.table.index(c).and_then(|i| self.table.at(i)).is_some_and(|s| s.graceful)
    }
}
