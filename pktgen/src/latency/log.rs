//! The file of `--hdr`.

use std::io::{self, Write};
use std::time::Duration;

use super::Latency;

/// Writes latencies, interval by interval, as HdrHistogram's log format 1.3, which HistogramLogProcessor and the
/// plotters of its family read. Values are nanoseconds; the column of maxima is for humans and in milliseconds, as
/// the Java library writes it.
pub struct HdrLog<W> {
    to: W,
}

/// Nanoseconds of the unit of the column of maxima.
const MAX_UNIT: f64 = 1e6;

impl<W: Write> HdrLog<W> {
    /// A log of a run that starts at `start` since the epoch; `what` says in a line what is measured.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn new(mut to: W, what: &str, start: Duration) -> io::Result<Self> {
        let start = start.as_secs_f64();
        writeln!(to, "#[{}]", what.replace('\n', " "))?;
        writeln!(to, "#[Histogram log format version 1.3]")?;
        writeln!(to, "#[StartTime: {start:.3} (seconds since epoch)]")?;
        writeln!(to, "#[BaseTime: {start:.3} (seconds since epoch)]")?;
        let columns = ["StartTimestamp", "Interval_Length", "Interval_Max", "Interval_Compressed_Histogram"];
        writeln!(to, "{}", columns.map(|c| format!("\"{c}\"")).join(","))?;
        to.flush()?;
        Ok(Self { to })
    }

    /// Writes an interval of `length` that began `since` after the start.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn interval(&mut self, since: Duration, length: Duration, latency: &Latency) -> io::Result<()> {
        let text = latency.encode().map_err(io::Error::other)?;
        let (since, length) = (since.as_secs_f64(), length.as_secs_f64());
        let most = latency.max_ns() as f64 / MAX_UNIT;
        writeln!(self.to, "{since:.3},{length:.3},{most:.3},{text}")?;
        self.to.flush() // a run that is killed leaves what it measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn the_librarys_own_reader_reads_it() {
        let start = Duration::from_millis(1_700_000_000_250);
        let intervals = [
            (0, 1000, Latency::of([300, 310, 2_500_000])),
            (1000, 1001, Latency::of([])),
            (2001, 10, Latency::of([5])),
        ];
        let mut text = Vec::new();
        let mut log = HdrLog::new(&mut text, "pkt-gen: round-trip\ntimes, ns", start).unwrap();
        for (since, length, latency) in &intervals {
            log.interval(Duration::from_millis(*since), Duration::from_millis(*length), latency).unwrap();
        }
        let entries: Vec<_> = IntervalLogIterator::new(&text).map(Result::unwrap).collect();
        assert_eq!(entries[..2], [LogEntry::StartTime(start), LogEntry::BaseTime(start)]);
        assert_eq!(entries.len(), 2 + intervals.len());
        for (entry, (since, length, latency)) in entries[2..].iter().zip(&intervals) {
            let LogEntry::Interval(entry) = entry else { panic!("{entry:?}") };
            assert_eq!(entry.start_timestamp(), Duration::from_millis(*since));
            assert_eq!(entry.duration(), Duration::from_millis(*length));
            assert!((entry.max() - latency.max_ns() as f64 / 1e6).abs() < 1e-3);
            assert_eq!(Latency::decode(entry.encoded_histogram()).unwrap(), *latency);
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("#[pkt-gen: round-trip times, ns]\n#[Histogram log format version 1.3]\n"));
        assert!(text.lines().last().unwrap().contains(",0.010,0.000,HISTFAAA"), "{text}");
    }
}
