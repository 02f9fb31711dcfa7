//! Events in netmap's words. Scripts read these lines, so they are netmap's to the letter: what goes to which
//! stream, the units, the rounding.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::panic::Location;
use std::time::{Duration, SystemTime};

use ports::Mac;

use crate::{Config, Event, Frames};

/// Intervals shorter than this say too little to be printed, microseconds.
const SHORTEST_USEC: u64 = 10_000;
/// What netmap says of the room in a ring that it did not look at.
const UNKNOWN_SPACE: u64 = 99_999;

/// Prints the events of one run.
pub struct Printer {
    config: Config,
    /// Wall clock, since the epoch.
    clock: fn() -> Duration,
    /// Intervals were printed.
    reported: bool,
    exit_status: u8,
}

impl Printer {
    /// A printer for the run of this config.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { config, clock, reported: false, exit_status: 1 }
    }

    /// Prints one event: results to `out`, where netmap's stdout is, progress to `err`, its stderr.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn event(&mut self, event: &Event, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        match event {
            Event::Start { src_mac, burst, period_ns } => self.start(*src_mac, *burst, *period_ns, out, err),
            Event::Ready => self.log(err, "start_threads", "Ready..."),
            Event::Waiting => self.log(err, "receiver_body", "waiting for initial packets, poll returns 0 0"),
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                self.interval([*packets, *bytes, *batches], *usec, *min_space, err)
            }
            Event::Span { .. } => Ok(()),
            Event::Final { packets, bytes, events, errors, seconds } => {
                self.exit_status = 0;
                if *errors > 0 {
                    self.log(
                        err,
                        "main_thread",
                        format_args!("the port failed to send {errors} of these packets"),
                    )?;
                }
                self.total([*packets, *bytes, *events], *seconds, out)
            }
            Event::Failed { message } => self.log(err, "main", message),
        }
    }

    /// What the program exits with: 0 once the run has come to its end, else 1.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        self.exit_status
    }

    fn start(
        &self,
        src_mac: Mac,
        burst: u64,
        period_ns: u64,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<()> {
        let Config { port, cpus, frames: Frames { src, dst, dst_mac, .. }, .. } = &self.config;
        let sends = self.config.function.sends();
        self.log(err, "main", format_args!("interface is {port}"))?;
        if self.config.verbose > 0 {
            for mac in [src_mac, *dst_mac] {
                self.log(err, "extract_mac_range", format_args!("{mac} starts at {mac}"))?;
            }
        }
        for range in [src, dst] {
            let ((first, port0), (last, port1)) = (range.first(), range.last());
            let text = format_args!("range is {first}:{port0} to {last}:{port1}");
            self.log(err, "extract_ip_range", text)?;
        }
        let verb = if sends { "Sending on" } else { "Receiving from" };
        let threads = self.config.threads.count; // a queue each
        writeln!(out, "{verb} {port}: {threads} queues, {threads} threads and {cpus} cpus.")?;
        if sends {
            writeln!(out, "{src} -> {dst} ({src_mac} -> {dst_mac})")?;
            let (s, ns) = (period_ns / 1_000_000_000, period_ns % 1_000_000_000);
            self.log(err, "main", format_args!("Sending {burst} packets every  {s}.{ns:09} s"))?;
            let rate = self.config.rate_pps;
            if threads > 1 && rate > 0 {
                let total = self.norm(f64::from(threads) * f64::from(rate));
                self.log(err, "main", format_args!("{threads} threads at {rate} pps each: {total}pps"))?;
            }
        }
        let wait_s = if sends { self.config.wait_s } else { 0 };
        self.log(err, "start_threads", format_args!("Wait {wait_s} secs for phy reset"))?;
        out.flush() // the run may be long, and a pipe is not flushed by lines
    }

    fn interval(
        &mut self,
        [packets, bytes, batches]: [u64; 3],
        usec: u64,
        min_space: Option<u64>,
        err: &mut impl Write,
    ) -> io::Result<()> {
        if usec < SHORTEST_USEC {
            return Ok(());
        }
        // netmap's first report of a sender says 0.
        let first_of_sender = self.config.function.sends() && !self.reported;
        let min_space = min_space.unwrap_or(if first_of_sender { 0 } else { UNKNOWN_SPACE });
        self.reported = true;
        let pps = (u128::from(packets) * 1_000_000 + u128::from(usec / 2)) / u128::from(usec);
        let bps = 1e6 * (bytes as f64 * 8.0) / usec as f64;
        let batch = if batches > 0 { packets as f64 / batches as f64 } else { 0.0 };
        let (pps, pkts, bps) = (self.norm(pps as f64), self.norm(packets as f64), self.norm(bps));
        let text = format_args!(
            "{pps}pps ({pkts}pkts {bps}bps in {usec} usec) {batch:.2} avg_batch {min_space} min_space"
        );
        self.log(err, "main_thread", text)
    }

    fn total(
        &self,
        [packets, bytes, events]: [u64; 3],
        seconds: f64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let verb = if self.config.function.sends() { "Sent" } else { "Received" };
        let Some(size) = bytes.checked_div(packets) else {
            writeln!(out, "{verb} nothing.")?;
            return out.flush();
        };
        writeln!(
            out,
            "{verb} {packets} packets {bytes} bytes {events} events {size} bytes each in {seconds:.2} seconds."
        )?;
        let seconds = if seconds > 0.0 { seconds } else { 1e-6 };
        let (pps, bps) = (packets as f64 / seconds, bytes as f64 * 8.0 / seconds);
        let (pps, bps, raw) = (self.norm(pps), self.norm(bps), self.norm(bps));
        let batch = packets as f64 / events as f64;
        writeln!(out, "Speed: {pps}pps Bandwidth: {bps}bps (raw {raw}bps). Average batch: {batch:.2} pkts")?;
        out.flush()
    }

    /// One line of progress, as netmap's `D` macro: time of day modulo 1000 s, function, line.
    #[track_caller]
    fn log(&self, err: &mut impl Write, function: &str, text: impl Display) -> io::Result<()> {
        let now = (self.clock)();
        let (s, us, line) = (now.as_secs() % 1000, now.subsec_micros(), Location::caller().line());
        writeln!(err, "{s:03}.{us:06} {function} [{line}] {text}")
    }

    const fn norm(&self, value: f64) -> Norm {
        Norm { value, normalize: self.config.normalize }
    }
}

/// A number with its unit's prefix, which stands directly before the unit (`norm` of netmap's `ctrs.h`).
struct Norm {
    value: f64,
    normalize: bool,
}

impl Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.normalize {
            return write!(f, "{:.0} ", self.value);
        }
        let mut value = self.value;
        let mut prefixes = ["K", "M", "G", "T"].into_iter();
        let mut prefix = "";
        while value >= 1000.0 {
            let Some(larger) = prefixes.next() else { break };
            value /= 1000.0;
            prefix = larger;
        }
        write!(f, "{value:.3} {prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Function;

    /// What goes to stdout and stderr, the latter with the line numbers, which are ours, replaced by `#`.
    fn print(config: Config, events: &[Event]) -> (String, String, u8) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer =
            Printer { clock: || Duration::from_micros(1_700_000_130_360_039), ..Printer::new(config) };
        for event in events {
            printer.event(event, &mut out, &mut err).unwrap();
        }
        let mut err = String::from_utf8(err).unwrap();
        let mut at = 0;
        while let Some(open) = err[at..].find('[').map(|i| at + i) {
            let close = open + err[open..].find(']').unwrap();
            assert!(err[open + 1..close].parse::<u32>().is_ok(), "{err}");
            err.replace_range(open + 1..close, "#");
            at = open + 1;
        }
        (String::from_utf8(out).unwrap(), err, printer.exit_status())
    }

    fn interval(packets: u64, size: u64, usec: u64, batches: u64) -> Event {
        Event::Interval { packets, bytes: packets * size, usec, batches, min_space: None }
    }

    /// The run recorded in a guest with netmap's own pkt-gen.
    #[test]
    fn a_senders_lines_are_netmaps() {
        let events = [
            Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
            Event::Ready,
            interval(4_003_328, 60, 1_000_386, 7819),
            interval(4_090_880, 60, 1_002_582, 7990),
            Event::Final {
                packets: 23_448_576,
                bytes: 1_406_914_560,
                events: 45_798,
                errors: 0,
                seconds: 5.861_972,
            },
        ];
        let (out, err, status) = print(Config::new("vale0:tx", Function::Tx), &events);
        assert_eq!(
            out,
            "Sending on vale0:tx: 1 queues, 1 threads and 1 cpus.\n\
             10.0.0.1 -> 10.1.0.1 (00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff)\n\
             Sent 23448576 packets 1406914560 bytes 45798 events 60 bytes each in 5.86 seconds.\n\
             Speed: 4.000 Mpps Bandwidth: 1.920 Gbps (raw 1.920 Gbps). Average batch: 512.00 pkts\n"
        );
        assert_eq!(
            err,
            "130.360039 main [#] interface is vale0:tx\n\
             130.360039 extract_ip_range [#] range is 10.0.0.1:1234 to 10.0.0.1:1234\n\
             130.360039 extract_ip_range [#] range is 10.1.0.1:1234 to 10.1.0.1:1234\n\
             130.360039 main [#] Sending 512 packets every  0.000000000 s\n\
             130.360039 start_threads [#] Wait 0 secs for phy reset\n\
             130.360039 start_threads [#] Ready...\n\
             130.360039 main_thread [#] 4.002 Mpps (4.003 Mpkts 1.921 Gbps in 1000386 usec) 512.00 avg_batch 0 min_space\n\
             130.360039 main_thread [#] 4.080 Mpps (4.091 Mpkts 1.959 Gbps in 1002582 usec) 512.00 avg_batch 99999 min_space\n"
        );
        assert_eq!(status, 0);
    }

    #[test]
    fn a_receivers_lines_are_netmaps() {
        let events = [
            Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 },
            Event::Ready,
            Event::Waiting,
            interval(0, 0, 1_000_100, 0),
            Event::Interval {
                packets: 80_202_600,
                bytes: 80_202_600 * 2048,
                usec: 1_001_040,
                batches: 156_800,
                min_space: Some(1),
            },
            Event::Final {
                packets: 23_032_973,
                bytes: 1_381_978_380,
                events: 44_987,
                errors: 0,
                seconds: 7.866,
            },
        ];
        let (out, err, status) = print(Config::new("vale0:rx", Function::Rx), &events);
        assert_eq!(
            out,
            "Receiving from vale0:rx: 1 queues, 1 threads and 1 cpus.\n\
             Received 23032973 packets 1381978380 bytes 44987 events 60 bytes each in 7.87 seconds.\n\
             Speed: 2.928 Mpps Bandwidth: 1.406 Gbps (raw 1.406 Gbps). Average batch: 511.99 pkts\n"
        );
        let tail: Vec<_> = err.lines().rev().take(3).collect();
        assert_eq!(
            tail,
            [
                "130.360039 main_thread [#] 80.119 Mpps (80.203 Mpkts 1.313 Tbps in 1001040 usec) 511.50 avg_batch 1 min_space",
                "130.360039 main_thread [#] 0.000 pps (0.000 pkts 0.000 bps in 1000100 usec) 0.00 avg_batch 99999 min_space",
                "130.360039 receiver_body [#] waiting for initial packets, poll returns 0 0",
            ]
        );
        assert_eq!(status, 0);
    }

    #[test]
    fn more_is_said_on_request() {
        let config = Config { verbose: 1, ..Config::new("p", Function::Tx) };
        let start = Event::Start { src_mac: Mac::ZERO, burst: 3, period_ns: 3_000_000 };
        let (_, err, _) = print(config, &[start]);
        assert!(
            err.contains("extract_mac_range [#] ff:ff:ff:ff:ff:ff starts at ff:ff:ff:ff:ff:ff\n"),
            "{err}"
        );
        assert!(err.contains("main [#] Sending 3 packets every  0.003000000 s\n"), "{err}");
    }

    #[test]
    fn threads_are_stated_with_their_rate() {
        let threads = crate::Threads { count: 3, pins: vec![0, 1, 0] };
        let config = Config { threads, cpus: 2, rate_pps: 1000, ..Config::new("p", Function::Tx) };
        let start = Event::Start { src_mac: Mac::ZERO, burst: 3, period_ns: 3_000_000 };
        let (out, err, _) = print(config, &[start]);
        assert!(out.starts_with("Sending on p: 3 queues, 3 threads and 2 cpus.\n"), "{out}");
        assert!(err.contains("main [#] 3 threads at 1000 pps each: 3.000 Kpps\n"), "{err}");
    }

    #[test]
    fn plain_numbers_on_request() {
        let config = Config { normalize: false, ..Config::new("vale0:tx", Function::Tx) };
        let end =
            Event::Final { packets: 1_000_000, bytes: 60_000_000, events: 2000, errors: 3, seconds: 0.25 };
        let (out, err, _) = print(config, &[interval(1_000_000, 60, 1_001_340, 1954), end]);
        assert_eq!(
            err,
            "130.360039 main_thread [#] 998662 pps (1000000 pkts 479357661 bps in 1001340 usec) 511.77 avg_batch 0 min_space\n\
             130.360039 main_thread [#] the port failed to send 3 of these packets\n"
        );
        assert!(
            out.ends_with("Speed: 4000000 pps Bandwidth: 1920000000 bps (raw 1920000000 bps). Average batch: 500.00 pkts\n"),
            "{out}"
        );
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let end =
            |packets| Event::Final { packets, bytes: packets * 60, events: packets, errors: 0, seconds: 0.0 };
        assert_eq!(print(Config::new("p", Function::Tx), &[end(0)]).0, "Sent nothing.\n");
        assert_eq!(print(Config::new("p", Function::Rx), &[end(0)]).0, "Received nothing.\n");
        let (out, err, _) = print(Config::new("p", Function::Rx), &[interval(1, 60, 9999, 1), end(1)]);
        assert_eq!(err, "", "too short an interval");
        assert!(out.contains("in 0.00 seconds.\nSpeed: 1.000 Mpps Bandwidth: 480.000 Mbps"), "{out}");
    }

    #[test]
    fn failure_and_silence_exit_with_one() {
        let failed = Event::Failed { message: "vale0:tx: -l 9000: too long".to_owned() };
        let (out, err, status) = print(Config::new("vale0:tx", Function::Tx), &[failed]);
        assert_eq!((out.as_str(), err.as_str()), ("", "130.360039 main [#] vale0:tx: -l 9000: too long\n"));
        assert_eq!(status, 1);
        assert_eq!(print(Config::default(), &[Event::Ready]).2, 1, "no end was told");
    }

    #[test]
    fn prefixes_end_at_tera() {
        let norm = |value| Norm { value, normalize: true }.to_string();
        assert_eq!(
            [0.0, 999.999, 1000.0, 999_999.9, 1e6, 2.5e15].map(norm),
            ["0.000 ", "999.999 ", "1.000 K", "1000.000 K", "1.000 M", "2500.000 T"]
        );
    }
}
