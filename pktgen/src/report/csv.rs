//! A report for spreadsheets: a header, and a line an interval (`--csv`).
//!
//! The totals are no line of the table, since every sum and every chart over a column would count them: they go to
//! stderr, in netmap's words.

use std::io::{self, Write};

use super::lines::{Clock, Lines};
use super::style::Format;
use super::text::Text;
use super::throughput::Throughput;
use crate::{Config, Event, Function, Latency, Style};

/// The columns of every function. Bytes and bits are those of frames without FCS; with `-B` bits also count FCS,
/// preamble and gap.
const COLUMNS: &str =
    "elapsed_s,interval_us,packets,bytes,batches,pps,bps,packets_per_batch,bytes_per_packet,min_space_slots";
/// Further ones, of pings. What was not measured is left empty.
const OF_PINGS: [&str; 9] = [
    "pings_sent",
    "pings_received",
    "pings_lost",
    "rtt_min_ns",
    "rtt_p50_ns",
    "rtt_p90_ns",
    "rtt_p99_ns",
    "rtt_p999_ns",
    "rtt_max_ns",
];
/// Further ones, of stamped frames.
const OF_DELAYS: [&str; 8] = [
    "stamped_received",
    "stamped_lost",
    "delay_min_ns",
    "delay_p50_ns",
    "delay_p90_ns",
    "delay_p99_ns",
    "delay_p999_ns",
    "delay_max_ns",
];
/// Further ones, of numbered frames: since the begin of the run, since what is lost may come late.
const OF_NUMBERS: [&str; 3] = ["lost_so_far", "duplicated_so_far", "reordered_so_far"];

/// The table of one run.
pub(super) struct Csv {
    framing: u32,
    elapsed_us: u64,
    /// The further columns of this function.
    further: &'static [&'static str],
    /// What goes into them in the next line.
    cells: Vec<u64>,
    /// For the totals.
    text: Text,
}

impl Csv {
    pub(super) fn new(config: Config, style: Style, clock: Clock) -> Self {
        let further: &[_] = match config.function {
            Function::Ping => &OF_PINGS,
            Function::Rx if config.stamp => &OF_DELAYS,
            Function::Rxseq => &OF_NUMBERS,
            _ => &[],
        };
        let framing = style.framing;
        let text = Text::new(config, Style { format: Format::Text, columns: || None, ..style }, clock);
        Self { framing, elapsed_us: 0, further, cells: Vec::new(), text }
    }

    fn header(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", [&[COLUMNS], self.further].concat().join(","))?;
        out.flush()
    }

    /// Numbers only, so that nothing needs quotes.
    fn row(
        &mut self,
        through: &Throughput,
        usec: u64,
        min_space: Option<u64>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.elapsed_us += usec;
        let elapsed_s = self.elapsed_us as f64 / 1e6;
        let Throughput { packets, bytes, batches, .. } = through;
        let (pps, bps, batch) = (through.pps(), through.bps(self.framing), through.batch());
        let known = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        let (each, room) = (known(through.mean_bytes()), known(min_space));
        write!(
            out,
            "{elapsed_s:.6},{usec},{packets},{bytes},{batches},{pps:.0},{bps:.0},{batch:.2},{each},{room}"
        )?;
        for column in 0..self.further.len() {
            write!(out, ",{}", known(self.cells.get(column).copied()))?;
        }
        self.cells.clear();
        writeln!(out)?;
        out.flush()
    }

    fn further<const N: usize>(&mut self, counts: [u64; N], latency: &Latency) {
        self.cells = counts.to_vec();
        if latency.count() > 0 {
            let quantiles = [0.5, 0.9, 0.99, 0.999].map(|share| latency.quantile_ns(share));
            self.cells.push(latency.min_ns());
            self.cells.extend(quantiles);
            self.cells.push(latency.max_ns());
        }
    }
}

impl Lines for Csv {
    fn event(&mut self, event: &Event, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Start { .. } => self.header(out)?,
            Event::Ready | Event::Waiting => {}
            Event::Ping(pings) => self.further([pings.sent, pings.received, pings.lost], &pings.rtt),
            Event::Delay(delays) => self.further([delays.received, delays.lost], &delays.delay),
            Event::Order(order) => self.cells = vec![order.lost, order.duplicated, order.reordered],
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                let through = Throughput::of_interval([*packets, *bytes, *batches], *usec);
                self.row(&through, *usec, *min_space, out)?;
            }
            other => {
                let mut totals = Vec::new();
                self.text.event(other, &mut totals, err)?;
                err.write_all(&totals)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ports::Mac;

    use super::*;
    use crate::{Order, Pings, Printer, Rate};

    #[test]
    fn every_line_has_the_headers_columns_and_totals_stay_out() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let style =
            Style { format: Format::Csv, framing: Rate::FRAMING, columns: || Some(80), ..Style::default() };
        let mut printer = Printer::new(Config::new("p", Function::Rx), style);
        let interval = |packets, usec, min_space| Event::Interval {
            packets,
            bytes: packets * 60,
            usec,
            batches: packets / 16,
            min_space,
        };
        for event in [
            Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
            Event::Ready,
            Event::Waiting,
            interval(0, 1_000_100, None),
            interval(320, 500_000, Some(1024)),
            Event::Final { packets: 320, bytes: 19_200, events: 20, errors: 0, drops: 0, seconds: 0.5 },
        ] {
            printer.event(&event, &mut out, &mut err).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(
            lines[1..],
            ["1.000100,1000100,0,0,0,0,0,0.00,,", "1.500100,500000,320,19200,20,640,430080,16.00,60,1024"]
        );
        let columns = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == columns), "{out}");
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "Received 320 packets 19200 bytes 20 events 60 bytes each in 0.50 seconds.\n\
             Speed: 640.000 pps Bandwidth: 307.200 Kbps (raw 430.080 Kbps). Average batch: 16.00 pkts\n"
        );
    }

    #[test]
    fn numbered_frames_have_columns_of_their_own() {
        let mut out = Vec::new();
        let style = Style { format: Format::Csv, ..Style::default() };
        let mut printer = Printer::new(Config::new("p", Function::Rxseq), style);
        for event in [
            Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
            Event::Order(Order { lost: 7, duplicated: 8, reordered: 9, untracked: 0 }),
            Event::Interval { packets: 3, bytes: 180, usec: 1_000_000, batches: 3, min_space: Some(64) },
        ] {
            printer.event(&event, &mut out, &mut io::sink()).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with(",60,64,7,8,9\n") && out.contains(",min_space_slots,lost_so_far,"), "{out}");
    }

    #[test]
    fn pings_have_columns_of_their_own() {
        let mut out = Vec::new();
        let style = Style { format: Format::Csv, ..Style::default() };
        let mut printer = Printer::new(Config::new("p", Function::Ping), style);
        let pings = |rtt| Pings {
            since_us: 0,
            interval_us: 0,
            sent: 3,
            received: 2,
            lost: 1,
            late: 0,
            duplicate: 0,
            stray: 0,
            rtt,
        };
        let interval =
            Event::Interval { packets: 3, bytes: 180, usec: 1_000_000, batches: 3, min_space: None };
        for event in [
            Event::Start { src_mac: Mac::ZERO, burst: 1, period_ns: 0 },
            Event::Ping(pings(Latency::of([100, 200]))),
            interval.clone(),
            Event::Ping(pings(Latency::of([]))),
            interval.clone(),
            interval,
        ] {
            printer.event(&event, &mut out, &mut io::sink()).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        let further: Vec<_> = out.lines().map(|line| line.split(',').skip(10).collect::<Vec<_>>()).collect();
        assert_eq!(further[0], OF_PINGS);
        assert_eq!(further[1], ["3", "2", "1", "100", "100", "200", "200", "200", "200"]);
        assert_eq!(further[2], ["3", "2", "1", "", "", "", "", "", ""]);
        assert_eq!(further[3], [""; 9]);
    }
}
