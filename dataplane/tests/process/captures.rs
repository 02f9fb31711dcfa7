//! Captures: as ports, and sent again.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ports::pcap::Capture;
use rustix::process::Signal;

use crate::common::{Valed, program, signal_to, text, wait};

/// `pkt-gen` in a directory, with a socket that is in there, too.
fn pkt_gen(dir: &Path, args: &str) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_pkt-gen"), &dir.join("s"));
    command.current_dir(dir).args(args.split_whitespace());
    command
}

/// What it printed and said, and that it ended as it should.
#[track_caller]
fn run(dir: &Path, args: &str, succeeds: bool) -> (String, String) {
    let Output { status, stdout, stderr } = pkt_gen(dir, args).output().unwrap();
    let (out, err) = (text(&stdout), text(&stderr));
    assert_eq!(status.success(), succeeds, "{args}: {out}{err}");
    (out, err)
}

/// A directory with a capture of a hundred frames, and the same without its last byte.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), "-i pcap:c.pcap -f tx -n 100 -l 100", true);
    let bytes = std::fs::read(dir.path().join("c.pcap")).unwrap();
    std::fs::write(dir.path().join("cut.pcap"), &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(dir.path().join("header.pcap"), &bytes[..24]).unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    std::fs::write(dir.path().join("text"), "a line of text that is no capture of anything\n").unwrap();
    dir
}

#[test]
fn what_one_writes_another_reads_and_answers() {
    let dir = directory();
    let (out, _) = run(dir.path(), "-i pcap:c.pcap", true);
    assert!(out.contains("Received 100 packets 10000 bytes"), "it ends with its file: {out}");
    assert!(out.contains(" in 0.00 seconds.\nSpeed: 0.000 pps Bandwidth: 0.000 bps "), "all at once: {out}");
    let (out, _) = run(dir.path(), "-i pcap:c.pcap --json", true);
    assert!(out.lines().last().unwrap().contains(r#""bytes":10000,"batches":1,"pps":0,"bps":0,"#), "{out}");
    run(dir.path(), "-i pcap:c.pcap,answers.pcap -f pong", true);
    let answers = Capture::load(&dir.path().join("answers.pcap")).unwrap();
    let asked = Capture::load(&dir.path().join("c.pcap")).unwrap();
    assert_eq!(answers.len(), 100);
    assert_eq!(asked.frame(0)[26..30], answers.frame(0)[30..34], "addresses change places");
}

/// All that it says to have sent is in the file.
#[test]
fn an_interrupted_writer_leaves_a_whole_file() {
    let dir = directory();
    for (signal, name) in [(Signal::INT, "int.pcap"), (Signal::TERM, "term.pcap")] {
        let mut tool = pkt_gen(dir.path(), &format!("-i pcap:{name} -f tx -R 20000 -l 1000"));
        let tool = tool.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let file = dir.path().join(name);
        wait("frames are in the file", || std::fs::metadata(&file).is_ok_and(|m| m.len() > 100_000));
        signal_to(&tool, signal);
        let output = tool.wait_with_output().unwrap();
        let capture = Capture::load(&file).unwrap();
        assert_eq!((output.status.code(), capture.broken()), (Some(0), None));
        let total = format!("Sent {} packets", capture.len());
        assert!(text(&output.stdout).contains(&total), "{total}: {}", text(&output.stdout));
    }
}

/// The daemon reads the file, from a directory of its own, by a path that is relative for who asks.
#[test]
fn a_capture_is_replayed_on_a_switch() {
    let dir = directory();
    let valed = Valed::start_in(dir, &[]);
    let dir = valed.dir.path();
    let mut receiver = pkt_gen(dir, "-i vale0:rx -f rx -n 250");
    let receiver = receiver.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait("attached", || valed.ctl_ok(&[]).starts_with("vale0:rx "));
    let (out, _) = run(dir, "-i vale0:tx -f tx -P c.pcap -n 250", true);
    assert!(out.contains("Sent 250 packets 25000 bytes") && out.contains("/c.pcap."), "{out}");
    let received = text(&receiver.wait_with_output().unwrap().stdout);
    assert!(received.contains("Received 250 packets 25000 bytes"), "{received}");
    let (out, err) = run(dir, "-i vale0:tx -f tx -P cut.pcap", false);
    assert!(out.contains("Sent 99 packets"), "totals are printed: {out}");
    assert!(err.contains("cut.pcap breaks off at byte 11508, after 99 frames"), "{err}");
    let (_, err) = run(dir, "-i vale0:tx -f tx -P nosuch", false);
    assert_eq!(err.lines().count(), 1);
    assert!(err.ends_with("/nosuch: open: No such file or directory (os error 2)\n"), "{err}");
    assert_eq!(valed.ctl_ok(&[]), "", "nothing stays behind");
}

#[test]
fn bad_captures_are_refused_in_one_line() {
    let dir = directory();
    let tests = [
        ("-i pcap:empty", "pkt-gen: empty: an empty file"),
        ("-i pcap:text", "pkt-gen: text: neither pcap nor pcapng"),
        ("-i pcap:header.pcap", "pkt-gen: header.pcap: no frames in it"),
        ("-i pcap:.", "pkt-gen: .: not a regular file"),
        ("-i pcap:nosuch", "pkt-gen: nosuch: open: No such file or directory (os error 2)"),
        ("-i pcap:no/such -f tx", "pkt-gen: no/such: create: No such file or directory (os error 2)"),
        ("-i pcap:/dev/full -f tx", "pkt-gen: /dev/full: write: No space left on device (os error 28)"),
        (
            "-i pcap:c.pcap -f pong",
            "pkt-gen: pcap:c.pcap: this takes two files, to read and to write (try: pcap:c.pcap,WRITE)",
        ),
        (
            "-i pcap:c.pcap,c.pcap -f pong",
            "pkt-gen: c.pcap: is read, and would be written over (try: another file after the comma)",
        ),
        (
            "-i pcap:c.pcap -f tx -P c.pcap",
            "pkt-gen: c.pcap: is read, and would be written over (try: another file after the comma)",
        ),
        (
            "-i null -f rx -P c.pcap",
            "pkt-gen: -P: only for -f tx (try: -i pcap:FILE, which is received from)",
        ),
        (
            "-i vale0:x@pcap",
            "pkt-gen: vale0:x@pcap: a capture is on no switch (try: pcap:FILE, or pkt-gen -f tx -P FILE on a switch)",
        ),
    ];
    for (args, says) in tests {
        let (out, err) = run(dir.path(), args, false);
        assert_eq!((out.as_str(), err.as_str()), ("", format!("{says}\n").as_str()), "{args}");
    }
    assert_eq!(Capture::load(&dir.path().join("c.pcap")).unwrap().len(), 100, "nothing was written over");
    let (out, err) = run(dir.path(), "-i pcap:cut.pcap", false);
    assert!(out.contains("Received 99 packets"), "totals are printed: {out}");
    assert!(
        err.contains("pkt-gen: pcap:cut.pcap: cut.pcap breaks off at byte 11508, after 99 frames\n"),
        "{err}"
    );
}
