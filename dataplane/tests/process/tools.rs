//! The tools that `valed` hosts, and their ends.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::common::{Valed, program, signal_to, text, wait};
use rustix::process::Signal;

#[test]
fn a_killed_tool_takes_its_port_along_and_an_interrupted_one_reports() {
    let valed = Valed::start();
    let receive = || {
        let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
        tool.args(["-i", "vale0:rx", "-f", "rx"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for signal in [Signal::KILL, Signal::INT] {
        let tool = receive();
        wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:rx "));
        signal_to(&tool, signal);
        let output = tool.wait_with_output().unwrap();
        wait("the port is gone", || valed.ctl_ok(&[]).is_empty());
        if signal == Signal::INT {
            assert_eq!(output.status.code(), Some(0));
            assert!(text(&output.stdout).ends_with("Received nothing.\n"), "{}", text(&output.stdout));
        }
    }
}

/// Who interrupts a run has what he wanted, which is not what `-n` asked for.
#[test]
fn an_interrupted_run_is_complete_unless_a_number_was_asked_for() {
    let valed = Valed::start();
    for (number, complete) in [(&[][..], true), (&["-n", "1000000"], false)] {
        let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
        tool.args(["-i", "vale0:tx", "-f", "tx", "-R", "1000", "--json"]).args(number);
        let tool = tool.stdout(Stdio::piped()).spawn().unwrap();
        wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:tx "));
        signal_to(&tool, Signal::INT);
        let output = tool.wait_with_output().unwrap();
        let out = text(&output.stdout);
        let summary = serde_json::from_str::<serde_json::Value>(out.lines().last().unwrap()).unwrap();
        assert_eq!((output.status.code(), &summary["complete"]), (Some(0), &complete.into()), "{out}");
    }
}

#[test]
fn a_tool_whose_daemon_dies_says_so() {
    let mut valed = Valed::start();
    let mut tool = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket());
    let mut tool =
        tool.args(["-i", "vale0:rx"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once it runs: before, there is nothing to report.
    let mut said = BufReader::new(tool.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ready") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the tool ends");
    }
    valed.child.kill().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(rest.ends_with("pkt-gen: valed hung up\n"), "{rest}");
    assert!(text(&output.stdout).ends_with("Received nothing.\n"), "{}", text(&output.stdout));
}

#[test]
fn tools_name_what_is_wrong() {
    let valed = Valed::start();
    for (args, says) in [
        (&["-i", "vale0"][..], "vale0: missing ':'"),
        (&["-i", "nosuch0"], "nosuch0: no such interface (try: ip link)"),
        (&["-i", "vale0:1@tap"], "vale0:1: an app's port is virtual, not tap"),
        (&["-i", "vale0:1@virtual:core=77"], "core 77: not available"),
        (&["-i", "vale0:1", "-f", "tx", "-l", "66000"], "not in 16..=65536"),
    ] {
        let output = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket()).args(args).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        assert!(text(&output.stderr).contains(says), "{args:?}: {}", text(&output.stderr));
    }
    assert_eq!(valed.ctl_ok(&[]), "");
}

#[test]
fn direct_ports_need_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let run = |args: &[&str]| {
        let output = program(env!("CARGO_BIN_EXE_pkt-gen"), &socket).args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(run(&["-i", "null", "-f", "tx", "-n", "100000", "-a", "0"]).contains("Sent 100000 packets"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn tools_report_before_it_ends() {
    let mut valed = Valed::start();
    let start = |program_path: &str, args: &[&str]| {
        let mut tool = program(program_path, &valed.socket());
        tool.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let pkt_gen = |args: &[&str]| start(env!("CARGO_BIN_EXE_pkt-gen"), args);
    let endpoint = |args: &[&str]| start(env!("CARGO_BIN_EXE_iperf-endpoint"), args);
    let receiver = pkt_gen(&["-i", "vale0:rx", "-f", "rx"]);
    let sender = pkt_gen(&["-i", "vale0:tx", "-f", "tx", "-R", "1000", "--json"]);
    let server = endpoint(&["--on", "vale1:s", "--ip", "10.0.0.2/24", "-s"]);
    wait("three ports", || valed.ctl_ok(&[]).lines().count() == 3);
    let client = endpoint(&["--on", "vale1:c", "--ip", "10.0.0.3/24", "-c", "10.0.0.2", "-t", "60"]);
    wait("data flows", || {
        let stats = valed.ctl(&["stats", "vale1:c", "--json"]).stdout;
        let stats = serde_json::from_slice::<serde_json::Value>(&stats).unwrap_or_default();
        stats["switches"][0]["ports"][0]["rx_frames"].as_u64().is_some_and(|n| n > 1000)
    });
    valed.signal(Signal::TERM);
    let ends = |tool: std::process::Child| {
        let output = tool.wait_with_output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = ends(receiver);
    assert!(code == Some(1) && out.contains("Received "), "{code:?} {out}");
    assert!(err.contains("\npkt-gen: valed was told to end\n"), "{err}");
    let (code, out, _) = ends(sender);
    assert_eq!(code, Some(1), "{out}");
    let lines = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let [.., error, interval, summary] = &lines.collect::<Vec<_>>()[..] else { panic!("{out}") };
    assert_eq!(error["message"], "valed was told to end", "{out}");
    assert_eq!((&interval["event"], &summary["complete"]), (&"interval".into(), &false.into()), "{out}");
    for (tool, total) in [(client, "sender"), (server, "receiver")] {
        let (code, out, err) = ends(tool);
        assert_eq!(code, Some(1), "a test was cut short: {err}");
        assert!(out.contains("- - - -") && out.contains(total), "{out}{err}");
        assert!(err.contains("valed was told to end"), "{err}");
        assert!(!err.contains("hung up") && !err.contains("terminated"), "it is said once: {err}");
    }
    let (code, out, err) = valed.end();
    assert_eq!(code, Some(0), "{err}");
    for port in ["vale0:rx ", "vale0:tx ", "vale1:s ", "vale1:c "] {
        assert!(out.contains(port), "{port} is in the summary: {out}");
    }
}
