//! Stock iperf3 against our protocol on 127.0.0.1, over the kernel's TCP.

use crate::bench::Log;
use crate::kernel::Kernel;
use iperf_endpoint::config::{ClientConfig, Direction, ServerConfig, Until};
use iperf_endpoint::cpu::CpuTime;
use iperf_endpoint::event::{Event, TestEnd};
use iperf_endpoint::iperf3::{Client, Server};
use ports::Time;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `done`.
#[track_caller]
pub(crate) fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{otherwise}");
    }
}

/// A port that no other test is given, and no connection: these are below where Linux takes ports of its own choice from.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 20_000;
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .take(20_000)
        .find(free)
        .expect("a free port")
}

/// Waits until somebody listens on a port: asking by a connection would be taken for a client.
#[track_caller]
pub(crate) fn listens(port: u16) {
    let local = format!(":{port:04X}");
    eventually("nobody listens", || {
        std::thread::sleep(Duration::from_millis(2));
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
            let table = std::fs::read_to_string(table).unwrap_or_default();
            let mut sockets = table.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
            sockets.any(|s| s.len() > 3 && s[1].ends_with(&local) && s[3] == "0A")
        })
    });
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
        self.settle();
        stock.finish()
    }

    /// Polls until every test that began is over: the kernel delivers a client's last words when it has a core.
    fn settle(&mut self) {
        self.until("a test does not end", |events| {
            let count = |of: fn(&&Event) -> bool| events.iter().filter(of).count();
            count(|e| matches!(e, Event::Accepted { .. })) == count(|e| matches!(e, Event::Finished { .. }))
        });
    }

    /// Polls until `done` says so of what was logged.
    fn until(&mut self, otherwise: &str, done: impl Fn(&[Event]) -> bool) {
        eventually(otherwise, || {
            self.poll();
            done(&self.log.events())
        });
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
    let seconds = json["end"]["sum_received"]["seconds"].as_f64().unwrap();
    assert!((0.9..10.0).contains(&seconds), "{seconds}"); // real time, on a shared machine
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
        (&["-t", "1", "-b", "40M"], 1_000_000),
        (&["-t", "1", "-b", "40M", "-R"], 1_000_000),
        (&["-t", "1", "-w", "256K", "-M", "1400", "-N", "-i", "0.5"], 1),
    ] {
        let json = ours.run_json(args);
        let sent = bytes(&json["end"]["sum_sent"]);
        assert!(sent >= least, "{args:?}: {sent}");
        // 5 MB, on a machine that nobody shares; without a rate it is gigabytes. The exact rate is tested in virtual time.
        assert!(!args.contains(&"40M") || sent < 50_000_000, "{args:?}: {sent}");
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
    ours.settle();
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
    ours.until("it goes on", |events| matches!(events.last(), Some(Event::Done { .. })));
    assert_eq!(ours.server.status(), Some(0));
}

#[test]
fn stock_clients_that_are_killed_leave_the_server_serving() {
    let mut ours = OurServer::new(false);
    for args in [&["-t", "99"][..], &["-t", "99", "-R"], &["-t", "99", "--bidir"]] {
        let victim = ours.client(args);
        ours.until("no data flows", |events| matches!(events.last(), Some(Event::Interval(_))));
        drop(victim);
        ours.settle();
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
            // As above.
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
        assert!(status == 0 || log.errors()[0].contains("is busy running a test"), "{:?}", log.errors());
        status == 1
    });
}
