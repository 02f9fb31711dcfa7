//! `pkt-gen` asking and answering itself on a switch, and the log of `--hdr`.

use std::path::Path;
use std::process::{Child, Output, Stdio};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Valed, program, signal_to, text, wait};

fn start(valed: &Valed, args: &[&str]) -> Child {
    let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
    tool.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(valed: &Valed, args: &[&str]) -> Output {
    start(valed, args).wait_with_output().unwrap()
}

/// Starts a tool and waits until its port is there.
fn attached(valed: &Valed, port: &str, args: &[&str]) -> Child {
    let tool = start(valed, &[&["-i", port], args].concat());
    wait("attached", || valed.ctl_ok(&[]).contains(&format!("{port} ")));
    tool
}

/// All histograms of a log, read with the library that others read it with, in one.
fn logged(file: &Path) -> Histogram<u64> {
    let text = std::fs::read(file).unwrap();
    assert!(text.starts_with(b"#["), "{}", String::from_utf8_lossy(&text));
    let mut sum = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    for entry in IntervalLogIterator::new(&text) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let bytes = decoded(interval.encoded_histogram());
            let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            assert!(interval.duration().as_nanos() > 0);
            sum.add(histogram).unwrap();
        }
    }
    sum
}

/// Base64 (RFC 4648, 4).
fn decoded(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{c}"),
    };
    let bits = |group: &[u8]| {
        let all =
            group.iter().fold(0u32, |all, c| all << 6 | u32::from(value(*c))) << (6 * (4 - group.len()));
        all.to_be_bytes()[1..group.len()].to_vec()
    };
    text.trim_end_matches('=').as_bytes().chunks(4).flat_map(bits).collect()
}

#[test]
fn every_ping_is_answered_and_the_log_has_them_all() {
    let valed = Valed::start();
    let pong = attached(&valed, "vale0:1", &["-f", "pong"]);
    let file = valed.dir.path().join("rtt.hdr");
    // A machine that is busy with other things may keep an answer for long: nothing here is about time.
    let args =
        ["-i", "vale0:2", "-f", "ping", "-n", "20000", "-b", "4", "--timeout", "20000", "-T", "50", "--hdr"];
    let ping = run(&valed, &[&args[..], &[file.to_str().unwrap()]].concat());
    let (out, err) = (text(&ping.stdout), text(&ping.stderr));
    assert!(ping.status.success(), "{err}");
    assert!(out.starts_with("Working on vale0:2: "), "{out}");
    assert!(
        out.contains("Sent 20000 pings, received 20000, lost 0 (0.000 %), late 0, duplicate 0 in "),
        "{out}"
    );
    assert!(out.contains("\nRTT ns: min "), "{out}");
    assert!(err.contains("] RTT over 20000 packets: min ") && err.contains(" RTT: min "), "{err}");
    let rtt = logged(&file);
    assert_eq!(rtt.len(), 20_000);
    assert!(
        out.contains(&format!(" p50 {} ", rtt.value_at_quantile(0.5))),
        "{out}: {}",
        rtt.value_at_quantile(0.5)
    );
    signal_to(&pong, Signal::INT);
    let pong = pong.wait_with_output().unwrap();
    assert!(pong.status.success());
    assert!(text(&pong.stdout).contains("\nAnswered 20000 packets 1200000 bytes "), "{}", text(&pong.stdout));
}

#[test]
fn pings_into_the_void_are_lost_and_objects_say_so() {
    let valed = Valed::start();
    let args = ["-i", "vale0:2", "-f", "ping", "-n", "3", "--timeout", "5", "--json"];
    let output = run(&valed, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let ping = &summary["ping"];
    assert_eq!(
        (&ping["sent"], &ping["received"], &ping["lost"]),
        (&3.into(), &0.into(), &3.into()),
        "{summary}"
    );
}

#[test]
fn stamps_cross_the_switch() {
    let valed = Valed::start();
    let file = valed.dir.path().join("delay.hdr");
    let args = ["-f", "rx", "--stamp", "-n", "5000", "--hdr", file.to_str().unwrap()];
    // Room for all of them: a receiver without a core for a tenth of a second counts as stopped, and loses some.
    let rx = start(&valed, &[&["-i", "vale0:rx@virtual:slots=8192"], &args[..]].concat());
    wait("attached", || valed.ctl_ok(&[]).contains("vale0:rx "));
    let tx = run(&valed, &["-i", "vale0:tx", "-f", "tx", "--stamp", "-n", "5000", "-b", "16"]);
    assert!(tx.status.success(), "{}", text(&tx.stderr));
    let rx = rx.wait_with_output().unwrap();
    let out = text(&rx.stdout);
    assert!(out.contains("Received 5000 stamped packets, lost 0 (0.000 %).\nDelay ns: min "), "{out}");
    assert!(out.contains("Received 5000 packets 300000 bytes "), "{out}");
    assert_eq!(logged(&file).len(), 5000);
}

#[test]
fn a_log_that_fails_costs_nothing_of_the_report() {
    let valed = Valed::start();
    let output =
        run(&valed, &["-i", "null", "-f", "ping", "-n", "3", "--timeout", "5", "--hdr", "/dev/full"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err.matches("pkt-gen: --hdr /dev/full: No space left on device").count(), 1, "{err}");
    assert!(out.contains("Sent 3 pings, received 0, lost 3 ") && out.contains("\nRTT: "), "{out}");
}

#[test]
fn latency_flags_name_what_is_wrong() {
    let valed = Valed::start();
    let there = valed.dir.path().to_str().unwrap().to_owned();
    for (args, says) in [
        (&["-f", "tx", "--hdr", "x"][..], "--hdr: only with -f ping or -f rx --stamp"),
        (&["-f", "rx", "--hdr", "x"], "--hdr: only with -f ping or -f rx --stamp"),
        (&["-f", "pong", "--stamp"], "--stamp: only with -f tx and -f rx"),
        (&["-f", "ping", "-l", "50"], "-l 50: too short"),
        (&["-f", "ping", "--timeout", "0"], "0 is not in 1..=60000"),
        (&["-f", "ping", "--hdr", &there], "Is a directory"),
    ] {
        let output = run(&valed, &[&["-i", "vale0:1"], args].concat());
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(says), "{args:?}: {err}");
    }
    assert_eq!(valed.ctl_ok(&[]), "");
}
