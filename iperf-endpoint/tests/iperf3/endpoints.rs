//! Two endpoints on a virtual cable: protocol, stack and rings together, in virtual time.

use crate::bench::Log;
use iperf_endpoint::config::{ClientConfig, Config, Direction, Mode, ServerConfig, Until};
use iperf_endpoint::{Endpoint, Event};
use ports::offload::Offloads;
use ports::{App, Capabilities, Mac, Port, Time, virtual_port};
use std::net::Ipv4Addr;
use std::time::Duration;

struct Host {
    endpoint: Endpoint,
    port: Port,
    log: Log,
    deadline: Time,
    done: bool,
}

impl Host {
    fn new(ip: &str, mode: Mode, port: Port, capabilities: Capabilities) -> Self {
        let log = Log::default();
        let config = Config { address: ip.parse().unwrap(), gateway: None, mac: None, mtu: 1500, mode };
        let endpoint = Endpoint::new(config, Mac::local(ip), capabilities, log.sink()).unwrap();
        Self { endpoint, port, log, deadline: Time::ZERO, done: false }
    }

    fn poll(&mut self, now: Time) -> bool {
        if self.done {
            return false;
        }
        let progress = self.endpoint.poll(&mut self.port, now);
        self.port.tx.flush();
        (self.deadline, self.done) = (progress.deadline, progress.done);
        progress.busy
    }
}

struct Pair {
    client: Host,
    server: Host,
    now: Time,
}

impl Pair {
    fn new(client: ClientConfig, capabilities: Capabilities) -> Self {
        let (a, b) = virtual_port::pair("endpoints", 256, capabilities).unwrap();
        let server = ServerConfig { one_off: true, ..ServerConfig::default() };
        Self {
            client: Host::new("10.0.0.2/24", Mode::Client(client), a, capabilities),
            server: Host::new("10.0.0.1/24", Mode::Server(server), b, capabilities),
            now: Time::ZERO,
        }
    }

    /// One pass of both. Every pass takes 20 us at least, so that data takes time.
    fn pass(&mut self) {
        let busy = self.client.poll(self.now) | self.server.poll(self.now);
        let next = if self.client.done {
            self.server.deadline
        } else {
            self.client.deadline.min(self.server.deadline)
        };
        let least = self.now + Duration::from_micros(20);
        self.now = if busy { least } else { next.max(least) };
    }

    fn finish(&mut self) {
        let limit = Time::from_secs(60);
        while !(self.client.done && self.server.done) && self.now < limit {
            self.pass();
        }
        assert_eq!(self.client.log.errors(), Vec::<String>::new());
        assert_eq!(self.server.log.errors(), Vec::<String>::new());
        assert!(self.client.done && self.server.done, "not done at {:?}", self.now);
    }
}

fn client() -> ClientConfig {
    let until = Until::Time(Duration::from_secs(1));
    ClientConfig { until, bitrate: 50_000_000, ..ClientConfig::new(Ipv4Addr::new(10, 0, 0, 1)) }
}

#[test]
fn every_direction_with_and_without_offloads() {
    let plain = Capabilities::wire(1500);
    let csum = Capabilities { offloads: Offloads::CSUM, ..plain };
    for capabilities in [plain, csum, Capabilities::all(1500)] {
        for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
            let mut pair = Pair::new(ClientConfig { direction, parallel: 2, ..client() }, capabilities);
            pair.finish();
            let end = &pair.client.log.ends()[0];
            for stream in &end.streams {
                let bytes = stream.received.unwrap().bytes;
                assert!(bytes.abs_diff(6_250_000) < 62_500, "{direction:?} {capabilities:?}: {bytes}");
                assert_eq!(stream.retransmits, Some(0));
            }
        }
    }
}

#[test]
fn bytes_at_full_speed_arrive_whole() {
    let until = Until::Bytes(64 << 20);
    let mut pair =
        Pair::new(ClientConfig { until, bitrate: 0, parallel: 4, ..client() }, Capabilities::all(1500));
    pair.finish();
    let end = &pair.client.log.ends()[0];
    assert_eq!(end.streams.iter().map(|s| s.received.unwrap().bytes).sum::<u64>(), 64 << 20);
}

#[test]
fn nobody_answers() {
    let mut pair =
        Pair::new(ClientConfig { server: Ipv4Addr::new(10, 0, 0, 9), ..client() }, Capabilities::wire(1500));
    let mut last = pair.now;
    while !pair.client.done && pair.now < Time::from_secs(30) {
        last = pair.now;
        pair.pass();
    }
    let why = "unable to connect to server 10.0.0.9:5201: no answer in 10 s, not even by ARP from 10.0.0.9 (is it on this network?)";
    assert_eq!(pair.client.log.errors(), [why]);
    assert_eq!(pair.client.log.events().last(), Some(&Event::Done { status: 1 }));
    assert!(last < Time::from_secs(10) + Duration::from_millis(10), "ended at {last:?}");
}

#[test]
fn nobody_listens() {
    let mut pair = Pair::new(ClientConfig { port: 5999, ..client() }, Capabilities::wire(1500));
    while !pair.client.done && pair.now < Time::from_secs(30) {
        pair.pass();
    }
    assert!(pair.client.log.errors()[0].contains("connection refused"), "{:?}", pair.client.log.errors());
}

/// The server asks for the data connections, and falls silent.
#[test]
fn a_data_connection_that_nobody_answers_is_not_refused() {
    let mut pair = Pair::new(client(), Capabilities::wire(1500));
    while !pair.client.log.events().iter().any(|e| matches!(e, Event::Connecting { .. })) {
        pair.pass();
    }
    pair.server.poll(pair.now);
    (pair.server.done, pair.server.deadline) = (true, Time::NEVER);
    while !pair.client.done && pair.now < Time::from_secs(30) {
        pair.pass();
    }
    assert_eq!(pair.client.log.errors(), ["unable to connect stream 1: timed out (no answer in 10 s)"]);
}

#[test]
fn a_stop_ends_either_side_within_a_second() {
    for stop_client in [true, false] {
        let mut pair = Pair::new(
            ClientConfig { until: Until::Time(Duration::from_secs(9)), ..client() },
            Capabilities::wire(1500),
        );
        while pair.now < Time(1_500_000_000) {
            pair.pass();
        }
        let host = if stop_client { &mut pair.client } else { &mut pair.server };
        host.endpoint.stop(pair.now);
        host.deadline = pair.now;
        while !(pair.client.done && (pair.server.done || stop_client)) && pair.now < Time(2_600_000_000) {
            pair.pass();
        }
        assert!(pair.client.done, "{:?}", pair.now);
        let who = if stop_client { "the client has terminated" } else { "the server has terminated" };
        assert_eq!(pair.client.log.errors(), [who]);
        assert_eq!(pair.client.log.ends().len(), 1);
        assert_eq!(pair.server.log.ends().len(), 1);
    }
}

#[test]
fn bad_configurations_are_refused() {
    let mode = || Mode::Client(ClientConfig { parallel: 0, ..client() });
    let config =
        Config { address: "10.0.0.2/24".parse().unwrap(), gateway: None, mac: None, mtu: 1500, mode: mode() };
    let error =
        Endpoint::new(config, Mac::local("x"), Capabilities::wire(1500), Box::new(|_| ())).err().unwrap();
    assert_eq!(error.to_string(), "-P: 0 is out of range (try: 1 to 128 streams)");
}
