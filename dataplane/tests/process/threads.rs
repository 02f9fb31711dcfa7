//! `-p N`: threads, each with a queue of the port to itself.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::common::{Valed, program, signal_to, text, wait};
use rustix::process::Signal;

fn pkt_gen(valed: &Valed, args: &[&str]) -> std::process::Child {
    let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
    tool.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The words after `Received` or `Sent`, and the whole.
#[track_caller]
fn packets(output: &Output, verb: &str) -> u64 {
    let out = text(&output.stdout);
    let line = out.lines().find(|line| line.starts_with(verb)).unwrap_or_else(|| panic!("{out}"));
    line.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn two_threads_send_and_receive_as_one() {
    let valed = Valed::start();
    let receiver = pkt_gen(&valed, &["-i", "vale0:rx@virtual:slots=4096", "-f", "rx", "-p", "2"]);
    wait("attached", || valed.ctl_ok(&[]).contains("vale0:rx "));
    let rings = valed.ctl_ok(&["-g", "vale0:rx"]);
    assert!(
        rings.contains("tx_rings:   2\nrx_rings    2\n") && rings.contains("memsize:    33554432\n"),
        "{rings}"
    );
    let args = ["-i", "vale0:tx", "-f", "tx", "-p", "2", "-a", "0", "-n", "2001", "-R", "4000", "-b", "4"];
    let ranges = ["-d", "10.1.0.1:1-10.1.0.1:500", "-T", "100"];
    let sender = pkt_gen(&valed, &[&args[..], &ranges].concat()).wait_with_output().unwrap();
    let err = text(&sender.stderr);
    assert_eq!(sender.status.code(), Some(0), "{err}");
    assert_eq!(packets(&sender, "Sent"), 2001, "the odd one is not forgotten");
    assert!(text(&sender.stdout).starts_with("Sending on vale0:tx: 2 queues, 2 threads and "), "{err}");
    assert!(err.contains("2 threads, each at that rate: 8000 packets/s\n"), "{err}");
    assert_eq!(err.matches("Ready...").count(), 1, "{err}");
    let received = || {
        let stats = serde_json::from_str::<Value>(&valed.ctl_ok(&["stats", "vale0:rx", "--json"])).unwrap();
        stats["switches"][0]["ports"][0]["tx_frames"].as_u64()
    };
    wait("all frames arrive", || received() == Some(2001));
    signal_to(&receiver, Signal::INT);
    let receiver = receiver.wait_with_output().unwrap();
    assert_eq!(receiver.status.code(), Some(0), "{}", text(&receiver.stderr));
    assert_eq!(packets(&receiver, "Received"), 2001);
    wait("the ports are gone", || valed.ctl_ok(&[]).is_empty());
}

#[test]
fn every_thread_of_a_killed_tool_goes() {
    let valed = Valed::start();
    let sender = pkt_gen(&valed, &["-i", "vale0:tx", "-f", "tx", "-p", "3", "-R", "100"]);
    wait("attached", || valed.ctl_ok(&[]).contains("vale0:tx "));
    signal_to(&sender, Signal::KILL);
    sender.wait_with_output().unwrap();
    wait("the port is gone", || valed.ctl_ok(&[]).is_empty());
}

#[test]
fn threads_say_who_they_are_on_the_socket() {
    let valed = Valed::start();
    let mut client = valed.connect();
    let app = r#"{"pktgen":{"port":"vale0:rx","interval_ms":10}}"#;
    let host = format!(r#"{{"op":"host","on":"vale0:rx","app":{app},"others":[{{"app":{app}}}]}}"#);
    assert_eq!(client.ask(&host)["ok"], serde_json::json!({}));
    let mut seen = [false; 2];
    wait("both speak", || {
        let event = client.hear().unwrap()["event"].clone();
        seen[usize::try_from(event["thread"].as_u64().unwrap_or(0)).unwrap()] = true;
        seen == [true; 2]
    });
    let strange = r#"{"op":"host","on":"vale0:y","app":{"pktgen":{}},"others":[{"core":0}]}"#;
    assert!(valed.connect().refused(strange).contains("no request"));
    let others = vec![format!(r#"{{"app":{app}}}"#); 16].join(",");
    let many = format!(r#"{{"op":"host","on":"vale0:z","app":{app},"others":[{others}]}}"#);
    assert_eq!(valed.connect().refused(&many), "vale0:z: 17 queues: a virtual port has 1 to 16");
}

#[test]
fn threads_share_a_null_port_and_what_is_wrong_is_named() {
    let valed = Valed::start();
    let run = |args: &[&str]| pkt_gen(&valed, args).wait_with_output().unwrap();
    let output = run(&["-i", "null", "-f", "tx", "-p", "2", "-n", "100001", "-a", "0"]);
    assert_eq!((output.status.code(), packets(&output, "Sent")), (Some(0), 100_001));
    for (args, says) in [
        (&["-i", "vale0:1", "-p", "17"][..], "vale0:1: 17 queues: a virtual port has 1 to 16"),
        (&["-i", "null", "-f", "tx", "-p", "3", "-n", "2"], "-n 2: not a frame for each of 3 threads"),
        (&["-i", "null", "-a", "4096"], "-a 4096: no such CPU (this machine has 0 to "),
        (&["-i", "pcap:/nowhere", "-p", "2"], "/nowhere: for one thread only, not 2 (leave -p out)"),
        (&["-i", "vale0:1", "-f", "ping", "-p", "2"], "-p 2: ping runs in one thread (leave -p out)"),
        (&["-i", "lo@afxdp", "-p", "2"], "lo: a queue for each of 2 threads: it has 1 (try: -p 1)"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains(says), "{args:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1, "{args:?}: {}", text(&output.stderr));
    }
    assert_eq!(valed.ctl_ok(&[]), "");
}
