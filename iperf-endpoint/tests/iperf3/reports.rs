//! Our reports beside stock iperf3's, line by line, with the numbers blotted out.

use crate::bench::{Bench, Log, seconds};
use crate::stock::{Stock, free_port, listens};
use crate::stock_client::OurServer;
use crate::stock_server::against_stock_server;
use iperf_endpoint::config::{ClientConfig, Direction, ServerConfig, Until};
use iperf_endpoint::report::{Format, Printer, Unit};
use serde_json::Value;
use std::time::Duration;

/// What a printer makes of a log: standard output, standard error, status.
fn print(log: &Log, format: Format) -> (String, String, Option<i32>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut printer = Printer::new(&mut out, &mut err, format);
    for event in log.events() {
        printer.print(&event).unwrap();
    }
    let status = printer.status();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

/// The line with every digit a 9 and every run of numbers and units of its usual width. What is left is the
/// layout: words, brackets, blanks.
fn layout(line: &str) -> String {
    let id = line.get(1..4).filter(|id| id.trim().parse::<u32>().is_ok());
    let mut line = id.map_or_else(|| line.to_owned(), |id| line.replacen(id, "  5", 1));
    for unit in ["KBytes", "MBytes", "GBytes", "Bytes"] {
        line = line.replace(&format!(" {unit}"), " _Bytes");
    }
    for unit in ["Kbits", "Mbits", "Gbits", "bits"] {
        line = line.replace(&format!(" {unit}"), " _bits");
    }
    if !line.contains("sec ") {
        // Addresses and ports differ in width.
        let words = line.split(' ').map(|w| if w.parse::<u16>().is_ok() { "9" } else { w });
        return words.collect::<Vec<_>>().join(" ");
    }
    let blot = |c: char| if c.is_ascii_digit() || c == '.' { '9' } else { c };
    let line: String = line.chars().map(blot).collect();
    // Four places: "1.23", "12.3", " 123" and "1234" are all one number.
    line.replace("  999 _", " 9999 _").replace("  99 _", " 9999 _")
}

/// Layouts of the lines that every run has: without the slivers that a stock server prints at its end.
fn layouts(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(layout).collect();
    lines.dedup();
    lines
}

/// Retransmit counts and windows, which are as wide as they happen to be, brought to one.
fn normal(lines: Vec<String>) -> Vec<String> {
    let squeeze = |l: String| {
        let Some((head, tail)) = l.split_once("/sec") else { return l };
        let words = tail.split(' ').map(|w| if w.parse::<u64>().is_ok() { "9" } else { w });
        let mut tail = words.collect::<Vec<_>>().join(" ");
        for _ in 0..3 {
            tail = tail.replace("     9", "    9").replace("    9", "   9");
        }
        format!("{head}/sec{tail}")
    };
    let mut lines: Vec<_> = lines.into_iter().map(squeeze).collect();
    lines.dedup();
    lines
}

fn stock_pair(args: &[&str]) -> (String, String) {
    let number = free_port();
    let port = number.to_string();
    let server = Stock::start(&["-s", "-1", "-p", &port]);
    listens(number);
    let client = Stock::start(&[&["-c", "127.0.0.1", "-p", &port], args].concat());
    (client.finish().1, server.finish().1)
}

/// Our client's text beside a stock client's, the server being stock both times.
#[test]
fn the_client_prints_stock_lines() {
    type Case = (&'static [&'static str], fn(ClientConfig) -> ClientConfig);
    let cases: [Case; 4] = [
        (&["-t", "1", "-b", "30M"], |c| ClientConfig { bitrate: 30_000_000, ..c }),
        // Of a single interval stock prints the header after the results have told it of retransmits.
        (&["-t", "2", "-b", "30M", "-R"], |c| ClientConfig {
            bitrate: 30_000_000,
            direction: Direction::Reverse,
            until: Until::Time(Duration::from_secs(2)),
            ..c
        }),
        (&["-t", "1", "-b", "30M", "-P", "2", "-i", "0.5"], |c| ClientConfig {
            bitrate: 30_000_000,
            parallel: 2,
            interval: Duration::from_millis(500),
            ..c
        }),
        (&["-t", "1", "-b", "30M", "-P", "2", "--bidir"], |c| ClientConfig {
            bitrate: 30_000_000,
            parallel: 2,
            direction: Direction::Both,
            ..c
        }),
    ];
    for (args, config) in cases {
        let stock = stock_pair(args).0;
        let (log, _) = against_stock_server(|c| ClientConfig { host: "127.0.0.1".into(), ..config(c) }, &[]);
        let (ours, err, status) = print(&log, Format::Text(Unit::Adaptive));
        assert_eq!((err.as_str(), status), ("", Some(0)));
        assert_eq!(normal(layouts(&ours)), normal(layouts(&stock)), "{args:?}\n{ours}\n{stock}");
    }
}

/// Our server's text beside a stock server's, the client being stock both times.
#[test]
fn the_server_prints_stock_lines() {
    for args in [
        &["-t", "1", "-b", "30M"][..],
        &["-t", "1", "-b", "30M", "-R"],
        &["-t", "1", "-b", "30M", "-P", "2"],
        &["-t", "1", "-b", "30M", "-P", "2", "--bidir"],
    ] {
        let mut pairs = std::iter::repeat_with(|| {
            let stock = stock_pair(args).1;
            let mut server = OurServer::new(true);
            server.run(args);
            let (ours, err, _) = print(&server.log, Format::Text(Unit::Adaptive));
            assert_eq!(err, "");
            (ours, stock)
        });
        // Whether a short last interval is there depends on when the end comes: real time, on a shared machine.
        let alike = |(ours, stock): &(String, String)| normal(layouts(ours)) == normal(layouts(stock));
        let unlike: Vec<_> = pairs.by_ref().take(5).take_while(|pair| !alike(pair)).collect();
        assert!(unlike.len() < 5, "{args:?}\n{}\n{}", unlike[0].0, unlike[0].1);
    }
}

fn report(config: ClientConfig, format: Format) -> [(String, String, Option<i32>); 2] {
    let mut bench = Bench::new(ServerConfig { one_off: true, ..ServerConfig::default() });
    bench.add_client(config);
    bench.finish(60);
    let limit = bench.now + Duration::from_secs(5);
    bench.run(limit, |b| b.server.status().is_some());
    [print(&bench.guests[0].log, format), print(&bench.server_log, format)]
}

/// Virtual time makes the whole text of a run predictable.
#[test]
fn a_run_in_full() {
    let config = ClientConfig { omit: Duration::from_secs(1), bitrate: 8_000_000, ..seconds(2) };
    let [(client, ..), (server, ..)] = report(config, Format::Text(Unit::Adaptive));
    assert_eq!(
        client,
        "\
Connecting to host 10.0.0.1, port 5201
[  5] local 10.0.1.0 port 32769 connected to 10.0.0.1 port 5201
[ ID] Interval           Transfer     Bitrate         Retr  Cwnd
[  5]   0.00-1.00   sec   977 KBytes  8.00 Mbits/sec    0    256 KBytes       (omitted)
[  5]   0.00-1.00   sec   977 KBytes  8.00 Mbits/sec    0    256 KBytes       
[  5]   1.00-2.00   sec   976 KBytes  7.99 Mbits/sec    0    256 KBytes       
- - - - - - - - - - - - - - - - - - - - - - - - -
[ ID] Interval           Transfer     Bitrate         Retr
[  5]   0.00-2.00   sec  1.91 MBytes  8.00 Mbits/sec    0             sender
[  5]   0.00-2.00   sec  1.91 MBytes  8.00 Mbits/sec                  receiver

iperf Done.
"
    );
    assert!(server.starts_with(
        "-----------------------------------------------------------\nServer listening on 5201 (test #1)\n"
    ));
    assert!(server.contains("\nAccepted connection from 10.0.1.0, port 32768\n[  5] local 10.0.0.1 port 5201 connected to 10.0.1.0 port 32769\n"));
    assert!(
        server.ends_with("[  5]   0.00-2.00   sec  1.91 MBytes  8.00 Mbits/sec                  receiver\n"),
        "{server}"
    );
}

#[test]
fn rates_in_the_unit_asked_for() {
    let config = ClientConfig { bitrate: 8_000_000, ..seconds(1) };
    let [(client, ..), _] = report(config, Format::Text("K".parse().unwrap()));
    assert!(client.contains("  977 KBytes/sec"), "{client}");
}

/// Every key that a stock document has, ours has as well.
#[test]
fn json_has_the_stock_keys() {
    fn keys(v: &Value, path: &str, into: &mut Vec<String>) {
        match v {
            Value::Object(map) => map.iter().for_each(|(k, v)| keys(v, &format!("{path}.{k}"), into)),
            Value::Array(list) => list.iter().for_each(|v| keys(v, path, into)),
            _ => into.push(path.to_owned()),
        }
        into.sort();
        into.dedup();
    }
    let all = |text: &str| {
        let mut found = Vec::new();
        keys(&serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")), "", &mut found);
        found
    };
    for (args, direction) in [
        (&["-t", "1", "-J"][..], Direction::Forward),
        (&["-t", "1", "-J", "-R"], Direction::Reverse),
        (&["-t", "1", "-J", "--bidir"], Direction::Both),
    ] {
        let stock = all(&stock_pair(args).0);
        let [(client, _, status), (server, ..)] =
            report(ClientConfig { direction, ..seconds(1) }, Format::Json);
        assert_eq!(status, Some(0));
        let ours = all(&client);
        // Added by newer releases.
        let extra = [".start.test_start.bidir"];
        let missing: Vec<_> = stock.iter().filter(|k| !ours.contains(k)).collect();
        let added: Vec<_> =
            ours.iter().filter(|k| !stock.contains(k) && !extra.contains(&k.as_str())).collect();
        assert!(missing.is_empty() && added.is_empty(), "{args:?}: missing {missing:?}, added {added:?}");
        assert!(all(&server).contains(&".start.accepted_connection.host".to_owned()));
    }
}

#[test]
fn json_numbers_agree() {
    let config =
        ClientConfig { direction: Direction::Both, parallel: 2, omit: Duration::from_secs(1), ..seconds(2) };
    let [(client, ..), _] = report(config, Format::Json);
    let json: Value = serde_json::from_str(&client).unwrap();
    for (interval, end) in [("sum", "sum_sent"), ("sum_bidir_reverse", "sum_received_bidir_reverse")] {
        let counted =
            json["intervals"].as_array().unwrap().iter().filter(|i| i[interval]["omitted"] == false);
        let sum: u64 = counted.map(|i| i[interval]["bytes"].as_u64().unwrap()).sum();
        assert_eq!(json["end"][end]["bytes"], sum);
    }
    assert_eq!(json["start"]["test_start"]["omit"], 1);
    assert_eq!(json["end"]["streams"].as_array().unwrap().len(), 4);
    assert_eq!(json["end"]["sender_tcp_congestion"], "cubic");
}

#[test]
fn errors_stand_in_the_document_and_in_the_status() {
    let mut bench = Bench::new(ServerConfig { port: 5202, ..ServerConfig::default() });
    bench.add_client(seconds(1));
    bench.run(ports::Time::from_secs(20), |b| b.guests[0].client.status().is_some());
    let (out, err, status) = print(&bench.guests[0].log, Format::Json);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert!(json["error"].as_str().unwrap().contains("connection refused"), "{out}");
    assert_eq!((err.as_str(), status), ("", Some(1)));
    let (out, err, status) = print(&bench.guests[0].log, Format::Text(Unit::Adaptive));
    assert_eq!((out.as_str(), status), ("", Some(1)));
    assert!(err.starts_with("iperf-endpoint: error - unable to connect to server 10.0.0.1:5201"), "{err}");
}

#[test]
fn an_interrupted_test_is_summed_up() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.add_client(ClientConfig { until: Until::Time(Duration::ZERO), ..seconds(1) });
    bench.run(ports::Time(1_500_000_000), |_| false);
    bench.guests[0].client.stop();
    bench.run(ports::Time::from_secs(3), |b| b.guests[0].client.status().is_some());
    let (out, err, status) = print(&bench.guests[0].log, Format::Text(Unit::Adaptive));
    assert!(out.trim_end().ends_with("sender"), "{out}");
    assert_eq!(err, "iperf-endpoint: interrupt - the client has terminated\n");
    assert_eq!(status, Some(1));
}
