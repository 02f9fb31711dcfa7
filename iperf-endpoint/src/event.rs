//! What an endpoint has to say, as data: everything a report needs, so that it can be made in another process.
//!
//! The order for one test is `Connecting` or `Accepted`, one `Connected` a stream, `TestStart`, `Interval`s,
//! `TestEnd`, `Finished`; an `Error` may come at any point and takes the place of what it prevented.
//! A server may run several tests at once: their events mix, and `test` tells them apart. `Done` is the last.

use crate::config::{Direction, Until};
use serde::{Deserialize, Serialize};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Where events go: a bounded channel, a socket, a `Vec`. Must not block.
pub type EventSink = Box<dyn FnMut(Event) + Send>;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server waits for its next test, which will be number `test`.
    Listening {
        /// TCP port.
        port: u16,
        /// Number of the next test, from 1.
        test: u32,
    },
    /// A client came and its parameters were taken.
    Accepted {
        /// Number of the test.
        test: u32,
        /// The client's end of the control connection.
        peer: SocketAddrV4,
        /// The client's cookie.
        cookie: String,
    },
    /// The client reached its server and sent the parameters.
    Connecting {
        /// Number of the test.
        test: u32,
        /// The server as the user named it.
        host: String,
        /// Its port.
        port: u16,
        /// Whether the server sends (`-R`).
        reverse: bool,
        /// Our cookie.
        cookie: String,
        /// Payload bytes of a full segment on the control connection.
        mss: u32,
    },
    /// A stream's data connection stands.
    Connected {
        /// Number of the test.
        test: u32,
        /// The number in brackets in the report; no two live streams of an endpoint share one.
        socket: u32,
        /// Our end.
        local: SocketAddrV4,
        /// The peer's end.
        remote: SocketAddrV4,
    },
    /// Data flows from now on.
    TestStart(TestStart),
    /// One reporting interval is over.
    Interval(Interval),
    /// The test is over, and this is what is known of it.
    TestEnd(TestEnd),
    /// Something went wrong.
    Error(Failure),
    /// Nothing more will be said of this test.
    Finished {
        /// Number of the test.
        test: u32,
    },
    /// The endpoint has nothing left to do.
    Done {
        /// Exit status of the program: 0 if all went well.
        status: i32,
    },
}

/// Which end of the control connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `-c`
    Client,
    /// `-s`
    Server,
}

/// The parameters of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestStart {
    /// Number of the test.
    pub test: u32,
    /// Which end we are.
    pub role: Role,
    /// Who sends.
    pub direction: Direction,
    /// Streams of each direction.
    pub parallel: u16,
    /// When the test ends.
    pub until: Until,
    /// Time before the test that does not count.
    pub omit: Duration,
    /// Bytes of a block.
    pub length: usize,
    /// Bits per second of each stream; zero is unlimited.
    pub bitrate: u64,
    /// Socket buffer asked for, bytes.
    pub window: Option<usize>,
    /// Segment size asked for, bytes.
    pub mss: Option<u16>,
    /// Time between interval reports; zero for none.
    pub interval: Duration,
}

/// What a sender's TCP said at the end of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SenderInterval {
    /// Segments sent again in this interval.
    pub retransmits: u64,
    /// Congestion window, bytes.
    pub snd_cwnd: u64,
    /// The peer's window, bytes.
    pub snd_wnd: u64,
    /// Round-trip time, microseconds.
    pub rtt_us: u64,
    /// Its mean deviation, microseconds.
    pub rttvar_us: u64,
    /// Path MTU, bytes.
    pub pmtu: u32,
}

/// One stream over one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamInterval {
    /// The number in brackets.
    pub socket: u32,
    /// Payload bytes that our side sent (`tcp` is there) or received.
    pub bytes: u64,
    /// Of a stream that our side sends.
    pub tcp: Option<SenderInterval>,
}

/// One interval of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Number of the test.
    pub test: u32,
    /// Seconds from the start of the test, or of its omitted part.
    pub start: f64,
    /// Seconds from there to the end of the interval.
    pub end: f64,
    /// Whether it lies in the omitted part.
    pub omitted: bool,
    /// In the order the streams were opened.
    pub streams: Vec<StreamInterval>,
}

impl Interval {
    /// Bytes and retransmits of all streams that our side sends (`sender`) or receives.
    #[must_use]
    pub fn sum(&self, sender: bool) -> (u64, u64) {
        self.streams
            .iter()
            .filter(|s| s.tcp.is_some() == sender)
            .fold((0, 0), |(bytes, again), s| (bytes + s.bytes, again + s.tcp.map_or(0, |t| t.retransmits)))
    }
}

/// What one end of a stream counted over the whole test, the omitted part left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// Length of the test by that end's clock, seconds.
    pub seconds: f64,
    /// Payload bytes.
    pub bytes: u64,
}

/// Extremes of what a sender's TCP said at the ends of the intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SenderTotal {
    /// Largest congestion window, bytes.
    pub max_snd_cwnd: u64,
    /// Largest window of the peer, bytes.
    pub max_snd_wnd: u64,
    /// Longest round-trip time, microseconds.
    pub max_rtt_us: u64,
    /// Shortest round-trip time, microseconds.
    pub min_rtt_us: u64,
    /// Their mean, microseconds.
    pub mean_rtt_us: u64,
}

/// One stream over the whole test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamEnd {
    /// The number in brackets.
    pub socket: u32,
    /// Whether our side sends.
    pub sender: bool,
    /// What the sending end counted; `None` where the peer has not told.
    pub sent: Option<Total>,
    /// What the receiving end counted; `None` where the peer has not told.
    pub received: Option<Total>,
    /// Segments sent again, where the sending end counts them.
    pub retransmits: Option<u64>,
    /// Of a stream that our side sends.
    pub tcp: Option<SenderTotal>,
}

/// Processor time over the test, percent of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// User and system.
    pub total: f64,
    /// In user mode.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

/// The whole test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestEnd {
    /// Number of the test.
    pub test: u32,
    /// In the order the streams were opened.
    pub streams: Vec<StreamEnd>,
    /// Of the thread that ran our end.
    pub host_cpu: Cpu,
    /// As the peer told; zero where it has not.
    pub remote_cpu: Cpu,
    /// Our congestion control.
    pub congestion: Option<String>,
    /// The peer's, where it told.
    pub remote_congestion: Option<String>,
}

/// How a failure came about, which decides the words in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// An error.
    Error,
    /// We were told to stop.
    Interrupt,
    /// The client ended the test.
    Client,
    /// The server ended the test.
    Server,
}

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Number of the test it concerns.
    pub test: Option<u32>,
    /// How it came about.
    pub kind: FailureKind,
    /// For users: names the thing and the way out.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_json() {
        let events = [
            Event::Listening { port: 5201, test: 1 },
            Event::Interval(Interval {
                test: 1,
                start: 0.0,
                end: 1.0,
                omitted: false,
                streams: vec![
                    StreamInterval { socket: 5, bytes: 7, tcp: Some(SenderInterval::default()) },
                    StreamInterval { socket: 7, bytes: 9, tcp: None },
                ],
            }),
            Event::Error(Failure { test: None, kind: FailureKind::Error, message: "x".into() }),
            Event::Done { status: 1 },
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }

    #[test]
    fn sums_go_by_direction() {
        let tcp = SenderInterval { retransmits: 2, ..SenderInterval::default() };
        let stream = |bytes, tcp| StreamInterval { socket: 5, bytes, tcp };
        let streams = vec![stream(1, Some(tcp)), stream(2, Some(tcp)), stream(4, None)];
        let interval = Interval { test: 1, start: 0.0, end: 1.0, omitted: false, streams };
        assert_eq!(interval.sum(true), (3, 4));
        assert_eq!(interval.sum(false), (4, 0));
    }
}
