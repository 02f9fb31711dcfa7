//! The shape of the `-J` document: stock iperf3's keys, in stock iperf3's order.

use crate::config::{Direction, Until};
use crate::event::{Cpu, Role, SenderInterval, SenderTotal, StreamEnd, TestStart, Total};
use crate::iperf3::VERSION;
use serde::Serialize;
use std::net::Ipv4Addr;

#[derive(Debug, Default, Serialize)]
pub(super) struct Document {
    pub(super) start: Start,
    pub(super) intervals: Vec<IntervalJson>,
    pub(super) end: End,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Who we are, who sends, and streams of each direction.
    #[serde(skip)]
    pub(super) role: Option<(Role, Direction, usize)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Start {
    pub(super) connected: Vec<Connected>,
    version: &'static str,
    system_info: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connecting_to: Option<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accepted_connection: Option<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tcp_mss: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tcp_mss_default: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_bitrate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sock_bufsize: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sndbuf_actual: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rcvbuf_actual: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_start: Option<TestStartJson>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            connected: Vec::new(),
            version: VERSION,
            system_info: system_info(),
            timestamp: None,
            connecting_to: None,
            accepted_connection: None,
            cookie: None,
            tcp_mss: None,
            tcp_mss_default: None,
            target_bitrate: None,
            sock_bufsize: None,
            sndbuf_actual: None,
            rcvbuf_actual: None,
            test_start: None,
        }
    }
}

/// What `uname -snrvm` says.
fn system_info() -> String {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let [os, host, release, version] = ["ostype", "hostname", "osrelease", "version"].map(read);
    [&*os, &host, &release, &version, std::env::consts::ARCH].map(str::trim).join(" ")
}

#[derive(Debug, Serialize)]
pub(super) struct Connected {
    pub(super) socket: u32,
    pub(super) local_host: Ipv4Addr,
    pub(super) local_port: u16,
    pub(super) remote_host: Ipv4Addr,
    pub(super) remote_port: u16,
}

#[derive(Debug, Serialize)]
pub(super) struct Timestamp {
    pub(super) time: String,
    pub(super) timesecs: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Peer {
    pub(super) host: String,
    pub(super) port: u16,
}

#[derive(Debug, Serialize)]
pub(super) struct TestStartJson {
    protocol: &'static str,
    num_streams: u16,
    blksize: usize,
    omit: u64,
    duration: u64,
    bytes: u64,
    blocks: u64,
    reverse: u8,
    tos: u8,
    target_bitrate: u64,
    bidir: u8,
}

impl TestStartJson {
    pub(super) fn new(t: &TestStart) -> Self {
        let (duration, bytes, blocks) = match t.until {
            Until::Time(d) => (d.as_secs(), 0, 0),
            Until::Bytes(n) => (0, n, 0),
            Until::Blocks(n) => (0, 0, n),
        };
        Self {
            protocol: "TCP",
            num_streams: t.parallel,
            blksize: t.length,
            omit: t.omit.as_secs(),
            duration,
            bytes,
            blocks,
            reverse: u8::from(t.direction == Direction::Reverse),
            tos: 0,
            target_bitrate: t.bitrate,
            bidir: u8::from(t.direction == Direction::Both),
        }
    }
}

/// The numbers that every line has.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    start: f64,
    end: f64,
    seconds: f64,
    bytes: u64,
    bits_per_second: f64,
}

impl Rate {
    pub(super) fn new(start: f64, end: f64, seconds: f64, bytes: u64) -> Self {
        let bits_per_second = if seconds > 0.0 { bytes as f64 * 8.0 / seconds } else { 0.0 };
        Self { start, end, seconds, bytes, bits_per_second }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct SumJson {
    #[serde(flatten)]
    pub(super) rate: Rate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retransmits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) omitted: Option<bool>,
    pub(super) sender: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct TcpJson {
    retransmits: u64,
    snd_cwnd: u64,
    snd_wnd: u64,
    rtt: u64,
    rttvar: u64,
    pmtu: u32,
}

impl From<SenderInterval> for TcpJson {
    fn from(t: SenderInterval) -> Self {
        Self {
            retransmits: t.retransmits,
            snd_cwnd: t.snd_cwnd,
            snd_wnd: t.snd_wnd,
            rtt: t.rtt_us,
            rttvar: t.rttvar_us,
            pmtu: t.pmtu,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct StreamIntervalJson {
    pub(super) socket: u32,
    #[serde(flatten)]
    pub(super) rate: Rate,
    #[serde(flatten)]
    pub(super) tcp: Option<TcpJson>,
    pub(super) omitted: bool,
    pub(super) sender: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct IntervalJson {
    pub(super) streams: Vec<StreamIntervalJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum: Option<SumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum_bidir_reverse: Option<SumJson>,
}

#[derive(Debug, Serialize)]
struct ExtremesJson {
    max_snd_cwnd: u64,
    max_snd_wnd: u64,
    max_rtt: u64,
    min_rtt: u64,
    mean_rtt: u64,
}

/// One end of a stream over the whole test.
#[derive(Debug, Serialize)]
struct SideJson {
    socket: u32,
    #[serde(flatten)]
    rate: Rate,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmits: Option<u64>,
    #[serde(flatten)]
    extremes: Option<ExtremesJson>,
    sender: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct StreamJson {
    sender: SideJson,
    receiver: SideJson,
}

impl StreamJson {
    pub(super) fn new(s: &StreamEnd) -> Self {
        let side = |t: Option<Total>, retransmits, extremes| {
            let seconds = t.or(s.sent).or(s.received).map_or(0.0, |t| t.seconds);
            let rate = Rate::new(0.0, seconds, seconds, t.map_or(0, |t| t.bytes));
            SideJson { socket: s.socket, rate, retransmits, extremes, sender: s.sender }
        };
        // Where the sending end is the peer, stock iperf3 has the keys and no values.
        let extremes =
            s.tcp.or_else(|| s.retransmits.map(|_| SenderTotal::default())).map(|t| ExtremesJson {
                max_snd_cwnd: t.max_snd_cwnd,
                max_snd_wnd: t.max_snd_wnd,
                max_rtt: t.max_rtt_us,
                min_rtt: t.min_rtt_us,
                mean_rtt: t.mean_rtt_us,
            });
        Self { sender: side(s.sent, s.retransmits, extremes), receiver: side(s.received, None, None) }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CpuJson {
    host_total: f64,
    host_user: f64,
    host_system: f64,
    remote_total: f64,
    remote_user: f64,
    remote_system: f64,
}

impl CpuJson {
    pub(super) fn new(host: Cpu, remote: Cpu) -> Self {
        Self {
            host_total: host.total,
            host_user: host.user,
            host_system: host.system,
            remote_total: remote.total,
            remote_user: remote.user,
            remote_system: remote.system,
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct End {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) streams: Vec<StreamJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum_sent: Option<SumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum_received: Option<SumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum_sent_bidir_reverse: Option<SumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sum_received_bidir_reverse: Option<SumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_utilization_percent: Option<CpuJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sender_tcp_congestion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receiver_tcp_congestion: Option<String>,
}
