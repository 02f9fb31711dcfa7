//! A report for programs: a JSON object a line, one an interval and a summary of the run (`--json`).
//!
//! Keys are stable, and say their units: `_us` microseconds, `_ns` nanoseconds, `bps` bits and `pps` packets a second.
//! Numbers are whole but for means. What a function has to say besides packets is an object of its own, by its
//! name, in the interval or summary that it belongs to.

mod more;
mod start;

use std::io::{self, Write};

use more::{More, Recent};
use serde::Serialize;
use start::Start;

use super::lines::{Clock, Lines};
use super::throughput::Throughput;
use super::window::Window;
use crate::{Config, Event, Rate, Style};

/// JSON lines of one run.
pub(super) struct Json {
    config: Config,
    clock: Clock,
    start: Option<Start>,
    elapsed_us: u64,
    failed: bool,
    /// Over the last reports, if that is asked (`-A`).
    recent: Option<(Window, Recent)>,
    /// What was said since the last line.
    more: More,
}

/// One line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
enum Line<'a> {
    Interval {
        /// From the begin of the run to the end of the interval.
        elapsed_us: u64,
        interval_us: u64,
        #[serde(flatten)]
        figures: Figures,
        /// Least room seen in the receive ring; null for ports that do not tell.
        min_space_slots: Option<u64>,
        #[serde(flatten)]
        more: &'a More,
    },
    Summary {
        /// The run came to its end: by itself, or by a signal if it had none (`-n`).
        complete: bool,
        duration_us: u64,
        #[serde(flatten)]
        figures: Figures,
        /// Packets of these that the port failed to send.
        send_errors: u64,
        /// Packets besides these that came and the port dropped.
        receive_drops: u64,
        #[serde(flatten)]
        more: &'a More,
        start: &'a Option<Start>,
    },
    /// One that was sent or received (`-X`); those whose numbers are missing were left out.
    Frame {
        /// Frames before it.
        number: u64,
        /// Its length, bytes.
        len: u32,
        /// Its first bytes, in hexadecimal.
        bytes: String,
    },
    Error {
        message: &'a str,
    },
}

/// What went through.
#[derive(Serialize)]
struct Figures {
    packets: u64,
    /// Of frames without FCS, as all but `wire_bps`.
    bytes: u64,
    batches: u64,
    pps: u64,
    bps: u64,
    /// With FCS, preamble and gap of an Ethernet.
    wire_bps: u64,
    packets_per_batch: f64,
    /// Mean; null where nothing went through.
    bytes_per_packet: Option<u64>,
}

impl From<Throughput> for Figures {
    fn from(through: Throughput) -> Self {
        let Throughput { packets, bytes, batches, .. } = through;
        Self {
            packets,
            bytes,
            batches,
            pps: whole(through.pps()),
            bps: whole(through.bps(0)),
            wire_bps: whole(through.bps(Rate::FRAMING)),
            packets_per_batch: (through.batch() * 100.0).round() / 100.0,
            bytes_per_packet: through.mean_bytes(),
        }
    }
}

impl Json {
    pub(super) fn new(config: Config, style: Style, clock: Clock) -> Self {
        let recent = style.average.then(Default::default);
        Self { config, clock, start: None, elapsed_us: 0, failed: false, recent, more: More::default() }
    }
}

/// To the next whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is as good")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn print(line: &Line<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)?;
    out.flush()
}

impl Lines for Json {
    /// Everything goes to `out`, and why a run failed also to `err`, for people.
    fn event(&mut self, event: &Event, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Start { src_mac, burst, period_ns } => {
                let now = (self.clock)();
                self.start = Some(Start::new(&self.config, now, *src_mac, *burst, *period_ns));
                Ok(())
            }
            Event::Ready | Event::Waiting | Event::Span { .. } => Ok(()),
            Event::Ping(pings) | Event::PingTotal(pings) => {
                self.more.ping = Some(pings.into());
                Ok(())
            }
            Event::Delay(delays) | Event::DelayTotal(delays) => {
                self.more.delay = Some(delays.into());
                Ok(())
            }
            Event::Order(order) | Event::OrderTotal(order) => {
                self.more.order = Some(*order);
                Ok(())
            }
            Event::Ignored { packets } => {
                self.more.ignored_packets = Some(*packets);
                Ok(())
            }
            Event::Sequence(_) => Ok(()), // their sum is in the order
            Event::Dump { number, len, bytes } => {
                let bytes = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                print(&Line::Frame { number: *number, len: *len, bytes }, out)
            }
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                self.elapsed_us += usec;
                let through = Throughput::of_interval([*packets, *bytes, *batches], *usec);
                if let Some((window, recent)) = &mut self.recent {
                    let (mean, deviation) = window.add(through.pps());
                    *recent = Recent::new(mean, deviation);
                }
                let figures = through.into();
                let more = &std::mem::take(&mut self.more);
                let (elapsed_us, interval_us, min_space_slots) = (self.elapsed_us, *usec, *min_space);
                print(&Line::Interval { elapsed_us, interval_us, figures, min_space_slots, more }, out)
            }
            Event::Final { packets, bytes, events, errors, drops, seconds } => {
                let (packets, bytes, batches, seconds) = (*packets, *bytes, *events, *seconds);
                self.more.recent = self.recent.as_ref().map(|(_, recent)| *recent);
                let line = Line::Summary {
                    complete: !self.failed && packets >= self.config.count,
                    duration_us: whole(seconds * 1e6),
                    figures: Throughput { packets, bytes, batches, seconds }.into(),
                    send_errors: *errors,
                    receive_drops: *drops,
                    more: &self.more,
                    start: &self.start,
                };
                print(&line, out)
            }
            Event::Note { message } => self.notice(message, err),
            Event::Failed { message } => {
                self.failed = true;
                self.notice(&format!("pkt-gen: {message}"), err)?;
                print(&Line::Error { message }, out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ports::Mac;
    use serde_json::Value;

    use super::*;
    use crate::{Format, Function, Latency, Pings, Printer};

    fn print(config: Config, events: &[Event]) -> (Vec<Value>, String) {
        print_in(Style { format: Format::Json, ..Style::default() }, config, events)
    }

    fn print_in(style: Style, config: Config, events: &[Event]) -> (Vec<Value>, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer::with_clock(config, style, || Duration::from_micros(1_700_000_130_360_039));
        for event in events {
            printer.event(event, &mut out, &mut err).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        let objects = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (objects, String::from_utf8(err).unwrap())
    }

    fn interval(packets: u64, usec: u64) -> Event {
        let bytes = packets * 60;
        Event::Interval { packets, bytes, usec, batches: packets / 10, min_space: Some(7) }
    }

    #[test]
    fn the_summary_has_mean_and_deviation_if_asked() {
        let run = [
            interval(100, 1_000_000),
            interval(0, 1_000_000),
            interval(200, 1_000_000),
            Event::Final { packets: 300, bytes: 18_000, events: 30, errors: 0, drops: 0, seconds: 3.0 },
        ];
        let style = Style { format: Format::Json, average: true, ..Style::default() };
        let (objects, _) = print_in(style, Config::new("p", Function::Rx), &run);
        let expected = serde_json::json!({"mean_pps": 150.0, "deviation_pps": 50.0});
        assert_eq!((objects.len(), &objects[3]["recent"]), (4, &expected));
        assert!(objects[2].get("recent").is_none());
        let (objects, _) = print(Config::new("p", Function::Rx), &run);
        assert!(objects[3].get("recent").is_none(), "nobody asked");
    }

    #[test]
    fn an_object_a_line_and_the_numbers_in_their_units() {
        let config = Config { rate: Rate::Pps(1000), ..Config::new("vale0:tx", Function::Tx) };
        let events = [
            Event::Start { src_mac: Mac::ZERO, burst: 3, period_ns: 3_000_000 },
            Event::Ready,
            interval(500, 500_000),
            interval(0, 500_000),
            Event::Final { packets: 500, bytes: 30_000, events: 50, errors: 2, drops: 0, seconds: 1.0 },
        ];
        let (objects, err) = print(config, &events);
        assert_eq!(err, "");
        let [first, second, summary] = &objects[..] else { panic!("{objects:?}") };
        assert_eq!(
            *first,
            serde_json::json!({
                "event": "interval", "elapsed_us": 500_000, "interval_us": 500_000, "packets": 500,
                "bytes": 30_000, "batches": 50, "pps": 1000, "bps": 480_000, "wire_bps": 672_000,
                "packets_per_batch": 10.0, "bytes_per_packet": 60, "min_space_slots": 7,
            })
        );
        assert_eq!(second["elapsed_us"], 1_000_000);
        assert_eq!(second["bytes_per_packet"], Value::Null);
        assert_eq!(
            *summary,
            serde_json::json!({
                "event": "summary", "complete": true, "duration_us": 1_000_000, "packets": 500, "bytes": 30_000,
                "batches": 50, "pps": 500, "bps": 240_000, "wire_bps": 336_000, "packets_per_batch": 10.0,
                "bytes_per_packet": 60, "send_errors": 2, "receive_drops": 0,
                "start": {
                    "port": "vale0:tx", "function": "tx", "unix_us": 1_700_000_130_360_039_u64,
                    "frames": {
                        "least_bytes": 60, "most_bytes": 60, "src": "10.0.0.1", "dst": "10.1.0.1",
                        "src_mac": "00:00:00:00:00:00", "dst_mac": "ff:ff:ff:ff:ff:ff",
                    },
                    "replay": null,
                    "burst_packets": 3, "period_ns": 3_000_000,
                    "threads": 1, "rate_pps": 1000, "rate_bps": null, "rate_framing_bytes": 0,
                },
            })
        );
    }

    #[test]
    fn failures_are_objects_and_lines_for_people() {
        let failed = Event::Failed { message: "\"p\": no".to_owned() };
        let end = Event::Final { packets: 0, bytes: 0, events: 0, errors: 0, drops: 4, seconds: 0.0 };
        let (objects, err) = print(Config::new("p", Function::Rx), &[failed, end]);
        assert_eq!((&objects[1]["send_errors"], &objects[1]["receive_drops"]), (&0.into(), &4.into()));
        assert_eq!(objects[0], serde_json::json!({"event": "error", "message": "\"p\": no"}));
        assert_eq!((&objects[1]["complete"], &objects[1]["start"]), (&Value::Bool(false), &Value::Null));
        assert_eq!(err, "pkt-gen: \"p\": no\n");
    }

    #[test]
    fn who_answers_loses_on_both_ways() {
        let end = Event::Final { packets: 1, bytes: 60, events: 1, errors: 2, drops: 5, seconds: 1.0 };
        let (objects, _) = print(Config::new("p", Function::Pong), &[end]);
        assert_eq!((&objects[0]["send_errors"], &objects[0]["receive_drops"]), (&2.into(), &5.into()));
    }

    #[test]
    fn pings_are_an_object_in_their_interval_and_in_the_summary() {
        let pings = |sent| Pings {
            since_us: 5,
            interval_us: 6,
            sent,
            received: 2,
            lost: 1,
            late: 0,
            duplicate: 0,
            stray: 0,
            rtt: Latency::of([100, 101, 101]),
        };
        let events = [
            Event::Ping(pings(3)),
            interval(3, 1_000_000),
            interval(3, 1_000_000),
            Event::PingTotal(pings(6)),
            Event::Final { packets: 6, bytes: 360, events: 6, errors: 0, drops: 0, seconds: 2.0 },
        ];
        let (objects, _) = print(Config::new("p", Function::Ping), &events);
        let sent = |object: &Value| object["ping"]["sent"].as_u64();
        assert_eq!(objects.iter().map(sent).collect::<Vec<_>>(), [Some(3), None, Some(6)]);
        let ping = objects[0]["ping"].as_object().unwrap();
        assert!(
            !ping.contains_key("interval_us") && !ping["rtt"].as_object().unwrap().contains_key("histogram")
        );
        assert_eq!((&ping["rtt"]["p99_ns"], &ping["rtt"]["mean_ns"]), (&101.into(), &100.667.into()));
    }
}
