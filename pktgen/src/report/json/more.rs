//! What a function has to say besides packets, an object by its name.

use serde::Serialize;

use crate::{Delays, Latency, Order, Pings};

/// What was said since the last line; what was not is left out.
#[derive(Default, Serialize)]
pub(super) struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ping: Option<Ping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay: Option<Delay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ignored_packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recent: Option<Recent>,
}

/// What came of pings.
#[derive(Serialize)]
pub(super) struct Ping {
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    duplicate: u64,
    stray: u64,
    rtt: Figures,
}

/// What came of stamped packets.
#[derive(Serialize)]
pub(super) struct Delay {
    received: u64,
    lost: u64,
    #[serde(flatten)]
    delay: Figures,
}

/// Latencies in figures; `--hdr` writes histograms.
#[derive(Serialize)]
struct Figures {
    count: u64,
    min_ns: u64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    max_ns: u64,
    mean_ns: f64,
    stddev_ns: f64,
}

/// Packets a second over the last 15 reports, those of nothing left out.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Recent {
    mean_pps: f64,
    /// Standard deviation.
    deviation_pps: f64,
}

impl From<&Pings> for Ping {
    fn from(pings: &Pings) -> Self {
        let Pings { sent, received, lost, late, duplicate, stray, ref rtt, .. } = *pings;
        Self { sent, received, lost, late, duplicate, stray, rtt: rtt.into() }
    }
}

impl From<&Delays> for Delay {
    fn from(delays: &Delays) -> Self {
        let Delays { received, lost, ref delay, .. } = *delays;
        Self { received, lost, delay: delay.into() }
    }
}

impl Recent {
    pub(super) fn new(mean_pps: f64, deviation_pps: f64) -> Self {
        Self { mean_pps: thousandths(mean_pps), deviation_pps: thousandths(deviation_pps) }
    }
}

impl From<&Latency> for Figures {
    fn from(latency: &Latency) -> Self {
        Self {
            count: latency.count(),
            min_ns: latency.min_ns(),
            p50_ns: latency.quantile_ns(0.5),
            p90_ns: latency.quantile_ns(0.9),
            p99_ns: latency.quantile_ns(0.99),
            p999_ns: latency.quantile_ns(0.999),
            max_ns: latency.max_ns(),
            mean_ns: thousandths(latency.mean_ns()),
            stddev_ns: thousandths(latency.stddev_ns()),
        }
    }
}

/// A mean to a thousandth.
fn thousandths(mean: f64) -> f64 {
    (mean * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_go_up_and_stand_where_they_are_looked_for() {
        let json = |more: &More| serde_json::to_string(more).unwrap();
        let (since_us, interval_us, received, lost) = (5, 6, 3, 1);
        let figures = r#""count":3,"min_ns":100,"p50_ns":101,"p90_ns":101,"p99_ns":101,"p999_ns":101,"max_ns":101,"mean_ns":100.667,"stddev_ns":0.471"#;
        let of = || Latency::of([100, 101, 101]);
        let mut more = More::default();
        assert_eq!(json(&more), "{}");
        more.delay = Some((&Delays { since_us, interval_us, received, lost, delay: of() }).into());
        assert_eq!(json(&more), format!(r#"{{"delay":{{"received":3,"lost":1,{figures}}}}}"#));
        let (sent, late, duplicate, stray, rtt) = (4, 0, 0, 0, of());
        let mut more = More::default();
        let pings = Pings { since_us, interval_us, sent, received, lost, late, duplicate, stray, rtt };
        more.ping = Some((&pings).into());
        let counts = r#""sent":4,"received":3,"lost":1,"late":0,"duplicate":0,"stray":0"#;
        assert_eq!(json(&more), format!(r#"{{"ping":{{{counts},"rtt":{{{figures}}}}}}}"#));
    }
}
