//! Our client against stock servers on 127.0.0.1, over the kernel's TCP.

use crate::bench::Log;
use crate::kernel::Kernel;
use crate::stock::{Stock, bytes, eventually, free_port, listens};
use iperf_endpoint::config::{ClientConfig, Direction, Until};
use iperf_endpoint::cpu::CpuTime;
use iperf_endpoint::iperf3::Client;
use ports::Time;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Our client against a stock server with these arguments; what the client logged and the server printed.
pub(crate) fn against_stock_server(
    config: impl Fn(ClientConfig) -> ClientConfig,
    args: &[&str],
) -> (Log, String) {
    let port = free_port();
    let text = port.to_string();
    let stock = Stock::start(&[&["-s", "-1", "-p", &text], args].concat());
    let base = ClientConfig {
        port,
        until: Until::Time(Duration::from_secs(1)),
        ..ClientConfig::new(Ipv4Addr::LOCALHOST)
    };
    let config = config(base);
    listens(port);
    let (log, status) = run_client(config);
    assert_eq!(log.errors(), Vec::<String>::new());
    assert_eq!(status, 0);
    (log, stock.finish().1)
}

/// Our client to its end: what it logged, and its status.
fn run_client(config: ClientConfig) -> (Log, i32) {
    let (log, mut kernel) = (Log::default(), Kernel::new());
    let mut client = Client::new(config, u64::from(free_port()), CpuTime::of_thread, log.sink());
    loop {
        if let Some(status) = client.status() {
            return (log, status);
        }
        if !client.poll(&mut kernel, Time::now()) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

#[test]
fn a_stock_server_receives_and_sends() {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
        for parallel in [1, 8] {
            let (log, out) = against_stock_server(|c| ClientConfig { direction, parallel, ..c }, &["-J"]);
            let json: Value = serde_json::from_str(&out).unwrap();
            assert!(json.get("error").is_none(), "{direction:?}: {}", json["error"]);
            let end = log.ends()[0].clone();
            let streams = json["end"]["streams"].as_array().unwrap();
            assert_eq!(streams.len(), end.streams.len());
            for (theirs, ours) in streams.iter().zip(&end.streams) {
                let (theirs, ours) = if ours.sender {
                    (&theirs["receiver"], ours.received.unwrap())
                } else {
                    assert!(ours.retransmits.is_some());
                    (&theirs["sender"], ours.sent.unwrap())
                };
                assert_eq!(bytes(theirs), ours.bytes);
                assert!(ours.bytes > 0);
            }
        }
    }
}

#[test]
fn a_stock_server_takes_every_parameter() {
    let second = Duration::from_secs(1);
    let both = Direction::Both;
    let configs: [fn(ClientConfig) -> ClientConfig; 6] = [
        |c| ClientConfig { until: Until::Bytes(20 << 20), ..c },
        |c| ClientConfig { until: Until::Blocks(100), length: 1000, ..c },
        |c| ClientConfig { until: Until::Bytes(20 << 20), direction: Direction::Reverse, ..c },
        |c| ClientConfig { omit: Duration::from_secs(1), ..c },
        |c| ClientConfig { bitrate: 40_000_000, ..c },
        |c| ClientConfig {
            bitrate: 40_000_000,
            burst: 2,
            window: Some(1 << 18),
            mss: Some(1400),
            no_delay: true,
            ..c
        },
    ];
    for config in configs {
        let (log, out) = against_stock_server(config, &["-J"]);
        let json: Value = serde_json::from_str(&out).unwrap();
        assert!(json.get("error").is_none(), "{}", json["error"]);
        let end = log.ends()[0].streams[0];
        let config = config(ClientConfig::new(Ipv4Addr::LOCALHOST));
        if let Until::Bytes(n) = config.until {
            assert!(end.received.unwrap().bytes.max(end.sent.unwrap().bytes) >= n);
        }
        if config.bitrate > 0 {
            let sent = end.sent.unwrap().bytes;
            // 5 MB, on a machine that nobody shares.
            assert!((1_000_000..50_000_000).contains(&sent), "{sent}");
        }
        if config.omit == second {
            assert!(log.intervals()[0].omitted && !log.intervals()[1].omitted);
        }
    }
    let (log, _) = against_stock_server(|c| ClientConfig { direction: both, parallel: 3, ..c }, &[]);
    assert_eq!(log.ends()[0].streams.len(), 6);
}

#[test]
fn a_busy_stock_server_is_named() {
    let port = free_port();
    let text = port.to_string();
    let _stock = Stock::start(&["-s", "-p", &text]);
    listens(port);
    let start = || Stock::start(&["-c", "127.0.0.1", "-p", &text, "-t", "99", "-b", "1M"]);
    let mut other = start();
    let config = ClientConfig { port, until: Until::Bytes(1), ..ClientConfig::new(Ipv4Addr::LOCALHOST) };
    eventually("it is never busy", || {
        if !other.is_running() {
            other = start(); // which came while the server was busy with us
        }
        let (log, status) = run_client(config.clone());
        let errors = log.errors().concat();
        let busy = errors.contains("is busy running a test");
        // Between two tests it listens anew, and for a moment not at all.
        assert!(status == 0 || busy || errors.contains("connection refused"), "{errors}");
        busy
    });
}
