//! The lines of stock iperf3 3.12, column for column.
//!
//! Where a server runs several tests at once their lines mix; the numbers in brackets tell them apart. A side
//! of a stream that the peer has not told about is left out.

use super::unit::{Unit, amount, rate};
use crate::config::Direction;
use crate::event::{
    Event, Failure, FailureKind, Interval, Role, StreamEnd, StreamInterval, TestEnd, TestStart, Total,
};
use std::collections::BTreeMap;
use std::io::{self, Write};

const RULE: &str = "-----------------------------------------------------------";
const SEPARATOR: &str = "- - - - - - - - - - - - - - - - - - - - - - - - -";

struct Record {
    start: TestStart,
    headed: bool,
}

pub(super) struct Text {
    unit: Unit,
    tests: BTreeMap<u32, Record>,
    /// Whether this is the report of a client.
    client: bool,
    /// The test that the server said last it waits for.
    awaited: Option<u32>,
}

/// What stands before the numbers of a line.
struct Label<'a> {
    id: &'a str,
    role: &'a str,
}

impl Label<'_> {
    fn span(&self, start: f64, end: f64) -> String {
        format!("[{:>3}]{} {start:>6.2}-{end:<6.2} sec", self.id, self.role)
    }
}

impl Text {
    pub(super) fn new(unit: Unit) -> Self {
        Self { unit, tests: BTreeMap::new(), client: false, awaited: None }
    }

    pub(super) fn print(
        &mut self,
        event: &Event,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        match event {
            // Of tests that ran side by side, the first to end has said so.
            Event::Listening { test, .. } if self.awaited.replace(*test) == Some(*test) => Ok(()),
            Event::Listening { port, test } => {
                writeln!(out, "{RULE}\nServer listening on {port} (test #{test})\n{RULE}")
            }
            Event::Accepted { peer, .. } => {
                writeln!(out, "Accepted connection from {}, port {}", peer.ip(), peer.port())
            }
            Event::Connecting { host, port, reverse, .. } => {
                self.client = true;
                writeln!(out, "Connecting to host {host}, port {port}")?;
                if *reverse { writeln!(out, "Reverse mode, remote host {host} is sending") } else { Ok(()) }
            }
            Event::Connected { socket, local, remote, .. } => {
                let (l, r) = (local, remote);
                let (ours, theirs) =
                    (format!("{} port {}", l.ip(), l.port()), format!("{} port {}", r.ip(), r.port()));
                writeln!(out, "[{socket:>3}] local {ours} connected to {theirs}")
            }
            Event::TestStart(start) => {
                self.tests.insert(start.test, Record { start: start.clone(), headed: false });
                Ok(())
            }
            Event::Interval(interval) => self.interval(interval, out),
            Event::TestEnd(end) => self.end(end, out),
            Event::Error(failure) => error(failure, err),
            Event::Finished { test } => {
                self.tests.remove(test);
                Ok(())
            }
            Event::Done { status: 0 } if self.client => writeln!(out, "\niperf Done."),
            Event::Done { .. } => Ok(()),
        }
    }

    fn interval(&mut self, i: &Interval, out: &mut dyn Write) -> io::Result<()> {
        let Some(record) = self.tests.get_mut(&i.test) else { return Ok(()) };
        let start = record.start.clone();
        if !std::mem::replace(&mut record.headed, true) {
            let columns = if sends(&start) { "         Retr  Cwnd" } else { "" };
            writeln!(out, "{}{columns}", header(start.direction))?;
        } else if start.parallel > 1 {
            writeln!(out, "{SEPARATOR}")?;
        }
        for group in i.streams.chunks(usize::from(start.parallel.max(1))) {
            let role = role(&start, group.first().is_some_and(|s| s.tcp.is_some()));
            for s in group {
                writeln!(out, "{}", self.interval_line(s, i, role))?;
            }
            if start.parallel > 1 {
                writeln!(out, "{}", self.interval_sum(group, i, role))?;
            }
        }
        Ok(())
    }

    fn interval_line(&self, s: &StreamInterval, i: &Interval, role: &str) -> String {
        let span = Label { id: &s.socket.to_string(), role }.span(i.start, i.end);
        let (moved, rate) = (amount(s.bytes), rate(s.bytes, i.end - i.start, self.unit));
        let omitted = if i.omitted { "(omitted)" } else { "" };
        match s.tcp {
            Some(t) => {
                let (again, cwnd) = (t.retransmits, amount(t.snd_cwnd));
                format!("{span}  {moved}s  {rate}s/sec  {again:>3}   {cwnd}s       {omitted}")
            }
            None => format!("{span}  {moved}s  {rate}s/sec                  {omitted}"),
        }
    }

    fn interval_sum(&self, group: &[StreamInterval], i: &Interval, role: &str) -> String {
        let bytes = group.iter().map(|s| s.bytes).sum();
        let span = Label { id: "SUM", role }.span(i.start, i.end);
        let (moved, rate) = (amount(bytes), rate(bytes, i.end - i.start, self.unit));
        let omitted = if i.omitted { "(omitted)" } else { "" };
        if group.iter().any(|s| s.tcp.is_some()) {
            let again: u64 = group.iter().filter_map(|s| s.tcp).map(|t| t.retransmits).sum();
            format!("{span}  {moved}s  {rate}s/sec  {again:>3}             {omitted}")
        } else {
            format!("{span}  {moved}s  {rate}s/sec                  {omitted}")
        }
    }

    fn end(&self, end: &TestEnd, out: &mut dyn Write) -> io::Result<()> {
        let Some(Record { start, .. }) = self.tests.get(&end.test) else { return Ok(()) };
        let retr = end.streams.iter().any(|s| s.retransmits.is_some());
        let columns = if retr { "         Retr" } else { "" };
        writeln!(out, "{SEPARATOR}\n{}{columns}", header(start.direction))?;
        for group in end.streams.chunks(usize::from(start.parallel.max(1))) {
            let role = role(start, group.first().is_some_and(|s| s.sender));
            for s in group {
                self.end_lines(&Label { id: &s.socket.to_string(), role }, s, out)?;
            }
            if start.parallel > 1 {
                self.end_lines(&Label { id: "SUM", role }, &sum(group), out)?;
            }
        }
        Ok(())
    }

    fn end_lines(&self, label: &Label<'_>, s: &StreamEnd, out: &mut dyn Write) -> io::Result<()> {
        let line = |t: Total| {
            let (moved, rate) = (amount(t.bytes), rate(t.bytes, t.seconds, self.unit));
            format!("{}  {moved}s  {rate}s/sec", label.span(0.0, t.seconds))
        };
        if let Some(sent) = s.sent {
            match s.retransmits {
                Some(again) => writeln!(out, "{}  {again:>3}{:13}sender", line(sent), "")?,
                None => writeln!(out, "{}{:18}sender", line(sent), "")?,
            }
        }
        if let Some(received) = s.received {
            writeln!(out, "{}{:18}receiver", line(received), "")?;
        }
        Ok(())
    }
}

fn sends(start: &TestStart) -> bool {
    match start.direction {
        Direction::Forward => start.role == Role::Client,
        Direction::Reverse => start.role == Role::Server,
        Direction::Both => true,
    }
}

fn header(direction: Direction) -> &'static str {
    if direction == Direction::Both {
        "[ ID][Role] Interval           Transfer     Bitrate"
    } else {
        "[ ID] Interval           Transfer     Bitrate"
    }
}

/// The second pair of brackets, with `--bidir`.
fn role(start: &TestStart, sender: bool) -> &'static str {
    match (start.direction, start.role, sender) {
        (Direction::Both, Role::Client, true) => "[TX-C]",
        (Direction::Both, Role::Client, false) => "[RX-C]",
        (Direction::Both, Role::Server, true) => "[TX-S]",
        (Direction::Both, Role::Server, false) => "[RX-S]",
        _ => "",
    }
}

/// All streams of one direction as one.
pub(super) fn sum(group: &[StreamEnd]) -> StreamEnd {
    let total = |side: fn(&StreamEnd) -> Option<Total>| {
        let seconds = group.iter().find_map(side)?.seconds;
        Some(Total { seconds, bytes: group.iter().filter_map(side).map(|t| t.bytes).sum() })
    };
    StreamEnd {
        socket: 0,
        sender: group.first().is_some_and(|s| s.sender),
        sent: total(|s| s.sent),
        received: total(|s| s.received),
        retransmits: group.iter().filter_map(|s| s.retransmits).reduce(|a, b| a + b),
        tcp: None,
    }
}

/// The words in front of a failure, in a line of its own or in a document.
fn error(failure: &Failure, err: &mut dyn Write) -> io::Result<()> {
    let prefix = match failure.kind {
        FailureKind::Error | FailureKind::Server => "error - ",
        FailureKind::Interrupt => "interrupt - ",
        FailureKind::Client => "",
    };
    writeln!(err, "iperf-endpoint: {prefix}{}", failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_once_that_it_waits_for_a_test() {
        let (mut text, mut out) = (Text::new(Unit::Adaptive), Vec::new());
        for test in [1, 3, 3, 4] {
            text.print(&Event::Listening { port: 5201, test }, &mut out, &mut io::sink()).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.matches("Server listening on 5201 (test #").count(), 3, "{out}");
    }
}
