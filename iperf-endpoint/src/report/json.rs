//! `-J`: one document a test, with the keys of stock iperf3.

use super::document::{Document, Rate, StreamIntervalJson, StreamJson, SumJson};
use super::text::sum;
use super::{date, document};
use crate::config::Direction;
use crate::event::{Event, Failure, FailureKind, Interval, Role, StreamEnd, TestEnd, TestStart, Total};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::SystemTime;

/// Collects the documents of the tests that are under way.
#[derive(Default)]
pub(super) struct Json {
    documents: BTreeMap<u32, Document>,
    /// Why the endpoint is coming to an untimely end.
    broken: Option<String>,
    /// What it was last at has its document.
    told: bool,
}

impl Json {
    pub(super) fn print(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Listening { .. } => self.told = false,
            Event::Done { .. } => {}
            Event::Error(failure) => return self.error(failure, out),
            Event::Finished { test } => {
                return self.documents.remove(test).map_or(Ok(()), |d| self.tell(d, out));
            }
            Event::Accepted { test, peer, cookie } => {
                let start = &mut self.document(*test).start;
                start.stamp(cookie, 0);
                start.accepted_connection =
                    Some(document::Peer { host: peer.ip().to_string(), port: peer.port() });
            }
            Event::Connecting { test, host, port, cookie, mss, .. } => {
                let start = &mut self.document(*test).start;
                start.stamp(cookie, *mss);
                start.connecting_to = Some(document::Peer { host: host.clone(), port: *port });
            }
            Event::Connected { test, socket, local, remote } => {
                self.document(*test).start.connected.push(document::Connected {
                    socket: *socket,
                    local_host: *local.ip(),
                    local_port: local.port(),
                    remote_host: *remote.ip(),
                    remote_port: remote.port(),
                });
            }
            Event::TestStart(start) => self.document(start.test).begin(start),
            Event::Interval(interval) => self.document(interval.test).add_interval(interval),
            Event::TestEnd(end) => self.document(end.test).finish(end),
        }
        Ok(())
    }

    fn document(&mut self, test: u32) -> &mut Document {
        self.documents.entry(test).or_default()
    }

    /// An error belongs into the document of its test; one that has no test gets a document of its own.
    fn error(&mut self, failure: &Failure, out: &mut dyn Write) -> io::Result<()> {
        let prefix = if failure.kind == FailureKind::Interrupt { "interrupt - " } else { "" };
        let error = Some(format!("{prefix}{}", failure.message));
        match failure.test {
            Some(test) => {
                self.document(test).error = error;
                Ok(())
            }
            None => self.tell(Document { error, ..Document::default() }, out),
        }
    }

    /// From now on that is the error of every test.
    pub(super) fn broken(&mut self, why: &str) {
        self.broken = Some(why.to_owned());
    }

    /// Nothing more will come: what was under way is told as far as it got, or that there was nothing.
    pub(super) fn close(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for document in std::mem::take(&mut self.documents).into_values() {
            self.tell(document, out)?;
        }
        if self.broken.is_none() || self.told { Ok(()) } else { self.tell(Document::default(), out) }
    }

    fn tell(&mut self, document: Document, out: &mut dyn Write) -> io::Result<()> {
        self.told = true;
        let error = self.broken.clone().or(document.error);
        write(&Document { error, ..document }, out)
    }
}

/// Indented by tabs, as stock iperf3 does.
fn write(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, formatter);
    serde::Serialize::serialize(document, &mut serializer)?;
    writeln!(out)
}

impl document::Start {
    fn stamp(&mut self, cookie: &str, mss: u32) {
        let timesecs = date::seconds(SystemTime::now());
        self.timestamp = Some(document::Timestamp { time: date::text(timesecs), timesecs });
        self.cookie = Some(cookie.to_owned());
        self.tcp_mss_default = Some(mss);
    }
}

impl Document {
    fn begin(&mut self, t: &TestStart) {
        self.role = Some((t.role, t.direction, usize::from(t.parallel.max(1))));
        let start = &mut self.start;
        if t.mss.is_some() {
            (start.tcp_mss, start.tcp_mss_default) = (t.mss, None);
        }
        let window = t.window.unwrap_or(0);
        (start.sock_bufsize, start.sndbuf_actual, start.rcvbuf_actual) =
            (Some(window), Some(window), Some(window));
        start.target_bitrate = Some(t.bitrate);
        start.test_start = Some(document::TestStartJson::new(t));
    }

    /// The streams of each direction, by the suffix of their sums: with `--bidir` what the server sends is the
    /// reverse, on either side.
    fn groups<'a, S>(&self, streams: &'a [S], sender: fn(&S) -> bool) -> Vec<(bool, &'a [S])> {
        let Some((role, direction, parallel)) = self.role else { return Vec::new() };
        let reverse = |g: &[S]| {
            let sends = g.first().is_some_and(sender);
            direction == Direction::Both && sends == (role == Role::Server)
        };
        streams.chunks(parallel).map(|g| (reverse(g), g)).collect()
    }

    fn add_interval(&mut self, i: &Interval) {
        let seconds = i.end - i.start;
        let rate = |bytes| Rate::new(i.start, i.end, seconds, bytes);
        let streams = i.streams.iter().map(|s| StreamIntervalJson {
            socket: s.socket,
            rate: rate(s.bytes),
            tcp: s.tcp.map(Into::into),
            omitted: i.omitted,
            sender: s.tcp.is_some(),
        });
        let mut json =
            document::IntervalJson { streams: streams.collect(), sum: None, sum_bidir_reverse: None };
        for (reverse, group) in self.groups(&i.streams, |s| s.tcp.is_some()) {
            let sender = group.first().is_some_and(|s| s.tcp.is_some());
            let again = group.iter().filter_map(|s| s.tcp).map(|t| t.retransmits).sum();
            let sum = SumJson {
                rate: rate(group.iter().map(|s| s.bytes).sum()),
                retransmits: sender.then_some(again),
                omitted: Some(i.omitted),
                sender,
            };
            *(if reverse { &mut json.sum_bidir_reverse } else { &mut json.sum }) = Some(sum);
        }
        self.intervals.push(json);
    }

    fn finish(&mut self, t: &TestEnd) {
        let mut end =
            document::End { streams: t.streams.iter().map(StreamJson::new).collect(), ..Default::default() };
        for (reverse, group) in self.groups(&t.streams, |s| s.sender) {
            let StreamEnd { sent, received, retransmits, sender, .. } = sum(group);
            // What the peer has not told is zero, as on a stock server.
            let json = |t: Option<Total>, retransmits| {
                let Total { seconds, bytes } = t
                    .or(sent)
                    .or(received)
                    .map(|s| Total { bytes: t.map_or(0, |t| t.bytes), ..s })
                    .unwrap_or_default();
                Some(SumJson {
                    rate: Rate::new(0.0, seconds, seconds, bytes),
                    retransmits,
                    omitted: None,
                    sender,
                })
            };
            let (sent, received) = (json(sent, retransmits), json(received, None));
            if reverse {
                (end.sum_sent_bidir_reverse, end.sum_received_bidir_reverse) = (sent, received);
            } else {
                (end.sum_sent, end.sum_received) = (sent, received);
            }
        }
        end.cpu_utilization_percent = Some(document::CpuJson::new(t.host_cpu, t.remote_cpu));
        let last_sends = t.streams.last().is_some_and(|s| s.sender);
        let (ours, theirs) = (t.congestion.clone(), t.remote_congestion.clone());
        (end.sender_tcp_congestion, end.receiver_tcp_congestion) =
            if last_sends { (ours, theirs) } else { (theirs, ours) };
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors of the documents that come of these events, a break and the end.
    fn errors(events: &[Event]) -> Vec<String> {
        let (mut json, mut out) = (Json::default(), Vec::new());
        events.iter().for_each(|event| json.print(event, &mut out).unwrap());
        json.broken("gone");
        json.close(&mut out).unwrap();
        let documents = serde_json::Deserializer::from_slice(&out).into_iter::<serde_json::Value>();
        documents.map(|d| d.unwrap()["error"].as_str().unwrap_or("none").to_owned()).collect()
    }

    #[test]
    fn what_breaks_has_one_document_and_what_was_told_no_other() {
        let accepted =
            |test| Event::Accepted { test, peer: "10.0.0.3:5201".parse().unwrap(), cookie: "c".to_owned() };
        let listening = |test| Event::Listening { port: 5201, test };
        assert_eq!(errors(&[]), ["gone"]);
        assert_eq!(errors(&[listening(1), accepted(1), accepted(2)]), ["gone", "gone"]);
        let over = [listening(1), accepted(1), Event::Finished { test: 1 }];
        assert_eq!(errors(&over), ["none"]);
        assert_eq!(errors(&[&over[..], &[listening(2)]].concat()), ["none", "gone"]);
    }
}
