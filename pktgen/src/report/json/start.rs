//! How a run was begun.

use std::fmt::Display;
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
    /// What is sent; null where nothing is made.
    frames: Option<Frames>,
    /// The capture that is sent; null without one.
    replay: Option<Replay>,
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
    #[serde(flatten)]
    ends: Ends,
}

/// Where they come from and go to; null of rubbish (`-r`), which is not written.
#[derive(Serialize)]
struct Ends {
    src: Option<String>,
    dst: Option<String>,
    src_mac: Option<String>,
    dst_mac: Option<String>,
}

/// The capture that is sent.
#[derive(Serialize)]
struct Replay {
    file: String,
    /// Times as fast as it was captured; null where the rate says how fast.
    speed: Option<f64>,
    /// Zero for no end.
    loops: u64,
}

impl From<&crate::Replay> for Replay {
    fn from(replay: &crate::Replay) -> Self {
        Self {
            file: replay.file.display().to_string(),
            speed: replay.timing.map(crate::Speed::factor),
            loops: replay.loops,
        }
    }
}

impl Frames {
    fn new(config: &Config, src_mac: Mac) -> Self {
        let (frames, sequenced) = (&config.frames, config.function.is_sequenced());
        let stretched = frames.stretched(sequenced).and_then(|len| u32::try_from(len).ok());
        let told = |end: &dyn Display| (!config.sends_rubbish()).then(|| end.to_string());
        let (src, dst) = (told(&frames.src), told(&frames.dst));
        let ends = Ends { src, dst, src_mac: told(&src_mac), dst_mac: told(&frames.dst_mac) };
        Self {
            least_bytes: stretched.unwrap_or_else(|| frames.size.shortest()),
            most_bytes: frames.size.longest(),
            ends,
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
        let Config { port, function, rate, replay, threads, .. } = config;
        let limit = Some(rate.per_s()).filter(|limit| *limit > 0);
        let (rate_pps, rate_bps, rate_framing_bytes) = match *rate {
            Rate::Pps(_) => (limit, None, 0),
            Rate::Bps { framing, .. } => (None, limit, framing),
        };
        Self {
            port: port.clone(),
            function: *function,
            unix_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            frames: config.makes_frames().then(|| Frames::new(config, src_mac)),
            replay: replay.as_ref().map(Replay::from),
            burst_packets,
            period_ns,
            threads: threads.count,
            rate_pps,
            rate_bps,
            rate_framing_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn told(config: &Config) -> serde_json::Value {
        serde_json::to_value(Start::new(config, Duration::ZERO, Mac::ZERO, 1, 0)).unwrap()
    }

    #[test]
    fn frames_are_those_that_are_sent() {
        let replay = crate::Replay { file: "/c.pcap".into(), timing: "0.5".parse().ok(), loops: 3 };
        let replayed = told(&Config { replay: Some(replay), ..Config::new("p", Function::Tx) });
        assert_eq!(replayed["frames"], serde_json::Value::Null, "they are as in the file");
        assert_eq!(replayed["replay"], serde_json::json!({"file": "/c.pcap", "speed": 0.5, "loops": 3}));
        let (src, dst) = (crate::Frames::SRC_V6.into(), crate::Frames::DST_V6.into());
        let frames = crate::Frames { size: Size::Imix, src, dst, ..Default::default() };
        let mixed = told(&Config { frames, ..Config::new("p", Function::Txseq) });
        assert_eq!(mixed["frames"]["least_bytes"], 66, "as long as its headers and number");
        let frames = crate::Frames { rubbish: true, ..Default::default() };
        let rubbish = told(&Config { frames: frames.clone(), ..Config::new("p", Function::Tx) });
        assert_eq!(
            rubbish["frames"],
            serde_json::json!({
                "least_bytes": 60, "most_bytes": 60, "src": null, "dst": null, "src_mac": null, "dst_mac": null,
            })
        );
        let ping = told(&Config { frames, ..Config::new("p", Function::Ping) });
        assert_eq!(ping["frames"]["src"], "10.0.0.1", "its frames are written");
    }
}
