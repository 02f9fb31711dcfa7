//! Stock iperf3 against our protocol on 127.0.0.1, over the kernel's TCP.

use crate::bench::Log;
use crate::kernel::Kernel;
use iperf_endpoint::config::{ClientConfig, Direction, ServerConfig, Until};
use iperf_endpoint::cpu::CpuTime;
use iperf_endpoint::event::TestEnd;
use iperf_endpoint::iperf3::{Client, Server};
use ports::Time;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A stock process that does not outlive the test.
struct Stock(Option<Child>);

impl Stock {
    fn start(args: &[&str]) -> Self {
        let child = Command::new("iperf3").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Some(child.expect("stock iperf3 is needed (try: apt-get install iperf3)")))
    }

    fn is_running(&mut self) -> bool {
        self.0.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(None)))
    }

    /// Exit status, standard output, standard error.
    fn finish(mut self) -> (Option<i32>, String, String) {
        let out = self.0.take().unwrap().wait_with_output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) struct OurServer {
    kernel: Kernel,
    server: Server,
    pub(crate) log: Log,
    port: u16,
}

impl OurServer {
    pub(crate) fn new(one_off: bool) -> Self {
        let (log, port) = (Log::default(), free_port());
        let config = ServerConfig { port, one_off, ..ServerConfig::default() };
        let server = Server::new(config, CpuTime::of_thread, log.sink());
        let mut ours = Self { kernel: Kernel::new(), server, log, port };
        ours.poll();
        ours
    }

    fn poll(&mut self) {
        if !self.server.poll(&mut self.kernel, Time::now()) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn client(&self, args: &[&str]) -> Stock {
        let port = self.port.to_string();
        Stock::start(&[&["-c", "127.0.0.1", "-p", &port], args].concat())
    }

    /// Runs a stock client to its end; its exit status and output.
    pub(crate) fn run(&mut self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut stock = self.client(args);
        while stock.is_running() {
            self.poll();
        }
        for _ in 0..20 {
            self.poll();
        }
        stock.finish()
    }

    /// Runs a stock client with `-J`, which must succeed.
    fn run_json(&mut self, args: &[&str]) -> Value {
        let (status, out, err) = self.run(&[args, &["-J"]].concat());
        let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {err}"));
        assert_eq!(status, Some(0));
        assert!(json.get("error").is_none(), "{args:?}: {}", json["error"]);
        json
    }

    fn end(&self) -> TestEnd {
        self.log.ends().last().unwrap().clone()
    }
}

fn bytes(v: &Value) -> u64 {
    v["bytes"].as_u64().unwrap()
}

#[test]
fn a_stock_client_sends() {
    let mut ours = OurServer::new(false);
    let json = ours.run_json(&["-t", "1"]);
    assert_eq!(ours.log.errors(), Vec::<String>::new());
    let received = bytes(&json["end"]["sum_received"]);
    assert!(received > 0);
    assert_eq!(Some(received), ours.end().streams[0].received.map(|t| t.bytes));
    assert_eq!(json["end"]["receiver_tcp_congestion"], "cubic");
    assert!((json["end"]["sum_received"]["seconds"].as_f64().unwrap() - 1.0).abs() < 0.2);
}

#[test]
fn a_stock_client_receives() {
    let mut ours = OurServer::new(false);
    let json = ours.run_json(&["-t", "1", "-R"]);
    assert_eq!(ours.log.errors(), Vec::<String>::new());
    let sent = bytes(&json["end"]["sum_sent"]);
    assert_eq!(Some(sent), ours.end().streams[0].sent.map(|t| t.bytes));
    assert_eq!(json["end"]["sum_sent"]["retransmits"], 0);
    assert!(bytes(&json["end"]["sum_received"]) > 0);
    assert_eq!(json["end"]["sender_tcp_congestion"], "cubic");
}

#[test]
fn a_stock_client_does_both() {
    let mut ours = OurServer::new(false);
    let json = ours.run_json(&["-t", "1", "--bidir", "-P", "2"]);
    assert_eq!(ours.log.errors(), Vec::<String>::new());
    let end = &json["end"];
    for sum in ["sum_sent", "sum_received", "sum_sent_bidir_reverse", "sum_received_bidir_reverse"] {
        assert!(bytes(&end[sum]) > 0, "{sum}: {end}");
    }
    assert_eq!(end["sum_sent_bidir_reverse"]["retransmits"], 0);
    assert_eq!(ours.end().streams.iter().map(|s| s.sender).collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn a_stock_client_uses_eight_streams() {
    let mut ours = OurServer::new(false);
    let json = ours.run_json(&["-t", "1", "-P", "8"]);
    let streams = json["end"]["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 8);
    for (theirs, ours) in streams.iter().zip(&ours.end().streams) {
        assert_eq!(Some(bytes(&theirs["receiver"])), ours.received.map(|t| t.bytes));
    }
}

#[test]
fn a_stock_client_counts_bytes_and_blocks_and_omits() {
    let mut ours = OurServer::new(false);
    for (args, least) in [
        (&["-n", "20M"][..], 20 << 20),
        (&["-n", "20M", "-R"], 20 << 20),
        (&["-k", "64", "-l", "64K", "-R"], 1),
        (&["-t", "1", "-O", "1"], 1),
        (&["-t", "1", "-O", "1", "-R"], 1),
        (&["-t", "1", "-b", "40M"], 4_500_000),
        (&["-t", "1", "-b", "40M", "-R"], 4_900_000),
        (&["-t", "1", "-w", "256K", "-M", "1400", "-N", "-i", "0.5"], 1),
    ] {
        let json = ours.run_json(args);
        let sent = bytes(&json["end"]["sum_sent"]);
        assert!(sent >= least, "{args:?}: {sent}");
        assert!(!args.contains(&"40M") || sent < 5_600_000, "{args:?}: {sent}");
    }
    assert_eq!(ours.log.errors(), Vec::<String>::new());
    assert_eq!(ours.log.ends().len(), 8);
}

#[test]
fn several_stock_clients_at_once() {
    let mut ours = OurServer::new(false);
    let mut clients = [
        ours.client(&["-t", "1", "-J"]),
        ours.client(&["-t", "1", "-R", "-J"]),
        ours.client(&["-t", "2", "--bidir", "-P", "2", "-J"]),
    ];
    while clients.iter_mut().any(Stock::is_running) {
        ours.poll();
    }
    for client in clients {
        let (_, out, _) = client.finish();
        let json: Value = serde_json::from_str(&out).unwrap();
        assert!(json.get("error").is_none(), "{}", json["error"]);
        assert!(bytes(&json["end"]["sum_received"]) > 0);
    }
    assert_eq!(ours.log.errors(), Vec::<String>::new());
}

#[test]
fn a_stock_client_understands_refusals() {
    let mut ours = OurServer::new(false);
    let (status, _, err) = ours.run(&["-u", "-t", "1"]);
    assert_eq!(status, Some(1));
    assert_eq!(err, "iperf3: error - protocol does not exist\n");
    // The server goes on.
    ours.run_json(&["-n", "1M"]);
}

#[test]
fn one_off_ends_after_a_stock_client() {
    let mut ours = OurServer::new(true);
    ours.run_json(&["-n", "1M"]);
    for _ in 0..1000 {
        ours.poll();
    }
    assert_eq!(ours.server.status(), Some(0));
}

#[test]
fn stock_clients_that_are_killed_leave_the_server_serving() {
    let mut ours = OurServer::new(false);
    for args in [&["-t", "9"][..], &["-t", "9", "-R"], &["-t", "9", "--bidir"]] {
        let mut victim = ours.client(args);
        let until = Time::now() + Duration::from_millis(300);
        while Time::now() < until {
            ours.poll();
        }
        assert!(victim.is_running());
        drop(victim);
        ours.run_json(&["-n", "1M"]);
    }
    assert_eq!(ours.log.errors().len(), 3, "{:?}", ours.log.errors());
    assert!(ours.log.errors().iter().all(|e| e.contains("closed the control connection unexpectedly")));
}

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
    let give_up = Time::now() + Duration::from_secs(5);
    loop {
        let log = Log::default();
        let mut kernel = Kernel::new();
        let mut client = Client::new(config.clone(), u64::from(port), CpuTime::of_thread, log.sink());
        while client.status().is_none() {
            if !client.poll(&mut kernel, Time::now()) {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        let starting = log.errors().first().is_some_and(|e| e.contains("refused")) && Time::now() < give_up;
        if starting {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        assert_eq!(log.errors(), Vec::<String>::new());
        assert_eq!(client.status(), Some(0));
        return (log, stock.finish().1);
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
            // Real time on a shared machine: the exact rate is tested in virtual time.
            assert!((2_500_000..5_400_000).contains(&sent), "{sent}");
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
    std::thread::sleep(Duration::from_millis(300));
    let _other = Stock::start(&["-c", "127.0.0.1", "-p", &text, "-t", "5", "-b", "1M"]);
    std::thread::sleep(Duration::from_millis(300));
    let (log, mut kernel) = (Log::default(), Kernel::new());
    let config = ClientConfig { port, ..ClientConfig::new(Ipv4Addr::LOCALHOST) };
    let mut client = Client::new(config, 3, CpuTime::of_thread, log.sink());
    while client.status().is_none() {
        client.poll(&mut kernel, Time::now());
    }
    assert_eq!(client.status(), Some(1));
    assert!(log.errors()[0].contains("is busy running a test"), "{:?}", log.errors());
}
