//! What functions differ in, and latencies, in words: netmap's, and ours where it has none.

use super::latencies::percent;
use crate::{Delays, Function, Latency, Pings};

/// How netmap's first line begins.
pub(super) const fn first_verb(function: Function) -> &'static str {
    match function {
        Function::Tx | Function::Txseq => "Sending on",
        Function::Rx | Function::Rxseq => "Receiving from",
        Function::Ping | Function::Pong => "Working on",
    }
}

/// How the totals begin.
pub(super) const fn last_verb(function: Function) -> &'static str {
    match function {
        Function::Tx | Function::Txseq | Function::Ping => "Sent",
        Function::Rx | Function::Rxseq => "Received",
        Function::Pong => "Answered",
    }
}

/// The function of netmap's pkt-gen that does this, as its lines name it.
pub(super) const fn body(function: Function) -> &'static str {
    match function {
        Function::Tx => "sender_body",
        Function::Rx => "receiver_body",
        Function::Txseq => "txseq_body",
        Function::Rxseq => "rxseq_body",
        Function::Ping => "ping_body",
        Function::Pong => "pong_body",
    }
}

/// What the port failed to send, if anything.
pub(super) fn unsent(errors: u64) -> Option<String> {
    (errors > 0).then(|| format!("the port failed to send {errors} of these packets"))
}

/// What came and the port dropped, if anything.
pub(super) fn dropped(drops: u64) -> Option<String> {
    (drops > 0).then(|| format!("the port dropped {drops} packets more than these"))
}

/// The latencies of an interval, for a line that has little room.
pub(super) fn in_short(what: &str, latency: &Latency) -> String {
    if latency.count() == 0 {
        return format!("{what} none");
    }
    let [p50, p99] = [0.5, 0.99].map(|share| latency.quantile_ns(share));
    format!("{what} p50 {p50} p99 {p99} max {} ns", latency.max_ns())
}

/// netmap's line of an interval: how many, the shortest, the average.
pub(super) fn interval(what: &str, latency: &Latency) -> String {
    let (count, min, mean) = (latency.count(), latency.min_ns(), latency.mean_ns());
    format!("count {count} {what}: min {min} av {mean:.0} ns")
}

/// netmap's histogram of an interval: how many took from 2^k ns on, for each k between the limits named.
pub(super) fn powers_of_two(latency: &Latency) -> Option<String> {
    let (first, counts) = latency.powers_of_two();
    let last = first + u32::try_from(counts.len()).ok()?.checked_sub(1)?;
    let counts: String = counts.iter().map(|n| format!(" {n:5}")).collect();
    Some(format!("k: {} .. {}\n\t{counts}", 1u64 << first, 1u64 << last))
}

/// netmap's last line.
pub(super) fn whole(what: &str, latency: &Latency) -> String {
    let (count, min, mean) = (latency.count(), latency.min_ns(), latency.mean_ns());
    format!("{what} over {count} packets: min {min} av {mean:.0} ns")
}

/// All that netmap does not say of latencies.
pub(super) fn quantiles(what: &str, latency: &Latency) -> String {
    if latency.count() == 0 {
        return format!("{what}: nothing came.");
    }
    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|share| latency.quantile_ns(share));
    let (min, max, mean, stddev) =
        (latency.min_ns(), latency.max_ns(), latency.mean_ns(), latency.stddev_ns());
    format!(
        "{what} ns: min {min} p50 {p50} p90 {p90} p99 {p99} p99.9 {p999} max {max} mean {mean:.0} stddev {stddev:.0}"
    )
}

/// What became of pings.
pub(super) fn pings(p: &Pings) -> String {
    let Pings { sent, received, lost, late, duplicate, stray, .. } = p;
    let share = percent(*lost, *sent);
    let seconds = p.interval_us as f64 / 1e6;
    let mut text = format!(
        "Sent {sent} pings, received {received}, lost {lost} ({share:.3} %), late {late}, duplicate {duplicate}"
    );
    if *stray > 0 {
        text += &format!(", stray {stray}");
    }
    text + &format!(" in {seconds:.2} seconds.")
}

/// What became of stamped frames.
pub(super) fn delays(d: &Delays) -> String {
    let Delays { received, lost, .. } = d;
    format!("Received {received} stamped packets, lost {lost} ({:.3} %).", percent(*lost, received + lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_netmaps() {
        let rtt = Latency::of([300, 400, 600, 1100]);
        assert_eq!(interval("RTT", &rtt), "count 4 RTT: min 300 av 600 ns");
        assert_eq!(powers_of_two(&rtt).unwrap(), "k: 256 .. 1024\n\t     2     1     1");
        assert_eq!(whole("RTT", &rtt), "RTT over 4 packets: min 300 av 600 ns");
        let none = Latency::of([]);
        assert_eq!(interval("RTT", &none), "count 0 RTT: min 0 av 0 ns");
        assert_eq!(powers_of_two(&none), None);
        assert_eq!(in_short("RTT", &none), "RTT none", "no round trip is not one of 0 ns");
        assert_eq!(in_short("RTT", &rtt), "RTT p50 400 p99 1100 max 1100 ns");
    }

    #[test]
    fn loss_and_quantiles_have_a_line_each() {
        let rtt = Latency::of(1..=1000);
        let pings = |stray| Pings {
            since_us: 0,
            interval_us: 1_500_000,
            sent: 1010,
            received: 1000,
            lost: 10,
            late: 3,
            duplicate: 2,
            stray,
            rtt: rtt.clone(),
        };
        let text = "Sent 1010 pings, received 1000, lost 10 (0.990 %), late 3, duplicate 2";
        assert_eq!(super::pings(&pings(0)), format!("{text} in 1.50 seconds."));
        assert_eq!(super::pings(&pings(7)), format!("{text}, stray 7 in 1.50 seconds."));
        assert_eq!(
            quantiles("RTT", &rtt),
            "RTT ns: min 1 p50 500 p90 900 p99 990 p99.9 999 max 1000 mean 500 stddev 289"
        );
        assert_eq!(quantiles("RTT", &Latency::of([])), "RTT: nothing came.");
        let delays =
            |received, lost| Delays { since_us: 0, interval_us: 1, received, lost, delay: Latency::of([]) };
        assert_eq!(super::delays(&delays(75, 25)), "Received 75 stamped packets, lost 25 (25.000 %).");
        assert_eq!(super::delays(&delays(0, 0)), "Received 0 stamped packets, lost 0 (0.000 %).");
    }
}
