//! How a run was begun.

use std::time::Duration;

use ports::Mac;
use serde::Serialize;

use crate::{Config, Function, Rate};

/// How the run was begun.
#[derive(Serialize)]
pub(super) struct Start {
    port: String,
    function: Function,
    /// Wall clock, since the epoch.
    unix_us: u64,
    /// What is sent; null for functions that send nothing of their own.
    frames: Option<Frames>,
    burst_packets: u64,
    /// From burst to burst; zero as fast as there is room.
    period_ns: u64,
    threads: u32,
    /// What was asked for of each thread, in one or the other; null for no limit.
    rate_pps: Option<u64>,
    rate_bps: Option<u64>,
    /// Bytes a packet that count in `rate_bps` besides its own.
    rate_framing_bytes: u32,
}

/// The frames that are sent.
#[derive(Serialize)]
struct Frames {
    /// Without FCS.
    least_bytes: u32,
    most_bytes: u32,
    src: String,
    dst: String,
    src_mac: String,
    dst_mac: String,
}

impl Frames {
    fn new(frames: &crate::Frames, src_mac: Mac) -> Self {
        Self {
            least_bytes: frames.size.shortest(),
            most_bytes: frames.size.longest(),
            src: frames.src.to_string(),
            dst: frames.dst.to_string(),
            src_mac: src_mac.to_string(),
            dst_mac: frames.dst_mac.to_string(),
        }
    }
}

impl Start {
    /// Begun `now`, on the wall clock since the epoch.
    pub(super) fn new(
        config: &Config,
        now: Duration,
        src_mac: Mac,
        burst_packets: u64,
        period_ns: u64,
    ) -> Self {
        let Config { port, function, rate, frames, threads, .. } = config;
        let limit = Some(rate.per_s()).filter(|limit| *limit > 0);
        let (rate_pps, rate_bps, rate_framing_bytes) = match *rate {
            Rate::Pps(_) => (limit, None, 0),
            Rate::Bps { framing, .. } => (None, limit, framing),
        };
        Self {
            port: port.clone(),
            function: *function,
            unix_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            frames: function.sends().then(|| Frames::new(frames, src_mac)),
            burst_packets,
            period_ns,
            threads: threads.count,
            rate_pps,
            rate_bps,
            rate_framing_bytes,
        }
    }
}
