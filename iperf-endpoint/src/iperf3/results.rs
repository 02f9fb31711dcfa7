//! The results that both sides exchange after a test, by stream id.

use super::lenient::{Int, Real};
use crate::event::Cpu;
use serde::{Deserialize, Serialize};

/// A year: what a peer claims beyond that is nonsense.
const MAX_SECONDS: f64 = 365.0 * 86_400.0;

/// What one side knows of one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StreamResult {
    /// 1, 3, 4, 5 and so on: stock iperf3 skips 2.
    pub(crate) id: i64,
    pub(crate) bytes: u64,
    /// Of the sender; `None` from a receiver, which does not know.
    pub(crate) retransmits: Option<u64>,
    pub(crate) seconds: f64,
}

/// What one side tells the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Results {
    pub(crate) cpu: Cpu,
    /// Whether the senders of this side count retransmits: -1 if it has no sender.
    pub(crate) has_retransmits: i64,
    pub(crate) congestion: Option<String>,
    pub(crate) streams: Vec<StreamResult>,
}

#[derive(Serialize)]
struct OutgoingStream {
    id: i64,
    bytes: u64,
    retransmits: i64,
    jitter: u32,
    errors: u32,
    packets: u32,
    start_time: u32,
    end_time: f64,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    cpu_util_total: f64,
    cpu_util_user: f64,
    cpu_util_system: f64,
    sender_has_retransmits: i64,
    congestion_used: Option<&'a str>,
    streams: Vec<OutgoingStream>,
}

#[derive(Deserialize)]
struct IncomingStream {
    id: Int,
    bytes: Int,
    retransmits: Int,
    #[serde(default)]
    start_time: Real,
    #[serde(default)]
    end_time: Real,
}

#[derive(Deserialize)]
struct Incoming {
    cpu_util_total: Real,
    cpu_util_user: Real,
    cpu_util_system: Real,
    sender_has_retransmits: Int,
    #[serde(default)]
    congestion_used: Option<String>,
    streams: Vec<IncomingStream>,
}

/// The id of the stream that was opened as number `index`, counted from zero.
pub(crate) fn stream_id(index: usize) -> i64 {
    let n = i64::try_from(index).unwrap_or(i64::MAX - 2);
    if n == 0 { 1 } else { n + 2 }
}

impl Results {
    /// The message. Where both sides send, an unknown retransmit count is 0: stock iperf3 prints a -1 from the
    /// other side as 4294967295.
    pub(crate) fn to_json(&self, unknown_retransmits: i64) -> Vec<u8> {
        let stream = |s: &StreamResult| OutgoingStream {
            id: s.id,
            bytes: s.bytes,
            retransmits: s.retransmits.map_or(unknown_retransmits, |n| n.min(i64::MAX as u64).cast_signed()),
            jitter: 0,
            errors: 0,
            packets: 0,
            start_time: 0,
            end_time: s.seconds,
        };
        let outgoing = Outgoing {
            cpu_util_total: self.cpu.total,
            cpu_util_user: self.cpu.user,
            cpu_util_system: self.cpu.system,
            sender_has_retransmits: self.has_retransmits,
            congestion_used: self.congestion.as_deref(),
            streams: self.streams.iter().map(stream).collect(),
        };
        serde_json::to_vec(&outgoing).unwrap_or_default()
    }

    /// What the peer says; `None` if it cannot be read.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let r: Incoming = serde_json::from_slice(json).ok()?;
        let streams = r.streams.iter().map(|s| StreamResult {
            id: s.id.0,
            bytes: u64::try_from(s.bytes.0).unwrap_or(0),
            retransmits: u64::try_from(s.retransmits.0).ok(),
            seconds: (s.end_time.0 - s.start_time.0).clamp(0.0, MAX_SECONDS),
        });
        Some(Self {
            cpu: Cpu { total: r.cpu_util_total.0, user: r.cpu_util_user.0, system: r.cpu_util_system.0 },
            has_retransmits: r.sender_has_retransmits.0,
            streams: streams.collect(),
            congestion: r.congestion_used,
        })
    }

    pub(crate) fn stream(&self, id: i64) -> Option<&StreamResult> {
        self.streams.iter().find(|s| s.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_results_are_read() {
        let json = br#"{"cpu_util_total":47.01,"cpu_util_user":2.6,"cpu_util_system":44.3,
            "sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[
            {"id":1,"bytes":4650434560,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,
             "start_time":0,"end_time":1.000477},
            {"id":3,"bytes":7,"retransmits":2,"jitter":0,"errors":0,"packets":0}]}"#;
        let r = Results::parse(json).unwrap();
        assert_eq!(r.has_retransmits, -1);
        assert_eq!(r.congestion.as_deref(), Some("bbr"));
        assert_eq!(r.stream(1).map(|s| (s.bytes, s.retransmits)), Some((4_650_434_560, None)));
        assert_eq!(r.stream(3).map(|s| (s.retransmits, s.seconds)), Some((Some(2), 0.0)));
        assert_eq!(r.stream(2), None);
    }

    #[test]
    fn results_survive_the_round_trip() {
        let r = Results {
            cpu: Cpu { total: 3.5, user: 1.5, system: 2.0 },
            has_retransmits: 1,
            congestion: Some("cubic".into()),
            streams: vec![StreamResult { id: stream_id(0), bytes: 5, retransmits: None, seconds: 1.5 }],
        };
        assert_eq!(Results::parse(&r.to_json(-1)), Some(r.clone()));
        let shown = Results::parse(&r.to_json(0)).unwrap();
        assert_eq!(shown.streams[0].retransmits, Some(0));
    }

    #[test]
    fn the_second_id_is_skipped() {
        assert_eq!([0, 1, 2, 3].map(stream_id), [1, 3, 4, 5]);
    }

    #[test]
    fn broken_results_are_no_results() {
        for json in ["", "{}", "[]", "null", r#"{"streams":7}"#, r#"{"cpu_util_total":"x"}"#] {
            assert_eq!(Results::parse(json.as_bytes()), None, "{json}");
        }
    }
}
