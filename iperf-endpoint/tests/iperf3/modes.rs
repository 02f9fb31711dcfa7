//! Our client against our server in every mode, in virtual time.

use crate::bench::{Bench, Log, seconds};
use iperf_endpoint::config::{ClientConfig, Direction, ServerConfig, Until};
use iperf_endpoint::event::{Event, Interval, StreamEnd, TestEnd};
use iperf_endpoint::loopback::Network;
use ports::Time;
use std::time::Duration;

fn run(config: ClientConfig) -> Bench {
    let mut bench = Bench::new(ServerConfig::default());
    bench.add_client(config);
    bench.finish(300);
    // The server is through with it a moment later.
    let limit = bench.now + Duration::from_secs(2);
    bench.run(limit, |b| b.net.next_arrival() == Time::NEVER);
    assert_eq!(bench.server_log.errors(), Vec::<String>::new());
    assert_eq!(bench.net.live_connections(), 0, "connections were not given back");
    bench
}

fn end(log: &Log) -> TestEnd {
    let ends = log.ends();
    assert_eq!(ends.len(), 1);
    ends[0].clone()
}

/// The counted intervals of each stream come to what the stream's end says we moved.
fn intervals_add_up(log: &Log) {
    let end = end(log);
    for (i, stream) in end.streams.iter().enumerate() {
        let counted = |iv: &Interval| if iv.omitted { 0 } else { iv.streams[i].bytes };
        let sum: u64 = log.intervals().iter().map(counted).sum();
        let ours = if stream.sender { stream.sent } else { stream.received };
        assert_eq!(Some(sum), ours.map(|t| t.bytes), "stream {i}");
    }
}

fn check_pair(bench: &Bench) -> (Vec<StreamEnd>, Vec<StreamEnd>) {
    let client = &bench.guests[0].log;
    intervals_add_up(client);
    intervals_add_up(&bench.server_log);
    let (c, s) = (end(client).streams, end(&bench.server_log).streams);
    assert_eq!(c.len(), s.len());
    for (c, s) in c.iter().zip(&s) {
        assert_eq!(c.sender, !s.sender);
        // The client has both sides, the server its own only; where both tell, they agree.
        if c.sender {
            assert_eq!(c.received.map(|t| t.bytes), s.received.map(|t| t.bytes));
            assert!(s.sent.is_none());
        } else {
            assert_eq!(c.sent.map(|t| t.bytes), s.sent.map(|t| t.bytes));
        }
        let (received, sent) = (c.received.unwrap().bytes, c.sent.unwrap().bytes);
        // What was under way when the omitted part ended was sent in it and received after it.
        let omitted = bench.guests[0].log.intervals().iter().any(|i| i.omitted);
        assert!(received > 0 && (received <= sent || omitted), "{received} of {sent}");
    }
    (c, s)
}

#[test]
fn forward() {
    let bench = run(seconds(3));
    let (c, _) = check_pair(&bench);
    let received = c[0].received.unwrap();
    let gigabit = 125_000_000.0 * 3.0;
    assert!((received.bytes as f64 - gigabit).abs() < gigabit * 0.02, "{received:?}");
    assert!((received.seconds - 3.0).abs() < 0.01, "{received:?}");
    let log = &bench.guests[0].log;
    assert_eq!(log.intervals().len(), 3);
    assert_eq!(log.events().last(), Some(&Event::Done { status: 0 }));
}

#[test]
fn reverse() {
    let bench = run(ClientConfig { direction: Direction::Reverse, ..seconds(2) });
    let (c, s) = check_pair(&bench);
    assert!(!c[0].sender && s[0].sender);
    assert_eq!(c[0].retransmits, Some(0));
}

#[test]
fn both_ways_with_parallel_streams() {
    let bench = run(ClientConfig { direction: Direction::Both, parallel: 3, ..seconds(2) });
    let (c, _) = check_pair(&bench);
    assert_eq!(c.iter().map(|s| s.sender).collect::<Vec<_>>(), [true, true, true, false, false, false]);
}

#[test]
fn eight_streams_share_fairly() {
    let bench = run(ClientConfig { parallel: 8, ..seconds(2) });
    let (c, _) = check_pair(&bench);
    let bytes: Vec<_> = c.iter().map(|s| s.received.unwrap().bytes).collect();
    let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
    assert!(least * 2 > *most, "{bytes:?}");
}

#[test]
fn as_many_streams_as_there_may_be() {
    let bench = run(ClientConfig { direction: Direction::Both, parallel: 128, ..seconds(1) });
    assert_eq!(check_pair(&bench).0.len(), 256);
}

#[test]
fn a_number_of_bytes_arrives_whole() {
    for direction in [Direction::Forward, Direction::Reverse] {
        for parallel in [1, 3] {
            let n = 10 << 20;
            let bench = run(ClientConfig { direction, parallel, until: Until::Bytes(n), ..seconds(1) });
            let (c, _) = check_pair(&bench);
            let received: u64 = c.iter().map(|s| s.received.unwrap().bytes).sum();
            assert_eq!(received, n, "{direction:?} {parallel}");
        }
    }
}

#[test]
fn a_number_of_blocks() {
    let until = Until::Blocks(100);
    let bench = run(ClientConfig { until, length: 1000, direction: Direction::Both, ..seconds(1) });
    let (c, _) = check_pair(&bench);
    assert!(c.iter().any(|s| s.received.unwrap().bytes == 100_000));
}

#[test]
fn bytes_after_an_omitted_part() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let omit = Duration::from_secs(1);
        let bench = run(ClientConfig { direction, omit, until: Until::Bytes(50 << 20), ..seconds(1) });
        let (c, _) = check_pair(&bench);
        assert!(c[0].received.unwrap().bytes >= 50 << 20 || direction == Direction::Forward);
    }
}

#[test]
fn the_omitted_part_is_left_out() {
    let bench = run(ClientConfig { omit: Duration::from_secs(2), ..seconds(3) });
    check_pair(&bench);
    let intervals = bench.guests[0].log.intervals();
    assert_eq!(intervals.iter().map(|i| i.omitted).collect::<Vec<_>>(), [true, true, false, false, false]);
    let spans: Vec<_> = intervals.iter().map(|i| (i.start, i.end)).collect();
    assert_eq!(spans, [(0.0, 1.0), (1.0, 2.0), (0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]);
    let end = end(&bench.guests[0].log);
    assert_eq!(end.streams[0].sent.unwrap().seconds, 3.0);
}

#[test]
fn a_rate_is_kept_within_one_percent() {
    for (direction, bitrate, burst) in [
        (Direction::Forward, 1_000_000, 0),
        (Direction::Forward, 10_000_000, 0),
        (Direction::Reverse, 123_456_789, 0),
        (Direction::Both, 400_000_000, 0),
        (Direction::Forward, 100_000_000, 2),
    ] {
        let bench = run(ClientConfig { direction, bitrate, burst, length: 8192, ..seconds(5) });
        let (c, _) = check_pair(&bench);
        for stream in c {
            let rate = stream.received.unwrap().bytes as f64 * 8.0 / 5.0;
            let off = (rate / bitrate as f64 - 1.0).abs();
            assert!(off < 0.01, "{rate} for {bitrate}");
        }
    }
}

#[test]
fn a_paced_sender_does_not_burst() {
    // At 10 Mbit/s a segment is due every 1.16 ms: no interval of 100 ms may be off by more than one.
    let interval = Duration::from_millis(100);
    let bench = run(ClientConfig { bitrate: 10_000_000, interval, ..seconds(2) });
    for i in bench.guests[0].log.intervals() {
        let bytes = i.streams[0].bytes;
        assert!(bytes.abs_diff(125_000) <= 1448, "{bytes} bytes in {}..{}", i.start, i.end);
    }
}

#[test]
fn intervals_of_any_length() {
    for (ms, expected) in [(0, 1), (500, 4), (700, 3), (60_000, 1)] {
        let interval = Duration::from_millis(ms);
        let bench = run(ClientConfig { interval, ..seconds(2) });
        check_pair(&bench);
        assert_eq!(bench.guests[0].log.intervals().len(), expected, "-i {ms} ms");
    }
}

#[test]
fn window_and_segment_size_reach_the_sockets() {
    let net = Network::new(Duration::from_millis(10), 1_000_000_000);
    let mut bench = Bench::with_network(ServerConfig::default(), net);
    // 64 KiB a round trip of 20 ms are 26 Mbit/s.
    bench.add_client(ClientConfig { window: Some(65_536), ..seconds(2) });
    bench.add_client(ClientConfig { window: Some(65_536), direction: Direction::Reverse, ..seconds(2) });
    bench.finish(60);
    for g in &bench.guests {
        let rate = end(&g.log).streams[0].received.unwrap().bytes as f64 * 4.0;
        assert!((20e6..27e6).contains(&rate), "{rate}");
    }
}

#[test]
fn several_clients_at_once_and_one_after_another() {
    let mut bench = Bench::new(ServerConfig::default());
    for n in 0..5 {
        let direction = [Direction::Forward, Direction::Reverse, Direction::Both][n % 3];
        bench.add_client(ClientConfig { direction, parallel: 2, ..seconds(1 + n as u64) });
    }
    bench.finish(60);
    bench.add_client(seconds(1));
    bench.finish(60);
    bench.run(Time::from_secs(70), |_| false);
    assert_eq!(bench.server_log.ends().len(), 6);
    assert_eq!(bench.server_log.errors(), Vec::<String>::new());
    // Tests that ran at the same time do not share numbers in brackets.
    let mut live = std::collections::BTreeMap::new();
    for event in bench.server_log.events() {
        match event {
            Event::Connected { test, socket, .. } => assert_eq!(live.insert(socket, test), None),
            Event::TestEnd(t) => live.retain(|_, test| *test != t.test),
            _ => {}
        }
    }
}

#[test]
fn one_off_serves_one_test_and_refuses_others() {
    let mut bench = Bench::new(ServerConfig { one_off: true, ..ServerConfig::default() });
    bench.add_client(seconds(3));
    assert!(!bench.run(Time::from_secs(1), |_| false));
    bench.add_client(seconds(1));
    let over = |b: &Bench| b.guests.iter().all(|g| g.client.status().is_some());
    assert!(bench.run(Time::from_secs(20), |b| b.server.status().is_some() && over(b)));
    assert_eq!(bench.server.status(), Some(0));
    assert_eq!(bench.guests[0].client.status(), Some(0));
    assert_eq!(bench.guests[1].client.status(), Some(1));
    assert!(bench.guests[1].log.errors()[0].contains("busy"));
}

#[test]
fn an_interrupted_client_reports_what_it_has() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.add_client(seconds(10));
    bench.run(Time(2_500_000_000), |_| false);
    bench.guests[0].client.stop();
    assert!(bench.run(Time(3_500_000_000), |b| b.guests[0].client.status().is_some()));
    assert_eq!(bench.guests[0].client.status(), Some(1));
    bench.run(Time(3_500_000_000), |_| false);
    let log = &bench.guests[0].log;
    assert_eq!(log.errors(), ["the client has terminated"]);
    assert!((end(log).streams[0].sent.unwrap().seconds - 2.5).abs() < 0.01);
    assert_eq!(end(log).streams[0].received, None);
    intervals_add_up(log);
    assert_eq!(bench.server_log.errors(), ["the client has terminated"]);
    intervals_add_up(&bench.server_log);
}

#[test]
fn an_interrupted_server_tells_its_clients() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.add_client(seconds(10));
    bench.add_client(ClientConfig { direction: Direction::Reverse, ..seconds(10) });
    bench.run(Time(2_500_000_000), |_| false);
    bench.server.stop();
    let over = |b: &Bench| b.guests.iter().all(|g| g.client.status().is_some());
    assert!(bench.run(Time(3_500_000_000), |b| b.server.status().is_some() && over(b)));
    assert_eq!(bench.server.status(), Some(1));
    assert_eq!(bench.server_log.ends().len(), 2);
    for g in &bench.guests {
        assert_eq!(g.client.status(), Some(1));
        assert_eq!(g.log.errors(), ["the server has terminated"]);
        intervals_add_up(&g.log);
    }
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.run(Time::from_secs(1), |_| false);
    bench.server.stop();
    assert!(bench.run(Time(1_000_000_001), |b| b.server.status() == Some(0)));
}
