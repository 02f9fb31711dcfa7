//! A report for spreadsheets: a header, and a line an interval (`--csv`).
//!
//! The totals are no line of the table, since every sum and every chart over a column would count them: they go to
//! stderr, in netmap's words.

use std::io::{self, Write};

use super::printer::{Clock, Lines};
use super::style::Format;
use super::text::Text;
use super::throughput::Throughput;
use crate::{Config, Event, Style};

/// The first line. Bytes and bits are those of frames without FCS, with `-B` bits also count FCS, preamble and gap.
const HEADER: &str =
    "elapsed_s,interval_us,packets,bytes,batches,pps,bps,packets_per_batch,bytes_per_packet,min_space_slots";

/// The table of one run.
pub(super) struct Csv {
    framing: u32,
    elapsed_us: u64,
    /// For the totals.
    text: Text,
}

impl Csv {
    pub(super) fn new(config: Config, style: Style, clock: Clock) -> Self {
        let framing = style.framing;
        let text = Text::new(config, Style { format: Format::Text, columns: || None, ..style }, clock);
        Self { framing, elapsed_us: 0, text }
    }

    /// Numbers only, so that nothing needs quotes. What is not known is left empty.
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
        writeln!(
            out,
            "{elapsed_s:.6},{usec},{packets},{bytes},{batches},{pps:.0},{bps:.0},{batch:.2},{each},{room}"
        )?;
        out.flush()
    }
}

impl Lines for Csv {
    fn event(&mut self, event: &Event, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Start { .. } => {
                writeln!(out, "{HEADER}")?;
                out.flush()
            }
            Event::Ready | Event::Waiting => Ok(()),
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                let through = Throughput::of_interval([*packets, *bytes, *batches], *usec);
                self.row(&through, *usec, *min_space, out)
            }
            other => {
                let mut totals = Vec::new();
                self.text.event(other, &mut totals, err)?;
                err.write_all(&totals)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ports::Mac;

    use super::*;
    use crate::{Function, Printer, Rate};

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
            Event::Final { packets: 320, bytes: 19_200, events: 20, errors: 0, seconds: 0.5 },
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
}
