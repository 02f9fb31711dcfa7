//! `-f throughput` and `-f back-to-back`: what is found depends on the machine, that something is found does not.

use std::io::{BufRead, BufReader, Read};
use std::process::{Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Valed, program, signal_to, text};

fn pkt_gen(valed: &Valed, args: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket()).args(args).output().unwrap()
}

#[test]
fn a_switch_forwards_every_size_without_loss() {
    let valed = Valed::start();
    let output =
        pkt_gen(&valed, &["-i", "vale0:1", "--to", "vale0:2", "-f", "throughput", "--trial", "0.05"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    let lines = out.lines().collect::<Vec<_>>();
    let head = "RFC 2544 throughput, vale0:1 to vale0:2: trials of 0.05 s (the RFC wants 60), loss up to 0 %";
    assert!(lines[0].starts_with(head), "{out}");
    assert_eq!(lines[1].split_whitespace().next(), Some("size"), "{out}");
    let row =
        |line: &&str| line.split_whitespace().map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>();
    let rows = lines[2..].iter().map(row).collect::<Vec<_>>();
    assert_eq!(
        rows.iter().map(|row| row[0]).collect::<Vec<_>>(),
        [64.0, 128.0, 256.0, 512.0, 1024.0, 1280.0, 1518.0]
    );
    for row in rows {
        let [size, pps, mbps, percent, trials] = row[..] else { panic!("{out}") };
        assert!(pps > 0.0 && percent > 0.0 && percent <= 100.0 && trials >= 1.0, "{out}{err}");
        assert!((mbps - pps * size * 8.0 / 1e6).abs() < 0.01, "{out}");
    }
    assert!(err.lines().all(|line| line.ends_with(": passed") || line.ends_with(": failed")), "{err}");
    assert_eq!(valed.ctl_ok(&[]), "");
}

/// IPv6 does not fit 64 bytes with the mark: the frames are as short as they can be, and the row says how short.
#[test]
fn the_shortest_frames_are_as_long_as_their_headers() {
    let valed = Valed::start();
    let args = ["-i", "vale0:1", "--to", "vale0:2", "-f", "throughput", "-6", "--trial", "0.02", "--json"];
    let output = pkt_gen(&valed, &args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    let told = "pkt-gen: -f throughput: the first frames have 74 bytes instead of 64";
    assert!(err.starts_with(told), "{err}");
    let size = |row: &str| serde_json::from_str::<Value>(row).unwrap()["size_bytes"].as_u64().unwrap();
    assert_eq!(out.lines().map(size).collect::<Vec<_>>(), [74, 128, 256, 512, 1024, 1280, 1518]);
}

#[test]
fn programs_read_the_longest_burst() {
    let valed = Valed::start();
    let args =
        ["-i", "vale0:1", "--to", "vale0:2", "-f", "back-to-back", "--trial", "0.05", "-l", "60", "--json"];
    let output = pkt_gen(&valed, &args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let row = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    assert_eq!((&row["event"], row["size_bytes"].as_u64()), (&Value::from("back-to-back"), Some(64)));
    let [burst, most] = ["burst_packets", "most_packets"].map(|name| row[name].as_u64().unwrap());
    assert!(0 < burst && burst <= most, "{row}");
}

#[test]
fn an_interrupted_search_says_what_it_has() {
    let valed = Valed::start();
    let mut pkt_gen = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
    let args = ["-i", "vale0:1", "--to", "vale0:2", "-f", "throughput", "--trial", "0.3", "--loss", "100"];
    let mut pkt_gen = pkt_gen.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(pkt_gen.stderr.take().unwrap());
    let mut err = String::new();
    stderr.read_line(&mut err).unwrap(); // the first trial, which passed: the row is out, the next size begins
    signal_to(&pkt_gen, Signal::INT);
    stderr.read_to_string(&mut err).unwrap();
    let output = pkt_gen.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(text(&output.stdout).lines().any(|line| line.starts_with("    64 ")), "{err}");
    let last = err.lines().last().unwrap();
    assert!(last.contains(" bytes: interrupted after ") && last.ends_with(" passed so far"), "{err}");
}

#[test]
fn where_nothing_arrives_is_said_and_what_is_wrong_named() {
    let valed = Valed::start();
    for (args, says) in [
        (&["-i", "null", "--trial", "0.01"][..], "null: no frame comes back (try: --to"),
        (&["-i", "vale0:1", "--to", "vale1:1", "--trial", "0.01"], "vale0:1 to vale1:1: no frame arrives"),
        (&["-i", "vale0:1", "--to", "vale0:1"], "--to vale0:1: the frames are sent by it (leave --to out"),
        (&["-i", "vale0:1", "--to", "nosuch0"], "nosuch0: no such interface"),
        (&["-i", "pcap:x"], "pcap:x: a capture is no port to search by"),
        (&["-i", "vale0:1", "--loss", "200"], "--loss 200: out of range (0 to 100)"),
        (&["-i", "vale0:1", "-l", "46"], "-l 46: too short for the mark of a trial (try: -l 50)"),
    ] {
        let output = pkt_gen(&valed, &[&["-f", "throughput"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let err = text(&output.stderr);
        assert!(err.lines().last().unwrap().contains(says), "{args:?}: {err}");
    }
    assert_eq!(valed.ctl_ok(&[]), "");
}
