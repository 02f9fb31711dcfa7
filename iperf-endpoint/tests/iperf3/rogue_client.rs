//! What clients should not do: vanish, stall, talk nonsense. The server always serves the next one.

use crate::bench::{Bench, SERVER, seconds};
use iperf_endpoint::config::{ClientConfig, Direction, ServerConfig};
use iperf_endpoint::loopback::HostId;
use iperf_endpoint::transport::{Connection, SocketOptions, State, Transport};
use ports::Time;
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub(crate) const PORT: u16 = 5201;
const COOKIE: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";
const PARAMS: &[u8] = br#"{"tcp":true,"omit":0,"time":1,"parallel":1,"client_version":"x"}"#;
const RESULTS: &[u8] =
    br#"{"cpu_util_total":0,"cpu_util_user":0,"cpu_util_system":0,"sender_has_retransmits":1,
    "streams":[{"id":1,"bytes":5,"retransmits":0,"jitter":0,"errors":0,"packets":0}]}"#;

/// A peer that sends what a test says, on a machine of its own.
struct Rogue {
    host: HostId,
}

impl Rogue {
    fn new(bench: &mut Bench) -> Self {
        Self { host: bench.net.add_host(Ipv4Addr::new(10, 0, 9, 9)) }
    }

    fn connect(&self, bench: &mut Bench) -> Connection {
        let to = SocketAddrV4::new(SERVER, PORT);
        let c = bench.net.host(self.host).connect(to, SocketOptions::default()).unwrap();
        pass(bench, Duration::from_millis(2));
        c
    }

    /// Connects, and says which test the connection is of.
    fn introduce(&self, bench: &mut Bench) -> Connection {
        let c = self.connect(bench);
        self.send(bench, c, COOKIE);
        c
    }

    fn send(&self, bench: &mut Bench, c: Connection, bytes: &[u8]) {
        bench.net.host(self.host).send(c, bytes);
        pass(bench, Duration::from_millis(2));
    }

    fn read(&self, bench: &mut Bench, c: Connection) -> Vec<u8> {
        let mut into = [0; 4096];
        let n = bench.net.host(self.host).receive(c, &mut into);
        into[..n].to_vec()
    }

    fn state(&self, bench: &mut Bench, c: Connection) -> State {
        bench.net.host(self.host).state(c)
    }
}

/// A server, and a peer that has done nothing yet.
fn met() -> (Bench, Rogue) {
    let mut bench = Bench::new(ServerConfig::default());
    bench.settle();
    let rogue = Rogue::new(&mut bench);
    (bench, rogue)
}

fn pass(bench: &mut Bench, time: Duration) {
    let limit = bench.now + time;
    bench.run(limit, |_| false);
}

fn message(json: &[u8]) -> Vec<u8> {
    [&u32::try_from(json.len()).unwrap().to_be_bytes(), json].concat()
}

/// A new client is served, and everything that others held comes back in time.
fn still_serves(bench: &mut Bench) {
    let n = bench.add_client(seconds(1));
    let limit = bench.now + Duration::from_secs(30);
    assert!(bench.run(limit, |b| b.guests[n].client.status().is_some()), "no service");
    let guest = &bench.guests[n];
    assert_eq!(guest.client.status(), Some(0), "{:?}", guest.log.errors());
    assert!(guest.log.ends()[0].streams[0].received.unwrap().bytes > 0);
}

/// After every timeout the server holds nothing.
fn gives_everything_back(bench: &mut Bench) {
    pass(bench, Duration::from_secs(300));
    assert_eq!(bench.server.deadline(bench.now), Time::NEVER, "something is still waited for");
}

#[test]
fn a_client_that_resets_after_any_number_of_messages() {
    let data = SocketOptions::default();
    for messages in 0..7 {
        let (mut bench, rogue) = met();
        let control = rogue.connect(&mut bench);
        let mut stream = None;
        let script: [&[u8]; 6] = [COOKIE, &message(PARAMS), b"", &[4], &message(RESULTS), &[16]];
        for (i, words) in script.iter().take(messages).enumerate() {
            if i == 2 {
                let to = SocketAddrV4::new(SERVER, PORT);
                let c = bench.net.host(rogue.host).connect(to, data).unwrap();
                pass(&mut bench, Duration::from_millis(2));
                rogue.send(&mut bench, c, COOKIE);
                rogue.send(&mut bench, c, &[7; 5000]);
                stream = Some(c);
            }
            rogue.send(&mut bench, control, words);
        }
        bench.net.host(rogue.host).abort(control);
        if let Some(c) = stream {
            bench.net.host(rogue.host).abort(c);
        }
        still_serves(&mut bench);
        gives_everything_back(&mut bench);
        let complaints = bench.server_log.errors();
        assert_eq!(complaints.len(), usize::from((1..5).contains(&messages)), "{messages}: {complaints:?}");
    }
}

#[test]
fn a_client_whose_machine_falls_silent_at_any_moment() {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
        for ms in [1, 2, 3, 4, 5, 500, 1001, 1002, 1003, 1004] {
            let mut bench = Bench::new(ServerConfig::default());
            bench.add_client(ClientConfig { direction, ..seconds(1) });
            bench.run(Time(ms * 1_000_000), |_| false);
            let host = bench.guests[0].host;
            bench.net.unplug(host);
            still_serves(&mut bench);
            gives_everything_back(&mut bench);
            // The client, too, comes to an end.
            assert!(bench.guests[0].client.status().is_some(), "{direction:?} {ms} ms");
        }
    }
}

#[test]
fn half_open_connections_and_port_scans() {
    let (mut bench, rogue) = met();
    let silent: Vec<_> = (0..600).map(|_| rogue.connect(&mut bench)).collect();
    let scan = rogue.connect(&mut bench);
    rogue.send(&mut bench, scan, b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\n\r\n");
    assert_eq!(rogue.state(&mut bench, scan), State::Closed);
    still_serves(&mut bench);
    pass(&mut bench, Duration::from_secs(11));
    for c in silent {
        assert_eq!(rogue.state(&mut bench, c), State::Closed);
    }
    gives_everything_back(&mut bench);
}

#[test]
fn an_unknown_cookie_waits_in_vain_but_not_for_ever() {
    let (mut bench, rogue) = met();
    let c = rogue.introduce(&mut bench);
    assert_eq!(rogue.read(&mut bench, c), [9]);
    pass(&mut bench, Duration::from_secs(12));
    assert_ne!(rogue.state(&mut bench, c), State::Open);
    assert!(bench.server_log.errors()[0].contains("sent no parameters"));
}

#[test]
fn more_streams_than_declared_are_turned_away() {
    let (mut bench, rogue) = met();
    let control = rogue.introduce(&mut bench);
    // Before there were parameters, and after the last that was declared.
    let early = rogue.introduce(&mut bench);
    rogue.send(&mut bench, control, &message(PARAMS));
    let first = rogue.introduce(&mut bench);
    let second = rogue.introduce(&mut bench);
    assert_eq!(rogue.read(&mut bench, control), [9, 10, 1, 2]);
    assert_eq!(rogue.state(&mut bench, early), State::Closed);
    assert_eq!(rogue.state(&mut bench, first), State::Open);
    assert_eq!(rogue.state(&mut bench, second), State::Closed);
    still_serves(&mut bench);
}

#[test]
fn cookies_that_overtake_each_other_do_not_turn_the_directions() {
    let (mut bench, rogue) = met();
    let control = rogue.introduce(&mut bench);
    rogue.send(&mut bench, control, &message(br#"{"tcp":true,"time":1,"parallel":1,"bidirectional":true}"#));
    let (first, second) = (rogue.connect(&mut bench), rogue.connect(&mut bench));
    rogue.send(&mut bench, second, COOKIE);
    rogue.send(&mut bench, first, COOKIE);
    // The first connection carries the client's data, the second the server's.
    assert_eq!(rogue.read(&mut bench, first), b"");
    assert_ne!(rogue.read(&mut bench, second), b"");
}

#[test]
fn refusals_carry_stock_error_numbers() {
    for (json, number) in [
        (&br#"{"udp":true,"time":1,"parallel":1,"len":1000,"bandwidth":1000000}"#[..], 131),
        (br#"{"sctp":true,"time":1,"parallel":1}"#, 18),
        (br#"{"tcp":true,"parallel":129}"#, 6),
        (br#"{"tcp":"yes","parallel":[]}"#, 114),
        (b"not json", 114),
    ] {
        let (mut bench, rogue) = met();
        let c = rogue.introduce(&mut bench);
        rogue.send(&mut bench, c, &message(json));
        assert_eq!(rogue.read(&mut bench, c), [9, 0xfe, 0, 0, 0, number, 0, 0, 0, 0]);
        pass(&mut bench, Duration::from_millis(2));
        assert_eq!(rogue.state(&mut bench, c), State::PeerClosed);
        still_serves(&mut bench);
    }
}

/// As a stock client does that cannot have a congestion control, or whose stream is reset.
#[test]
fn a_client_that_gives_up_is_not_turned_away() {
    let (mut bench, rogue) = met();
    let c = rogue.introduce(&mut bench);
    rogue.send(&mut bench, c, &message(PARAMS));
    assert_eq!(rogue.read(&mut bench, c), [9, 10]);
    rogue.send(&mut bench, c, &[16]);
    assert_eq!(rogue.read(&mut bench, c), b"", "nothing is left to be said");
    let complaints = bench.server_log.errors();
    assert!(complaints.len() == 1 && complaints[0].contains("gave up"), "{complaints:?}");
    still_serves(&mut bench);
}

/// A server that was held up finds data, the end of an interval and the end of the test at once.
#[test]
fn no_interval_is_without_length() {
    let (mut bench, rogue) = met();
    let control = rogue.introduce(&mut bench);
    rogue.send(&mut bench, control, &message(PARAMS));
    let data = rogue.introduce(&mut bench);
    bench.net.host(rogue.host).send(data, &[7; 5000]);
    bench.net.host(rogue.host).send(control, &[4]);
    bench.now = bench.now + Duration::from_secs(1);
    bench.settle();
    let intervals = bench.server_log.intervals();
    assert!(intervals.iter().all(|i| i.end > i.start), "{intervals:?}");
    assert_eq!(intervals.iter().map(|i| i.sum(false).0).sum::<u64>(), 5000, "{intervals:?}");
}

#[test]
fn oversized_messages_are_refused_by_their_length() {
    for length in [8193_u32, 1 << 20, u32::MAX] {
        let (mut bench, rogue) = met();
        let c = rogue.introduce(&mut bench);
        rogue.send(&mut bench, c, &length.to_be_bytes());
        assert_eq!(rogue.read(&mut bench, c)[..2], [9, 0xfe]);
        still_serves(&mut bench);
    }
}

#[test]
fn parameters_that_trickle_in_are_taken() {
    let (mut bench, rogue) = met();
    let c = rogue.connect(&mut bench);
    for b in COOKIE.iter().chain(&message(PARAMS)) {
        rogue.send(&mut bench, c, &[*b]);
    }
    assert_eq!(rogue.read(&mut bench, c), [9, 10]);
}

/// A valid session with some of its bytes changed, cut or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let valid = [COOKIE.as_slice(), &message(PARAMS), &[4], &message(RESULTS), &[16]].concat();
    let len = valid.len();
    let change = (0..len, any::<u8>(), 0..3_u8);
    proptest::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = valid.clone();
        for (at, value, how) in changes {
            let at = at % bytes.len().max(1);
            match how {
                0 => bytes[at] = value,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, value),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn garbage_on_the_port(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..5)) {
        let (mut bench, rogue) = met();
        let c = rogue.connect(&mut bench);
        for chunk in &chunks {
            rogue.send(&mut bench, c, chunk);
        }
        still_serves(&mut bench);
        gives_everything_back(&mut bench);
    }

    #[test]
    fn garbage_after_a_cookie(bytes in proptest::collection::vec(any::<u8>(), 0..300), params in any::<bool>()) {
        let (mut bench, rogue) = met();
        let c = rogue.introduce(&mut bench);
        if params {
            rogue.send(&mut bench, c, &message(PARAMS));
            let data = rogue.introduce(&mut bench);
            rogue.send(&mut bench, data, &bytes);
        }
        rogue.send(&mut bench, c, &bytes);
        still_serves(&mut bench);
        gives_everything_back(&mut bench);
    }

    #[test]
    fn mutated_sessions(bytes in mutated(), cuts in proptest::collection::vec(1..80_usize, 0..8), closes in any::<bool>()) {
        let (mut bench, rogue) = met();
        let c = rogue.connect(&mut bench);
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rogue.send(&mut bench, c, now);
            rest = later;
        }
        rogue.introduce(&mut bench);
        rogue.send(&mut bench, c, rest);
        if closes {
            bench.net.host(rogue.host).close(c);
        }
        still_serves(&mut bench);
        gives_everything_back(&mut bench);
    }
}
