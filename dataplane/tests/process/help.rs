//! `--help` on terminals of any width, and command lines that are none.

use std::fs::File;
use std::process::Command;

use crate::common::text;

const PROGRAMS: [&str; 4] = [
    env!("CARGO_BIN_EXE_valed"),
    env!("CARGO_BIN_EXE_vale-ctl"),
    env!("CARGO_BIN_EXE_pkt-gen"),
    env!("CARGO_BIN_EXE_iperf-endpoint"),
];

fn help(program: &str, columns: Option<usize>) -> String {
    let mut command = Command::new(program);
    command.arg("--help").env_remove("COLUMNS");
    if let Some(columns) = columns {
        command.env("COLUMNS", columns.to_string());
    }
    let output = command.output().unwrap();
    assert!(output.status.success());
    text(&output.stdout)
}

/// Two lines of one paragraph, the first of which had room for the next word.
fn ragged(help: &str, width: usize) -> Option<(&str, &str)> {
    let pairs = help.lines().zip(help.lines().skip(1));
    let mut prose = pairs.filter(|(a, b)| {
        let flush = |line: &str| line.starts_with(|c: char| !c.is_whitespace());
        flush(a) && flush(b) && !a.ends_with(':')
    });
    prose.find(|(a, b)| {
        let word = b.split_whitespace().next().unwrap_or_default();
        a.chars().count() + 1 + word.chars().count() <= width
    })
}

#[test]
fn paragraphs_fill_their_lines() {
    assert!(ragged("so\nis this\n", 80).is_some());
    for program in PROGRAMS {
        for (columns, width) in [(Some(80), 80), (Some(100), 100), (None, 100)] {
            let help = help(program, columns);
            let long = help.lines().find(|l| l.chars().count() > width);
            assert_eq!(long, None, "{program}, {width} columns");
            assert_eq!(ragged(&help, width), None, "{program}, {width} columns");
        }
    }
}

#[test]
fn every_backend_is_named() {
    let help = help(env!("CARGO_BIN_EXE_vale-ctl"), Some(80));
    for backend in ["afxdp", "@packet", "@tap", "@vhost-user", "@stream", "@dgram", "@null"] {
        assert!(help.contains(backend), "{backend}: {help}");
    }
}

/// What is meant to be typed is not broken into two lines.
#[test]
fn examples_stand_on_a_line_each() {
    for program in PROGRAMS {
        let help = help(program, Some(80));
        let (_, examples) = help.split_once("Examples:\n").unwrap();
        let examples = examples.lines().take_while(|l| !l.is_empty());
        let commands = examples.filter(|l| l.starts_with("  ") && !l.starts_with("   "));
        let name = program.rsplit('/').next().unwrap();
        for command in commands {
            assert!(command.trim_start().starts_with(name), "{command}");
        }
    }
}

/// Scripts know 1 from netmap's programs and iperf3, and look for nothing else.
#[test]
fn a_bad_command_line_is_status_1_and_help_is_0() {
    for program in PROGRAMS {
        let run = |flag: &str| Command::new(program).arg(flag).output().unwrap();
        let bad = run("--sideways");
        assert_eq!(bad.status.code(), Some(1), "{program}");
        assert!(text(&bad.stderr).contains("'--sideways'"), "{program}: {}", text(&bad.stderr));
        for flag in ["--help", "--version"] {
            let good = run(flag);
            assert_eq!(good.status.code(), Some(0), "{program} {flag}");
            assert!(!good.stdout.is_empty() && good.stderr.is_empty(), "{program} {flag}");
        }
    }
}

/// Who redirects it wants it whole; who pages it may have had enough.
#[test]
fn help_that_cannot_be_written_is_status_1() {
    for program in PROGRAMS {
        let name = program.rsplit('/').next().unwrap();
        for flag in ["--help", "--version"] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let lost = Command::new(program).arg(flag).stdout(full).output().unwrap();
            assert_eq!(lost.status.code(), Some(1), "{program} {flag}");
            let why = format!("{name}: standard output: No space left on device (os error 28)\n");
            assert_eq!(text(&lost.stderr), why, "{program} {flag}");
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let left = Command::new(program).arg(flag).stdout(writer).output().unwrap();
            assert_eq!(
                (left.status.code(), text(&left.stderr)),
                (Some(0), String::new()),
                "{program} {flag}"
            );
        }
    }
}
