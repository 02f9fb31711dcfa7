//! The parameters of a test, as the client sends them to the server.

use super::lenient::{Flag, Int};
use super::refusal::Refusal;
use crate::config::{Bounds, ClientConfig, Direction, Until};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The stock keys. Present flags are `true`; what does not apply is left out.
#[derive(Debug, Default, Serialize)]
struct Outgoing {
    tcp: bool,
    omit: u64,
    time: u64,
    num: u64,
    blockcount: u64,
    #[serde(rename = "MSS", skip_serializing_if = "Option::is_none")]
    mss: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodelay: Option<bool>,
    parallel: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bidirectional: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    bandwidth: Option<u64>,
    pacing_timer: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    client_version: &'static str,
}

/// The version that we tell our peers and our JSON readers.
pub(crate) const VERSION: &str = concat!("iperf-endpoint ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incoming {
    tcp: Flag,
    udp: Flag,
    sctp: Flag,
    omit: Int,
    time: Int,
    num: Int,
    blockcount: Int,
    #[serde(rename = "MSS")]
    mss: Int,
    nodelay: Flag,
    parallel: Option<Int>,
    reverse: Flag,
    bidirectional: Flag,
    window: Int,
    len: Option<Int>,
    bandwidth: Int,
    burst: Int,
}

/// What both sides agree on for one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) direction: Direction,
    pub(crate) until: Until,
    pub(crate) omit: Duration,
    pub(crate) parallel: u16,
    /// Bytes of a block (`-l`).
    pub(crate) length: usize,
    /// Bits per second of each stream; zero is unlimited.
    pub(crate) bitrate: u64,
    /// Blocks sent back to back; zero leaves it to the pacer.
    pub(crate) burst: u32,
    pub(crate) window: Option<usize>,
    pub(crate) mss: Option<u16>,
    pub(crate) no_delay: bool,
}

impl From<&ClientConfig> for Params {
    fn from(c: &ClientConfig) -> Self {
        Self {
            direction: c.direction,
            until: c.until,
            omit: c.omit,
            parallel: c.parallel,
            length: c.length,
            bitrate: c.bitrate,
            burst: c.burst,
            window: c.window,
            mss: c.mss,
            no_delay: c.no_delay,
        }
    }
}

impl Params {
    /// The message that a client sends.
    pub(crate) fn to_json(self) -> Vec<u8> {
        let (time, num, blockcount) = match self.until {
            Until::Time(t) => (t.as_secs(), 0, 0),
            Until::Bytes(n) => (0, n, 0),
            Until::Blocks(n) => (0, 0, n),
        };
        let outgoing = Outgoing {
            tcp: true,
            omit: self.omit.as_secs(),
            time,
            num,
            blockcount,
            mss: self.mss,
            nodelay: self.no_delay.then_some(true),
            parallel: self.parallel,
            reverse: (self.direction == Direction::Reverse).then_some(true),
            bidirectional: (self.direction == Direction::Both).then_some(true),
            window: self.window,
            len: self.length,
            bandwidth: (self.bitrate > 0).then_some(self.bitrate),
            pacing_timer: 1000,
            burst: (self.burst > 0).then_some(self.burst),
            client_version: VERSION,
        };
        serde_json::to_vec(&outgoing).unwrap_or_default()
    }

    /// What a client asks for, if it can be had.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let p: Incoming = serde_json::from_slice(json).map_err(|_| Refusal::PARAMS)?;
        if p.sctp.0 {
            return Err(Refusal::NO_SCTP);
        }
        if p.udp.0 || !p.tcp.0 {
            return Err(Refusal::NO_PROTOCOL);
        }
        let direction = match (p.reverse.0, p.bidirectional.0) {
            (false, false) => Direction::Forward,
            (true, false) => Direction::Reverse,
            (false, true) => Direction::Both,
            (true, true) => return Err(Refusal::BOTH_WAYS),
        };
        let until = match (p.num.0, p.blockcount.0) {
            (1.., _) => Until::Bytes(p.num.0.unsigned_abs()),
            (_, 1..) => Until::Blocks(p.blockcount.0.unsigned_abs()),
            _ => Until::Time(Duration::from_secs(within(p.time, Bounds::TIME_S, Refusal::DURATION)?)),
        };
        let window = within(p.window, (0, Bounds::WINDOW), Refusal::WINDOW)?;
        let mss = within(p.mss, (0, Bounds::MSS.1), Refusal::MSS)?;
        Ok(Self {
            direction,
            until,
            omit: Duration::from_secs(within(p.omit, Bounds::OMIT_S, Refusal::OMIT)?),
            parallel: within(p.parallel.unwrap_or(Int(1)), Bounds::PARALLEL, Refusal::STREAMS)?,
            length: within(p.len.unwrap_or(Int(128 << 10)), Bounds::LENGTH, Refusal::BLOCK)?,
            bitrate: p.bandwidth.0.max(0).unsigned_abs(),
            burst: within(p.burst, Bounds::BURST, Refusal::BURST)?,
            window: (window > 0).then_some(window),
            mss: (mss > 0).then_some(mss),
            no_delay: p.nodelay.0,
        })
    }

    /// Data connections of the whole test.
    pub(crate) fn connections(&self) -> usize {
        usize::from(self.parallel) * if self.direction == Direction::Both { 2 } else { 1 }
    }
}

/// `value` if it lies in `range` and fits.
fn within<N: TryFrom<i64>>(value: Int, (low, high): (u64, u64), refusal: Refusal) -> Result<N, Refusal> {
    let inside = u64::try_from(value.0).is_ok_and(|v| (low..=high).contains(&v));
    N::try_from(value.0).ok().filter(|_| inside).ok_or(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stock 3.12 sends for `-c H -P 2 --bidir -b 10M/5 -O 1`.
    const STOCK: &str = r#"{"tcp":true,"omit":1,"time":10,"num":0,"blockcount":0,"parallel":2,
        "bidirectional":true,"len":131072,"bandwidth":10000000,"pacing_timer":1000,"burst":5,
        "client_version":"3.12"}"#;

    #[test]
    fn stock_parameters_are_read() {
        let p = Params::parse(STOCK.as_bytes()).unwrap();
        assert_eq!(p.direction, Direction::Both);
        assert_eq!(p.until, Until::Time(Duration::from_secs(10)));
        assert_eq!((p.parallel, p.connections(), p.burst), (2, 4, 5));
        assert_eq!(p.bitrate, 10_000_000);
    }

    #[test]
    fn what_we_send_we_read() {
        let mut p = Params::parse(STOCK.as_bytes()).unwrap();
        for until in [Until::Bytes(1 << 40), Until::Blocks(7), Until::Time(Duration::ZERO)] {
            for direction in [Direction::Forward, Direction::Reverse, Direction::Both] {
                p = Params { until, direction, window: Some(1 << 20), mss: Some(1400), no_delay: true, ..p };
                assert_eq!(Params::parse(&p.to_json()), Ok(p));
            }
        }
    }

    #[test]
    fn the_least_that_stock_servers_take_is_enough() {
        let p =
            Params::parse(br#"{"tcp":true,"omit":0,"time":1,"parallel":1,"client_version":"x"}"#).unwrap();
        assert_eq!(p.length, 128 << 10);
    }

    #[test]
    fn refusals_name_their_reason() {
        for (json, refusal) in [
            (r#"{"udp":true,"time":1,"parallel":1}"#, Refusal::NO_PROTOCOL),
            (r#"{"sctp":true,"time":1,"parallel":1}"#, Refusal::NO_SCTP),
            (r#"{}"#, Refusal::NO_PROTOCOL),
            (r#"{"tcp":true,"parallel":129}"#, Refusal::STREAMS),
            (r#"{"tcp":true,"parallel":0}"#, Refusal::STREAMS),
            (r#"{"tcp":true,"parallel":18446744073709551615}"#, Refusal::STREAMS),
            (r#"{"tcp":true,"parallel":"many"}"#, Refusal::PARAMS),
            (r#"{"tcp":true,"time":86401}"#, Refusal::DURATION),
            (r#"{"tcp":true,"omit":601}"#, Refusal::OMIT),
            (r#"{"tcp":true,"len":0}"#, Refusal::BLOCK),
            (r#"{"tcp":true,"len":1048577}"#, Refusal::BLOCK),
            (r#"{"tcp":true,"window":536870913}"#, Refusal::WINDOW),
            (r#"{"tcp":true,"MSS":32768}"#, Refusal::MSS),
            (r#"{"tcp":true,"burst":1001}"#, Refusal::BURST),
            (r#"{"tcp":true,"reverse":true,"bidirectional":true}"#, Refusal::BOTH_WAYS),
            ("7", Refusal::PARAMS),
            (r#"{"tcp":true"#, Refusal::PARAMS),
            ("", Refusal::PARAMS),
        ] {
            assert_eq!(Params::parse(json.as_bytes()), Err(refusal), "{json}");
        }
    }
}
