//! The totals of a run that breaks off: what its intervals have told of.

use std::io;

use crate::{Config, Delays, Event, Function, Latency, Order, Pings};

/// Sums of the intervals of a run.
pub(super) struct SoFar {
    packets: u64,
    bytes: u64,
    batches: u64,
    usec: u64,
    more: More,
}

/// What a function counts besides packets.
enum More {
    Nothing,
    Pings(Pings),
    Delays(Delays),
    Order(Order),
}

impl More {
    fn of(config: &Config) -> Self {
        let (since_us, interval_us, received, lost) = (0, 0, 0, 0);
        let none = Latency::of([]);
        match config.function {
            Function::Ping => {
                let (sent, late, duplicate, stray, rtt) = (0, 0, 0, 0, none);
                let pings =
                    Pings { since_us, interval_us, sent, received, lost, late, duplicate, stray, rtt };
                Self::Pings(pings)
            }
            Function::Rx if config.stamp => {
                Self::Delays(Delays { since_us, interval_us, received, lost, delay: none })
            }
            Function::Rxseq => Self::Order(Order::default()),
            _ => Self::Nothing,
        }
    }

    fn add(&mut self, event: &Event) {
        match (self, event) {
            (Self::Pings(all), Event::Ping(pings)) => all.add(pings),
            (Self::Delays(all), Event::Delay(delays)) => all.add(delays),
            (Self::Order(all), Event::Order(order)) => *all = *order, // it is of the whole run so far
            _ => {}
        }
    }
}

impl SoFar {
    /// Nothing so far.
    pub(super) fn new(config: &Config) -> Self {
        Self { packets: 0, bytes: 0, batches: 0, usec: 0, more: More::of(config) }
    }

    /// Adds what is of an interval.
    pub(super) fn add(&mut self, event: &Event) {
        let Event::Interval { packets, bytes, usec, batches, .. } = event else {
            return self.more.add(event);
        };
        self.packets += packets;
        self.bytes += bytes;
        self.batches += batches;
        self.usec += usec;
    }

    /// Tells of the totals, as the run itself does at its end.
    ///
    /// # Errors
    /// Those of `tell`.
    pub(super) fn tell(&self, mut tell: impl FnMut(&Event) -> io::Result<()>) -> io::Result<()> {
        match &self.more {
            More::Nothing => {}
            More::Pings(pings) => tell(&Event::PingTotal(pings.clone()))?,
            More::Delays(delays) => tell(&Event::DelayTotal(delays.clone()))?,
            More::Order(order) => tell(&Event::OrderTotal(*order))?,
        }
        let Self { packets, bytes, batches, usec, .. } = *self;
        let seconds = usec as f64 / 1e6;
        tell(&Event::Final { packets, bytes, events: batches, errors: 0, drops: 0, seconds })
    }
}

#[cfg(test)]
mod tests {
    use ports::Mac;

    use super::*;
    use crate::{Format, Printer, Style};

    /// What a run that breaks off after these events says to stdout.
    fn broken_off(format: Format, config: Config, events: &[Event]) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(config, Style { format, ..Style::default() });
        let start = Event::Start { src_mac: Mac::ZERO, burst: 1, period_ns: 0 };
        for event in [start].iter().chain(events) {
            printer.event(event, &mut out, &mut err).unwrap();
        }
        printer.broken_off("valed hung up", &mut out, &mut err).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn pings(since_us: u64, sent: u64, rtt: Latency) -> Event {
        let (interval_us, received) = (500_000, rtt.count());
        let (lost, late, duplicate, stray) = (1, 2, 3, 4);
        Event::Ping(Pings { since_us, interval_us, sent, received, lost, late, duplicate, stray, rtt })
    }

    #[test]
    fn pings_and_their_round_trips_add_up() {
        let events = [pings(0, 3, Latency::of([100, 110])), pings(500_000, 2, Latency::of([900]))];
        let ping = || Config::new("p", Function::Ping);
        let out = broken_off(Format::Text, ping(), &events);
        let sums = "\nSent 5 pings, received 3, lost 2 (40.000 %), late 4, duplicate 6, stray 8 in 1.00 seconds.\n\
                    RTT ns: min 100 p50 110 p90 900 p99 900 p99.9 900 max 900 mean 370 ";
        assert!(out.contains(sums), "{out}");
        let out = broken_off(Format::Json, ping(), &events);
        let summary: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!((&summary["ping"]["sent"], &summary["ping"]["rtt"]["count"]), (&5.into(), &3.into()));
        assert_eq!(summary["complete"], false);
        let out = broken_off(Format::Text, ping(), &[]);
        assert!(
            out.contains("\nSent 0 pings, received 0, lost 0 ") && out.ends_with("\nRTT: nothing came.\n")
        );
    }

    #[test]
    fn delays_add_up_and_what_is_lost_is_so_already() {
        let delays = |since_us, lost, delay: Latency| {
            let received = delay.count();
            Event::Delay(Delays { since_us, interval_us: 1000, received, lost, delay })
        };
        let events = [delays(0, 7, Latency::of([5, 6])), delays(1000, 2, Latency::of([7]))];
        let config = Config { stamp: true, ..Config::new("p", Function::Rx) };
        let out = broken_off(Format::Text, config, &events);
        let sums = "\nReceived 3 stamped packets, lost 2 (40.000 %).\nDelay ns: min 5 p50 6 ";
        assert!(out.contains(sums) && out.ends_with("Received nothing.\n"), "{out}");
    }

    #[test]
    fn the_order_is_the_last_one_told() {
        let order = |lost| Event::Order(Order { lost, duplicated: 1, reordered: 0, untracked: 0 });
        let out = broken_off(Format::Text, Config::new("p", Function::Rxseq), &[order(9), order(4)]);
        assert!(out.contains("\nSequence: 4 lost, 1 duplicated, "), "{out}");
    }
}
