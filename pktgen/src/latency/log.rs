//! The file of `--hdr`.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use super::Latency;
use crate::{Delays, Event, Pings};

/// Writes latencies, interval by interval, as HdrHistogram's log format 1.3, which HistogramLogProcessor and the
/// plotters of its family read. Values are nanoseconds; the column of maxima is for humans and in milliseconds, as
/// the Java library writes it.
pub struct HdrLog<W> {
    to: W,
    /// Wall clock, since the epoch.
    clock: fn() -> Duration,
}

/// Nanoseconds of the unit of the column of maxima.
const MAX_UNIT: f64 = 1e6;

impl<W: Write> HdrLog<W> {
    /// A log that begins with the run.
    pub fn new(to: W) -> Self {
        Self { to, clock: || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() }
    }

    /// Writes what an event says of latency, if it says anything.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Ready => self.header(),
            Event::Ping(Pings { since_us, interval_us, rtt, .. }) => {
                self.interval(*since_us, *interval_us, rtt)
            }
            Event::Delay(Delays { since_us, interval_us, delay, .. }) => {
                self.interval(*since_us, *interval_us, delay)
            }
            _ => Ok(()),
        }
    }

    fn header(&mut self) -> io::Result<()> {
        let start = (self.clock)().as_secs_f64();
        writeln!(self.to, "#[Logged by pkt-gen {}, values in ns]", env!("CARGO_PKG_VERSION"))?;
        writeln!(self.to, "#[Histogram log format version 1.3]")?;
        writeln!(self.to, "#[StartTime: {start:.3} (seconds since epoch)]")?;
        writeln!(self.to, "#[BaseTime: {start:.3} (seconds since epoch)]")?;
        let columns = ["StartTimestamp", "Interval_Length", "Interval_Max", "Interval_Compressed_Histogram"];
        writeln!(self.to, "{}", columns.map(|c| format!("\"{c}\"")).join(","))?;
        self.to.flush()
    }

    /// A line. Timestamps count from the base time.
    fn interval(&mut self, since_us: u64, interval_us: u64, latency: &Latency) -> io::Result<()> {
        let text = latency.encode().map_err(io::Error::other)?;
        let (since, length) = (since_us as f64 / 1e6, interval_us as f64 / 1e6);
        let most = latency.max_ns() as f64 / MAX_UNIT;
        writeln!(self.to, "{since:.3},{length:.3},{most:.3},{text}")?;
        self.to.flush() // a run that is killed leaves what it measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn delays(since_us: u64, interval_us: u64, delay: Latency) -> Delays {
        Delays { since_us, interval_us, received: 0, lost: 0, delay }
    }

    #[test]
    fn the_librarys_own_reader_reads_it() {
        let start = Duration::from_millis(1_700_000_000_250);
        let intervals = [
            (0, 1_000_000, Latency::of([300, 310, 2_500_000])),
            (1_000_000, 1_001_000, Latency::of([])),
            (2_001_000, 10_000, Latency::of([5])),
        ];
        let mut text = Vec::new();
        let mut log = HdrLog { to: &mut text, clock: || Duration::from_millis(1_700_000_000_250) };
        log.event(&Event::Ready).unwrap();
        for (since, length, latency) in &intervals {
            log.event(&Event::Delay(delays(*since, *length, latency.clone()))).unwrap();
        }
        log.event(&Event::DelayTotal(delays(0, 1, Latency::of([5])))).unwrap();
        log.event(&Event::Waiting).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(&text).map(Result::unwrap).collect();
        assert_eq!(entries[..2], [LogEntry::StartTime(start), LogEntry::BaseTime(start)]);
        assert_eq!(entries.len(), 2 + intervals.len());
        for (entry, (since, length, latency)) in entries[2..].iter().zip(&intervals) {
            let LogEntry::Interval(entry) = entry else { panic!("{entry:?}") };
            assert_eq!(entry.start_timestamp(), Duration::from_micros(*since));
            assert_eq!(entry.duration(), Duration::from_micros(*length));
            assert!((entry.max() - latency.max_ns() as f64 / 1e6).abs() < 1e-3);
            assert_eq!(Latency::decode(entry.encoded_histogram()).unwrap(), *latency);
        }
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines().skip(1);
        assert_eq!(lines.next(), Some("#[Histogram log format version 1.3]"));
        assert!(text.lines().last().unwrap().contains(",0.010,0.000,HISTFAAA"), "{text}");
    }
}
