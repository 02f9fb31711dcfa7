//! What pkt-gen prints, for programs, spreadsheets and people.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Valed, program, signal_to, text};

const SENDING: [&str; 8] = ["-i", "null", "-f", "tx", "-n", "900", "-T", "50"];

fn send(flags: &[&str]) -> Output {
    let mut pkt_gen = program(env!("CARGO_BIN_EXE_pkt-gen"), Path::new("/nonexistent"));
    pkt_gen.args(SENDING).args(["-R", "3000"]).args(flags).output().unwrap()
}

#[test]
fn json_is_an_object_a_line_and_the_intervals_add_up() {
    let output = send(&["--json"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let out = text(&output.stdout);
    let objects: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, intervals) = objects.split_last().unwrap();
    assert_eq!((&summary["event"], summary["packets"].as_u64()), (&"summary".into(), Some(900)));
    assert_eq!(summary["start"]["rate_pps"], 3000);
    assert!(intervals.iter().all(|object| object["event"] == "interval"), "{out}");
    let sum = |key: &str| intervals.iter().map(|object| object[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("packets"), sum("bytes")), (900, 54_000));
    assert_eq!(intervals.last().unwrap()["elapsed_us"], sum("interval_us"));
}

#[test]
fn csv_has_a_header_and_its_columns_everywhere() {
    let output = send(&["--csv"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && err.starts_with("Sent 900 packets 54000 bytes"), "{err}");
    let rows: Vec<Vec<_>> = out.lines().map(|line| line.split(',').collect()).collect();
    let packets = rows[0].iter().position(|name| *name == "packets").unwrap();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{out}");
    assert_eq!(rows[1..].iter().map(|row| row[packets].parse::<u64>().unwrap()).sum::<u64>(), 900);
}

/// A line of either stream is one write, and stays whole beside those of other programs; a datagram is a write.
#[test]
fn a_line_is_one_write() {
    for flags in [&["-R", "3000", "-C", "64"][..], &["-R", "3000", "--csv"], &["-i", "nosuch0"]] {
        let (stream, writes) = UnixDatagram::pair().unwrap();
        writes.set_nonblocking(true).unwrap();
        let clone = OwnedFd::from(stream.try_clone().unwrap());
        let mut pkt_gen = program(env!("CARGO_BIN_EXE_pkt-gen"), Path::new("/nonexistent"));
        pkt_gen.args(SENDING).args(["-T", "200"]).args(flags).stdout(OwnedFd::from(stream)).stderr(clone);
        let mut pkt_gen = pkt_gen.spawn().unwrap();
        let (mut buffer, mut told) = ([0; 8192], 0);
        loop {
            let over = pkt_gen.try_wait().unwrap().is_some();
            while let Ok(n) = writes.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..n]);
                assert!(line.ends_with('\n'), "{line:?}");
                told += 1;
            }
            if over {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(told > 0, "{flags:?}");
    }
}

#[test]
fn a_stream_that_takes_nothing_is_named() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut pkt_gen = program(env!("CARGO_BIN_EXE_pkt-gen"), Path::new("/nonexistent"));
    let output = pkt_gen.args(SENDING).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("pkt-gen: standard output: No space left on device"), "{said}");
}

/// As timeout(1) does it: to the program and then to its group.
#[test]
fn an_interrupt_that_comes_twice_is_one() {
    let mut told = 0;
    while told < 3 {
        let mut pkt_gen = program(env!("CARGO_BIN_EXE_pkt-gen"), Path::new("/nonexistent"));
        pkt_gen.args(["-i", "null", "-f", "tx", "-R", "1000"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut pkt_gen = pkt_gen.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(pkt_gen.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let begin = Instant::now();
        signal_to(&pkt_gen, Signal::INT);
        std::thread::sleep(Duration::from_millis(1)); // else the two are one for the kernel too
        signal_to(&pkt_gen, Signal::INT);
        let together = begin.elapsed() < Duration::from_millis(100);
        stdout.read_to_string(&mut line).unwrap();
        let status = pkt_gen.wait().unwrap();
        if together {
            assert!(status.success() && line.contains("\nSpeed: "), "{status} {line}");
            told += 1;
        }
    }
}

/// `script` runs a program on a terminal of its own.
#[test]
fn on_a_terminal_the_interval_redraws_and_in_a_pipe_it_does_not() {
    let command = format!("{} {} -R 3000", env!("CARGO_BIN_EXE_pkt-gen"), SENDING.join(" "));
    let run = |term: &str| {
        let mut script = Command::new("script");
        let script = script.args(["-qec", &command, "/dev/null"]).env("TERM", term).stdin(Stdio::null());
        text(&script.output().unwrap().stdout)
    };
    let live = run("xterm");
    assert!(live.contains("avg_batch\u{1b}[K\r") && !live.contains("main_thread"), "{live:?}");
    let (_, results) = live.rsplit_once("\r\u{1b}[K").unwrap();
    assert!(results.starts_with("Sent 900 packets"), "{results:?}");
    for plain in [run("dumb"), text(&send(&[]).stderr)] {
        assert!(plain.contains("main_thread [") && !plain.contains('\u{1b}'), "{plain:?}");
    }
}

#[test]
fn a_short_run_is_shown_frame_by_frame() {
    let valed = Valed::start();
    for port in ["null", "vale0:1"] {
        let args = ["-i", port, "-f", "tx", "-n", "3000", "-X"];
        let output = program(env!("CARGO_BIN_EXE_pkt-gen"), &valed.socket()).args(args).output().unwrap();
        let out = text(&output.stdout);
        let shown = out.lines().filter(|line| line.starts_with("ring 0x0 cur")).count();
        assert_eq!((shown, out.contains("not shown")), (3000, false), "{port}");
    }
}
