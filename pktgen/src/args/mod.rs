//! netmap's command line, by theme.

mod conf;
mod cpus;
mod frames;
mod latency;
mod netmap;
mod rate;
mod replay;
mod report;
mod search;
#[cfg(test)]
mod tests;
mod unheeded;
mod unsearched;

use std::ops::RangeInclusive;
use std::path::Path;

use clap::builder::RangedU64ValueParser;
use clap::{ArgAction, Parser};

use crate::search::{Goal, Plan};
use crate::{Config, Error, Frames, Function, Style};

const EXAMPLES: &str = "\
Examples:
  pkt-gen -i vale0:1 -f rx -a 1
        receive on a port of switch vale0, on CPU 1
  pkt-gen -i vale0:2 -f tx -a 0
        send 60-byte frames there, as fast as they go
  pkt-gen -i eth0 -f tx -R 1000000 -d 10.1.0.1:2000-10.1.0.9:2100
        a million frames a second, to 909 addresses and ports in turn
  pkt-gen -i vale0:2 -f tx --rate 10Gbit/s -l imix --json
        ten gigabits a second of mixed sizes, reported for programs
  pkt-gen -i vale0:2 -f tx -p 2 -a 0
        two threads, on CPUs 0 and 1, each with a ring of its own
  pkt-gen -i eth0 -f throughput --to eth1
        the highest rate without loss, for frames of 64 to 1518 bytes
  pkt-gen -i vale0:1 -f pong & pkt-gen -i vale0:2 -f ping -n 10000 --hdr rtt.hdr
        ten thousand round trips, kept for plots
  pkt-gen -i eth0 -f tx -P web.pcap --timing 2 --loop 0
        what was captured, twice as fast, over and over
  pkt-gen -i pcap:out.pcap -f tx -n 1000
        a thousand frames into a file

Results go to standard output, progress to standard error, in netmap's words; on a terminal, the newest report takes the \
place of the one before.

The exit status is 0 at the end of a run or search, also when it was interrupted (once: the second time ends it at once), \
else 1, also for flags that are none.";

/// Sends or receives Ethernet frames as fast as a port goes, or at a rate.
#[derive(Clone, Debug, Parser)]
#[command(name = "pkt-gen", version, after_help = EXAMPLES, args_override_self = true, max_term_width = 110,
    next_help_heading = "What to do", disable_help_flag = true, disable_version_flag = true)]
pub struct Args {
    /// Port to work on: a port of a switch (vale0:1), an interface (eth0), a TAP (tap7@tap), null, or a capture
    /// (pcap:FILE, read by rx and written by tx; pcap:READ,WRITE for who does both)
    #[arg(short = 'i', value_name = "PORT")]
    port: String,
    /// What to do: tx, rx, ping or pong; txseq and rxseq for numbered frames: which are missing, late or duplicated;
    /// throughput or back-to-back to search for the highest rate, or the longest burst, without loss (RFC 2544)
    #[arg(short = 'f', value_name = "FUNCTION", default_value = "rx")]
    function: String,
    /// Frames to send or receive; 0 for no end
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 0, allow_negative_numbers = true)]
    count: u64,
    #[command(flatten)]
    frames: frames::FrameArgs,
    #[command(flatten)]
    replay: replay::ReplayArgs,
    /// Most frames in one go, of ping under way; 0 for the default [default: 512; ping 1]
    #[arg(short = 'b', value_name = "FRAMES", help_heading = "Rate", default_value_t = 0, hide_default_value = true,
        allow_negative_numbers = true, value_parser = within(0..=*Config::BURST.end()))]
    burst: u32,
    #[command(flatten)]
    rate: rate::RateArgs,
    #[command(flatten)]
    cpus: cpus::CpuArgs,
    /// Seconds to wait before sending [default: 2, for the link to come up; 0 on vale ports, pcap and null]
    #[arg(short = 'w', value_name = "SECS", help_heading = "Rate", allow_negative_numbers = true,
        value_parser = within(Config::WAIT_S))]
    wait_s: Option<u32>,
    /// Receiver: end when nothing has come for a second after the first frame
    #[arg(short = 'W', help_heading = "What to do")]
    until_idle: bool,
    /// Show frames in hexadecimal, up to 8192 a second (or a report, if that is longer); of a flood, how many were not shown
    #[arg(short = 'X', help_heading = "Report")]
    dump: bool,
    #[command(flatten)]
    latency: latency::LatencyArgs,
    #[command(flatten)]
    search: search::SearchArgs,
    #[command(flatten)]
    report: report::ReportArgs,
    #[command(flatten)]
    netmap: netmap::NetmapArgs,
    /// Print this
    #[arg(short, long, help_heading = "Help", action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, help_heading = "Help", action = ArgAction::Version)]
    version: Option<bool>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// One run.
    Run(Box<Config>),
    /// Many, of which a table comes.
    Search(Box<Plan>),
}

fn within(range: RangeInclusive<u32>) -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(*range.start())..=u64::from(*range.end()))
}

impl Args {
    /// One line for each flag that means something else here than in netmap, or nothing.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.netmap.notes(&conf::plain(&self.port));
        let ports = [Some(&self.port), self.search.to.as_ref()].into_iter().flatten();
        notes.extend(ports.filter_map(|port| conf::note(port)));
        notes.extend(self.replay.note(&self.frames.given()));
        notes.extend(self.notes_of_function());
        notes.extend(self.note_of_mix());
        notes.extend(self.note_of_search());
        if self.report.csv && self.style().average {
            notes.push("-A has no meaning with --csv: the column pps has what to average".to_owned());
        }
        notes
    }

    /// That the short frames of an IMIX are longer, where their headers are.
    fn note_of_mix(&self) -> Option<String> {
        let function = self.function.parse::<Function>().ok().filter(|function| function.sends())?;
        let ours = self.replay.file.is_none() && !self.frames.rubbish && !self.netmap.sends_rubbish();
        let frames = self.frames.clone().into_frames().ok().filter(|_| ours)?;
        let least = frames.stretched(function.is_sequenced())?;
        Some(format!(
            "-l imix: the short frames have {least} bytes instead of 60, which is what their headers take"
        ))
    }

    /// That the shortest frames of a search are longer than the RFC's, where their headers are.
    fn note_of_search(&self) -> Option<String> {
        let goal = Goal::of(&self.function).filter(|_| !self.frames.has_size())?;
        let sizes = Plan::sizes(&self.frames.clone().into_frames().ok()?);
        let (asked, made) = Plan::SIZES.into_iter().zip(sizes).find(|(asked, made)| asked != made)?;
        Some(format!(
            "-f {}: the first frames have {made} bytes instead of {asked}, which is what headers and mark take",
            goal.name()
        ))
    }

    /// The file for latencies (`--hdr`), which the program writes, wherever the generator runs.
    #[must_use]
    pub fn hdr(&self) -> Option<&Path> {
        self.latency.hdr.as_deref()
    }

    /// How the run is to be reported, as far as the flags say.
    #[must_use]
    pub fn style(&self) -> Style {
        let style = self.report.style();
        Style { average: style.average || self.netmap.averages(), ..style }
    }

    /// What the flags ask for, on a machine with `have_cpus` CPUs.
    ///
    /// # Errors
    /// As [`into_config`](Self::into_config).
    pub fn into_task(self, have_cpus: u32) -> Result<Task, Error> {
        match Goal::of(&self.function) {
            Some(goal) => self.into_plan(goal, have_cpus).map(|plan| Task::Search(Box::new(plan))),
            None => self.into_config(have_cpus).map(|config| Task::Run(Box::new(config))),
        }
    }

    fn into_plan(mut self, goal: Goal, have_cpus: u32) -> Result<Plan, Error> {
        self.check_searched(goal)?;
        let search = self.search.clone();
        let burst = if self.burst == 0 { Plan::BURST } else { self.burst };
        let given = self.frames.has_size();
        (self.search, self.function) = (search::SearchArgs::default(), "tx".to_owned());
        let config = Config { burst, ..self.into_config(have_cpus)? };
        if config.threads.count > 1 {
            return Err(Error::OneThread { function: goal.name(), count: config.threads.count });
        }
        let one = given.then(|| search::one(config.frames.size)).transpose()?;
        let sizes = one.map_or_else(|| Plan::sizes(&config.frames), |len| vec![Plan::on_wire(len)]);
        let (trial, terms) = (search.trial()?, search.terms()?);
        Ok(Plan { goal, to: search.to(&config.port)?, config, sizes, trial, terms })
    }

    /// The config that the flags ask for, on a machine with `have_cpus` CPUs.
    ///
    /// # Errors
    /// If a flag is one of netmap's that is not available yet, or a number is out of range.
    pub fn into_config(self, have_cpus: u32) -> Result<Config, Error> {
        self.netmap.check()?;
        self.search.refuse()?;
        let cpus = self.cpus.resolve(have_cpus)?;
        let function = self.function.parse::<Function>()?;
        self.latency.check(function)?;
        let given = self.frames.has_size();
        let mut config = Config {
            function,
            frames: if self.replay.file.is_some() { Frames::default() } else { self.frames.into_frames()? },
            replay: self.replay.into_replay(self.count),
            count: self.count,
            burst: if self.burst == 0 { function.default_burst() } else { self.burst },
            rate: self.rate.into_rate(self.report.framing),
            cpus: cpus.count,
            threads: cpus.threads,
            interval_ms: self.report.interval_ms,
            wait_s: self.wait_s.unwrap_or_else(|| default_wait_s(&self.port)),
            timeout_ms: self.latency.timeout_ms,
            stamp: self.latency.stamp,
            until_idle: self.until_idle,
            dump: self.dump,
            port: self.netmap.sized(&conf::plain(&self.port)),
        };
        self.netmap.apply(&mut config);
        if !given {
            config.stretch();
        }
        config.check()?;
        config.check_division()?;
        Ok(config)
    }
}

/// A NIC may need a while to come up in its new mode; a software port has nothing to wait for.
fn default_wait_s(port: &str) -> u32 {
    let software = ["vale", "null", "pcap:"].iter().any(|prefix| port.starts_with(prefix));
    if software { 0 } else { 2 }
}
