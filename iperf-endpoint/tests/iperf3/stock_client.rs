//! Stock clients against our server on 127.0.0.1, over the kernel's TCP.

use crate::bench::Log;
use crate::kernel::Kernel;
use crate::stock::{Stock, bytes, eventually, free_port};
use iperf_endpoint::config::ServerConfig;
use iperf_endpoint::cpu::CpuTime;
use iperf_endpoint::event::{Event, TestEnd};
use iperf_endpoint::iperf3::Server;
use ports::Time;
use serde_json::Value;
use std::time::Duration;

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
