//! What others lose: a daemon killed under its tools, a receiver killed beside a sender.

use std::fs::File;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Valed, program, signal_to, text, wait};

fn pkt_gen(valed: &Valed, args: &str) -> Child {
    let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
    tool.args(args.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Frames that came in by a port, and those of them that were dropped.
fn counts(valed: &Valed, port: &str) -> (u64, u64) {
    let stats = valed.ctl(&["stats", port, "--json"]).stdout;
    let stats = serde_json::from_slice::<Value>(&stats).unwrap_or_default();
    let port = &stats["switches"][0]["ports"][0];
    let drops = port["drops"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    (port["rx_frames"].as_u64().unwrap_or(0), drops)
}

#[test]
fn tools_of_a_killed_daemon_print_what_they_know() {
    for (args, total, more) in [
        ("-i vale0:1 -f tx -R 50000 -T 10", "\nSent ", "\nSpeed: "),
        ("-i vale0:1 -f rx -T 10", "\nReceived ", "\nSpeed: "),
        ("-i vale0:1 -f rxseq -T 10", "\nReceived ", "\nSequence: "),
        ("-i vale0:1 -f ping -T 10", "\nSent ", "\nRTT: nothing came."),
    ] {
        let mut valed = Valed::start();
        let tool = pkt_gen(&valed, args);
        wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:1 "));
        let other = pkt_gen(&valed, "-i vale0:2 -f tx -R 50000");
        wait("frames are on their way", || counts(&valed, "vale0:2").0 > 10_000);
        valed.child.kill().unwrap();
        let [output, other] = [tool, other].map(|tool| tool.wait_with_output().unwrap());
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!((output.status.code(), other.status.code()), (Some(1), Some(1)));
        let told = [" packets ", " pings, "].iter().any(|what| out.contains(what));
        assert!(out.contains(total) && told && out.contains(more), "{args}: {out}");
        assert_eq!(err.matches("pkt-gen: ").count(), 1, "one line: {err}");
        assert!(err.contains("pkt-gen: valed hung up"), "{err}");
    }
}

/// With `-J` too, and not a word beside the document on standard output.
#[test]
fn endpoints_of_a_killed_daemon_write_their_document() {
    let mut valed = Valed::start();
    let endpoint = |args: &str| {
        let mut tool = program(env!("CARGO_BIN_EXE_iperf-endpoint"), &valed.socket());
        tool.args(args.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let taken = endpoint("--on vale0:s@null --ip 10.0.0.2/24 -s -J").wait_with_output().unwrap();
    let document = serde_json::from_slice::<Value>(&taken.stdout).unwrap();
    assert!(document["error"].as_str().unwrap().contains("an app's port is virtual"), "{document:#}");
    let server = endpoint("--on vale0:s --ip 10.0.0.2/24 -s -i 0.1 -J");
    wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:s "));
    let client = endpoint("--on vale0:c --ip 10.0.0.3/24 -c 10.0.0.2 -t 600 -i 0.1 -J");
    wait("data flows", || counts(&valed, "vale0:c").0 > 1000);
    std::thread::sleep(std::time::Duration::from_millis(500)); // some intervals
    valed.child.kill().unwrap();
    for tool in [server, client] {
        let output = tool.wait_with_output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!((output.status.code(), err.as_str()), (Some(1), "iperf-endpoint: valed hung up\n"));
        let document = serde_json::from_str::<Value>(&out).unwrap();
        assert_eq!(document["error"], "valed hung up", "{out}");
        assert!(document["intervals"].as_array().is_some_and(|intervals| !intervals.is_empty()), "{out}");
    }
}

#[test]
fn a_sender_survives_its_receiver() {
    let valed = Valed::start();
    let receiver = pkt_gen(&valed, "-i vale0:rx -f rx");
    wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:rx "));
    let sender = pkt_gen(&valed, "-i vale0:tx -f tx -R 50000");
    wait("frames arrive", || counts(&valed, "vale0:rx").0 + counts(&valed, "vale0:tx").0 > 1000);
    signal_to(&receiver, Signal::KILL);
    drop(receiver.wait_with_output());
    wait("its port is gone", || !valed.ctl_ok(&[]).contains("vale0:rx "));
    let (_, before) = counts(&valed, "vale0:tx");
    wait("what finds nobody is counted", || counts(&valed, "vale0:tx").1 > before + 1000);
    signal_to(&sender, Signal::INT);
    let output = sender.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "its own run was sound");
    assert!(text(&output.stdout).contains("\nSent "), "{}", text(&output.stdout));
}

/// A stock server that hears nothing more of a client is busy with it for minutes.
#[test]
fn a_killed_client_says_goodbye_to_its_server() {
    let valed = Valed::start();
    let said = valed.dir.path().join("said");
    let errors = File::create(&said).unwrap();
    let endpoint = |args: &str| {
        let mut tool = program(env!("CARGO_BIN_EXE_iperf-endpoint"), &valed.socket());
        tool.args(args.split_whitespace()).stdout(Stdio::null()).stderr(errors.try_clone().unwrap());
        tool.spawn().unwrap()
    };
    let mut server = endpoint("--on vale0:s --ip 10.0.0.2/24 -s");
    wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:s "));
    let mut client = endpoint("--on vale0:c --ip 10.0.0.3/24 -c 10.0.0.2 -t 600");
    wait("data flows", || counts(&valed, "vale0:c").0 > 1000);
    signal_to(&client, Signal::KILL);
    client.wait().unwrap();
    wait("the server hears", || {
        std::fs::read_to_string(&said).unwrap().contains("the client has terminated")
    });
    wait("its port is gone", || !valed.ctl_ok(&[]).contains("vale0:c "));
    signal_to(&server, Signal::INT);
    server.wait().unwrap();
}
