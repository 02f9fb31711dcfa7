//! A report in netmap's words. Scripts read these lines, so they are netmap's to the letter: what goes to which
//! stream, the units, the rounding. Of the lines before a run, those about descriptors and buffers of netmap's own
//! are left out.

use std::fmt::Display;
use std::io::{self, Write};
use std::panic::Location;

use ports::Mac;

use super::hexdump::{Hexdump, Shown};
use super::lines::{Clock, Lines};
use super::live::Live;
use super::norm::Norm;
use super::numbers;
use super::throughput::Throughput;
use super::window::Window;
use super::words;
use crate::{Config, Event, Latency, Rate, Style};

/// Intervals shorter than this say too little to be printed, microseconds.
const SHORTEST_USEC: u64 = 10_000;
/// What netmap says of the room in a ring that it did not look at, from the second report on.
const UNKNOWN_SPACE: u64 = 99_999;

/// netmap's lines of one run.
pub(super) struct Text {
    config: Config,
    style: Style,
    clock: Clock,
    live: Live,
    window: Window,
    /// Of the interval, for the line that redraws.
    latency: Option<String>,
    /// Frames shown.
    shown: Shown,
    /// Length of the intervals so far, microseconds.
    elapsed_us: u64,
    /// Intervals were printed.
    reported: bool,
    /// The totals were told already, since there is more to say of pings than of packets.
    told: bool,
    /// The terminal says that the first frame is waited for.
    waiting: bool,
}

impl Text {
    pub(super) fn new(config: Config, style: Style, clock: Clock) -> Self {
        let live = Live::new(style.columns);
        Self {
            config,
            style,
            clock,
            live,
            window: Window::default(),
            latency: None,
            shown: Shown::default(),
            elapsed_us: 0,
            reported: false,
            told: false,
            waiting: false,
        }
    }

    fn start(
        &mut self,
        src_mac: Mac,
        burst: u64,
        period_ns: u64,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        let Config { port, frames, replay, cpus, rate, threads, .. } = self.config.clone();
        let threads = threads.count; // a queue each
        let (src, dst, dst_mac) = (frames.src, frames.dst, frames.dst_mac);
        self.log(err, "main", format_args!("interface is {port}"))?;
        let rubbish = self.config.sends_rubbish();
        if self.style.verbose > 0 && !rubbish {
            for mac in [src_mac, dst_mac] {
                self.log(err, "extract_mac_range", format_args!("{mac} starts at {mac}"))?;
            }
        }
        for range in [src, dst].iter().filter(|_| replay.is_none() && !rubbish) {
            let [first, last] = range.ends();
            self.log(err, "extract_ip_range", format_args!("range is {first} to {last}"))?;
        }
        let sends = self.config.function.sends();
        let verb = words::first_verb(self.config.function);
        writeln!(out, "{verb} {port}: {threads} queues, {threads} threads and {cpus} cpus.")?;
        if sends {
            match &replay {
                Some(replay) => writeln!(out, "{replay}")?,
                None if rubbish => writeln!(out, "Rubbish, as it stands in the slots.")?,
                None => writeln!(out, "{src} -> {dst} ({src_mac} -> {dst_mac})")?,
            }
        }
        if sends && replay.is_none_or(|replay| replay.timing.is_none()) {
            let (s, ns) = (period_ns / 1_000_000_000, period_ns % 1_000_000_000);
            self.log(err, "main", format_args!("Sending {burst} packets every  {s}.{ns:09} s"))?;
            if matches!(rate, Rate::Bps { .. }) {
                self.log(err, "main", format_args!("rate is {rate}"))?;
            }
            if threads > 1 && rate.per_s() > 0 {
                let total = rate.times(threads.into());
                self.log(err, "main", format_args!("{threads} threads, each at that rate: {total}"))?;
            }
        }
        let wait_s = if sends { self.config.wait_s } else { 0 };
        self.log(err, "start_threads", format_args!("Wait {wait_s} secs for phy reset"))?;
        out.flush() // the run may be long, and a pipe is not flushed by lines
    }

    /// Once an interval, on a terminal in place of its line.
    fn waiting(&mut self, err: &mut dyn Write) -> io::Result<()> {
        self.waiting = self.live.draw(&["waiting for initial packets".to_owned()], err)?;
        if self.waiting {
            return Ok(());
        }
        self.log(err, words::body(self.config.function), "waiting for initial packets, poll returns 0 0")
    }

    fn interval(
        &mut self,
        through: &Throughput,
        usec: u64,
        min_space: Option<u64>,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        self.elapsed_us += usec;
        if usec < SHORTEST_USEC {
            return Ok(());
        }
        if std::mem::take(&mut self.waiting) {
            return Ok(());
        }
        let unknown_space = if std::mem::replace(&mut self.reported, true) { UNKNOWN_SPACE } else { 0 };
        let pps = through.pps().round();
        let average = self.average(pps);
        let (packets, bps) = (self.norm(through.packets as f64), self.norm(through.bps(self.style.framing)));
        let pps = format!("{}pps", self.norm(pps));
        let batch = format!("{:.2} avg_batch", through.batch());
        let parts = [
            Some(format!("{} s: {pps}", self.elapsed_us / 1_000_000)),
            self.latency.take(),
            average.clone(),
            Some(format!("{bps}bps")),
            Some(batch.clone()),
            min_space.map(|slots| format!("{slots} min_space")),
        ];
        if self.live.draw(&parts.into_iter().flatten().collect::<Vec<_>>(), err)? {
            return Ok(());
        }
        let (average, min_space) = (average.unwrap_or_default(), min_space.unwrap_or(unknown_space));
        // No space after the average: netmap's has none.
        let text = format_args!(
            "{pps} {average}({packets}pkts {bps}bps in {usec} usec) {batch} {min_space} min_space"
        );
        self.log(err, "main_thread", text)
    }

    /// netmap's two lines of an interval's latencies; on a terminal, what they say is in the line that redraws.
    fn latencies(&mut self, what: &'static str, latency: &Latency, err: &mut dyn Write) -> io::Result<()> {
        if (self.style.columns)().is_some() {
            self.latency = Some(words::in_short(what, latency));
            return Ok(());
        }
        let body = words::body(self.config.function);
        self.log(err, body, words::interval(what, latency))?;
        words::powers_of_two(latency).map_or(Ok(()), |text| self.log(err, body, text))
    }

    fn average(&mut self, pps: f64) -> Option<String> {
        self.style.average.then(|| {
            let (mean, deviation) = self.window.add(pps);
            format!("[avg/std {}/{} pps]", self.norm(mean), self.norm(deviation))
        })
    }

    fn total(&mut self, through: &Throughput, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        self.live.clear(err)?;
        let verb = words::last_verb(self.config.function);
        let Throughput { packets, bytes, batches, seconds } = through;
        let Some(size) = through.mean_bytes() else {
            writeln!(out, "{verb} nothing.")?;
            return out.flush();
        };
        writeln!(
            out,
            "{verb} {packets} packets {bytes} bytes {batches} events {size} bytes each in {seconds:.2} seconds."
        )?;
        let (pps, bps) = (self.norm(through.pps()), self.norm(through.bps(0)));
        let (raw, batch) = (self.norm(through.bps(self.style.framing)), through.batch());
        writeln!(out, "Speed: {pps}pps Bandwidth: {bps}bps (raw {raw}bps). Average batch: {batch:.2} pkts")?;
        out.flush()
    }

    /// One line of progress, as netmap's `D` macro: time of day modulo 1000 s, function, line.
    #[track_caller]
    fn log(&mut self, err: &mut dyn Write, function: &str, text: impl Display) -> io::Result<()> {
        self.live.clear(err)?;
        let now = (self.clock)();
        let (s, us, line) = (now.as_secs() % 1000, now.subsec_micros(), Location::caller().line());
        writeln!(err, "{s:03}.{us:06} {function} [{line}] {text}")
    }

    const fn norm(&self, value: f64) -> Norm {
        Norm { value, normalize: self.style.normalize }
    }
}

impl Lines for Text {
    /// Results go to `out`, where netmap's stdout is, progress to `err`, its stderr.
    fn event(&mut self, event: &Event, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Start { src_mac, burst, period_ns } => self.start(*src_mac, *burst, *period_ns, out, err),
            Event::Ready => self.log(err, "start_threads", "Ready..."),
            Event::Waiting => self.waiting(err),
            Event::Span { .. } => Ok(()), // for who adds up
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                let through = Throughput::of_interval([*packets, *bytes, *batches], *usec);
                self.interval(&through, *usec, *min_space, err)
            }
            Event::Ping(pings) => self.latencies("RTT", &pings.rtt, err),
            Event::PingTotal(pings) => {
                self.live.clear(err)?;
                self.told = true;
                self.log(err, "ping_body", words::whole("RTT", &pings.rtt))?;
                writeln!(out, "{}\n{}", words::pings(pings), words::quantiles("RTT", &pings.rtt))?;
                out.flush()
            }
            Event::Delay(delays) => self.latencies("delay", &delays.delay, err),
            Event::DelayTotal(delays) => {
                self.live.clear(err)?;
                writeln!(out, "{}\n{}", words::delays(delays), words::quantiles("Delay", &delays.delay))
            }
            Event::Sequence(trouble) => self.log(err, "rxseq_body", trouble),
            Event::Order(_) => Ok(()),
            Event::OrderTotal(order) => {
                self.live.clear(err)?;
                writeln!(out, "{}", numbers::total(order))
            }
            Event::Dump { number, len, bytes } => {
                self.live.clear(err)?;
                self.shown.up_to(*number, out)?;
                writeln!(out, "{}", Hexdump { number: *number, len: *len, bytes })?;
                out.flush()
            }
            Event::Ignored { packets } => {
                self.log(err, "pong_body", format_args!("{packets} packets could not be answered"))
            }
            Event::Final { packets, bytes, events, errors, drops, seconds } => {
                if self.config.dump {
                    self.live.clear(err)?;
                    self.shown.up_to(*packets, out)?;
                }
                for lost in [words::unsent(*errors), words::dropped(*drops)].into_iter().flatten() {
                    self.log(err, "main_thread", lost)?;
                }
                if self.told {
                    return Ok(());
                }
                let (packets, bytes, batches, seconds) = (*packets, *bytes, *events, *seconds);
                self.total(&Throughput { packets, bytes, batches, seconds }, out, err)
            }
            Event::Note { message } => self.notice(message, err),
            Event::Failed { message } => self.notice(&format!("pkt-gen: {message}"), err),
        }
    }

    fn notice(&mut self, text: &str, err: &mut dyn Write) -> io::Result<()> {
        self.live.clear(err)?;
        writeln!(err, "{text}")
    }
}

#[cfg(test)]
mod tests;
