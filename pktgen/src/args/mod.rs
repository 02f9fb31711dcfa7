//! netmap's command line, by theme.

mod cpus;
mod frames;
mod latency;
mod netmap;
mod rate;
mod replay;
mod report;
mod search;

use std::ops::RangeInclusive;
use std::path::Path;

use clap::builder::RangedU64ValueParser;
use clap::{ArgAction, Parser};

use crate::search::{Goal, Plan};
use crate::{Config, Error, Function, Style};

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

The exit status is 0 at the end of a run, also when it was interrupted (once: the second time ends it at once), else 1, \
and 2 for flags that are none.";

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
    /// Show frames in hexadecimal, up to 64 from report to report
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
    /// One line for each flag of netmap's that means something else here, or nothing.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.netmap.notes(&self.port)
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
        let search = self.search.clone();
        let burst = if self.burst == 0 { Plan::BURST } else { self.burst };
        let given = self.frames.has_size();
        (self.search, self.function) = (search::SearchArgs::default(), "tx".to_owned());
        let config = Config { burst, ..self.into_config(have_cpus)? };
        if config.threads.count > 1 {
            return Err(Error::OneThread { function: goal.name(), count: config.threads.count });
        }
        let one = given.then(|| search::one(config.frames.size)).transpose()?;
        let sizes = one.map_or_else(|| Plan::SIZES.to_vec(), |len| vec![Plan::on_wire(len)]);
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
        let mut config = Config {
            function,
            frames: self.frames.into_frames()?,
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
            port: self.netmap.sized(&self.port),
        };
        self.netmap.apply(&mut config);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Terms;
    use crate::{Frames, Rate, Replay, Speed, Threads};

    fn parse(line: &str) -> Result<Config, String> {
        let args = Args::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())?;
        args.into_config(2).map_err(|e| e.to_string())
    }

    #[test]
    fn the_definition_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults_are_netmaps() {
        assert_eq!(parse("pkt-gen -i vale0:1").unwrap(), Config::new("vale0:1", Function::Rx));
        let eth = parse("pkt-gen -i eth0 -f tx").unwrap();
        assert_eq!(eth, Config { wait_s: 2, ..Config::new("eth0", Function::Tx) });
        assert_eq!(parse("pkt-gen -i eth0 -w 0").unwrap().wait_s, 0);
        assert_eq!(parse("pkt-gen -i pcap:/tmp/x").unwrap().wait_s, 0);
        assert_eq!(parse("pkt-gen -i null -b 0").unwrap(), Config::new("null", Function::Rx));
    }

    #[test]
    fn every_flag_arrives() {
        let line = "pkt-gen -i vale0:2 -f tx -n 7 -l 1514 -b 32 -R 1000 -s 10.0.0.1:5-10.0.0.2:6 -d 10.9.0.1 \
                    -S 02:00:00:00:00:01 -D 02:00:00:00:00:02 -p 2 -a 1 -c 0 -T 500 -w 3 -W -N -v -v";
        let expected = Config {
            count: 7,
            burst: 32,
            rate: Rate::Pps(1000),
            frames: Frames {
                size: 1514.into(),
                src: "10.0.0.1:5-10.0.0.2:6".parse().unwrap(),
                dst: "10.9.0.1".parse().unwrap(),
                src_mac: Some("02:00:00:00:00:01".parse().unwrap()),
                dst_mac: "02:00:00:00:00:02".parse().unwrap(),
                ..Frames::default()
            },
            cpus: 2,
            threads: Threads { count: 2, pins: vec![1, 0] },
            interval_ms: 500,
            wait_s: 3,
            until_idle: true,
            ..Config::new("vale0:2", Function::Tx)
        };
        assert_eq!(parse(line).unwrap(), expected);
        assert_eq!(parse("pkt-gen -ivale0:2 -ftx -a -1 -n 3 -n 4").unwrap().count, 4, "the last one counts");
    }

    #[test]
    fn rates_are_in_packets_or_in_bits() {
        let rate = |flags: &str| parse(&format!("pkt-gen -i vale0:2 -f tx {flags}")).unwrap().rate;
        let bits = |framing| Rate::Bps { bits: 10_000_000_000, framing };
        assert_eq!(rate(""), Rate::UNLIMITED);
        assert_eq!(rate("-R 5000000000"), Rate::Pps(5_000_000_000));
        assert_eq!(rate("--rate 1.5Mpps -B"), Rate::Pps(1_500_000));
        assert_eq!(rate("--rate 10Gbps"), bits(0));
        assert_eq!(rate("-B --rate=10Gbit/s"), bits(24), "on the wire");
    }

    #[test]
    fn a_capture_is_replayed_as_asked() {
        let replay =
            |line: &str| parse(&format!("pkt-gen -i vale0:1 -f tx -P /c.pcap {line}")).unwrap().replay;
        let expected = |timing, loops| Some(Replay { file: "/c.pcap".into(), timing, loops });
        assert_eq!(replay(""), expected(None, 1));
        assert_eq!(replay("-n 7"), expected(None, 0), "as often as it takes");
        assert_eq!(replay("-n 7 --loop 2 -R 1000"), expected(None, 2));
        assert_eq!(replay("--timing original --loop 0"), expected(Some(Speed::ORIGINAL), 0));
        assert_eq!(replay("--timing 0.5"), expected("0.5".parse().ok(), 1));
        let here = parse("pkt-gen -i vale0:1 -f tx -P c.pcap").unwrap().replay.unwrap().file;
        assert_eq!(
            here,
            std::env::current_dir().unwrap().join("c.pcap"),
            "a daemon has a directory of its own"
        );
        assert_eq!(parse("pkt-gen -i vale0:1 -f tx").unwrap().replay, None);
    }

    #[test]
    fn searches_are_planned() {
        let task = |line: &str| {
            let args = Args::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())?;
            args.into_task(2).map_err(|e| e.to_string())
        };
        let Ok(Task::Search(plan)) =
            task("pkt-gen -i vale0:1 -f throughput --to vale0:2 --trial 0.5 --loss 0.1")
        else {
            panic!()
        };
        assert_eq!(
            (plan.goal, plan.to.as_deref(), &plan.sizes[..]),
            (Goal::Throughput, Some("vale0:2"), &Plan::SIZES[..])
        );
        assert_eq!((plan.trial.as_millis(), plan.terms), (500, Terms { loss: 0.001, resolution: 0.01 }));
        assert_eq!((plan.config.function, plan.config.burst), (Function::Tx, 32));
        let Ok(Task::Search(plan)) = task("pkt-gen -i eth0 -f back-to-back -l 1514 -b 8") else { panic!() };
        assert_eq!((plan.goal, plan.to.as_deref(), &plan.sizes[..]), (Goal::BackToBack, None, &[1518][..]));
        assert_eq!((plan.config.burst, plan.trial.as_secs()), (8, 2));
        assert!(matches!(task("pkt-gen -i null -f tx"), Ok(Task::Run(_))));
        for (flags, expected) in [
            ("-f tx --to vale0:2", "--to: only with -f throughput and -f back-to-back"),
            ("-f throughput --to vale0:1", "--to vale0:1: the frames are sent by it"),
            ("-f throughput --trial 0", "--trial 0: out of range (0.01 to 3600)"),
            ("-f throughput --loss 101", "--loss 101: out of range (0 to 100)"),
            ("-f throughput --resolution -1", "--resolution -1: out of range (0.001 to 50)"),
            ("-f throughput -l imix", "all of one size"),
            ("-f back-to-back -p 2", "-p 2: back-to-back runs in one thread (leave -p out)"),
        ] {
            let error = task(&format!("pkt-gen -i vale0:1 {flags}")).unwrap_err();
            assert!(error.contains(expected), "{flags}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("", "-i <PORT>"),
            ("-i vale0:1 -q", "unexpected argument '-q'"),
            ("-i vale0:1 extra", "unexpected argument 'extra'"),
            ("-i vale0:1 -f nothing", "-f nothing: no such function (tx, rx, ping"),
            ("-i vale0:1 -l 15", "invalid value '15' for '-l <BYTES>': 15 is not in 16..=65536"),
            ("-i vale0:1 -l -5", "invalid value '-5' for '-l <BYTES>'"),
            ("-i vale0:1 -l many", "invalid value 'many' for '-l <BYTES>'"),
            ("-i vale0:1 -f tx -l 41", "-l 41: too short"),
            ("-i vale0:1 -b 65537", "65537 is not in 0..=65536"),
            ("-i vale0:1 -T 9", "9 is not in 10..=3600000"),
            ("-i vale0:1 -R -1", "invalid value '-1' for '-R <PPS>'"),
            ("-i vale0:1 -R 18446744073709551616", "invalid value '18446744073709551616' for '-R <PPS>'"),
            ("-i vale0:1 --rate 10G", "for '--rate <RATE>': packets or bits? (try: 10Gpps or 10Gbit/s)"),
            ("-i vale0:1 --rate fast", "for '--rate <RATE>': no rate (try: 1000000, 1.5Mpps, 10Gbit/s)"),
            ("-i vale0:1 --rate 1M -R 7", "cannot be used with"),
            ("-i vale0:1 -n -1", "invalid value '-1' for '-n <COUNT>'"),
            ("-i vale0:1 -a 2", "-a 2: no such CPU (this machine has 0 to 1)"),
            ("-i vale0:1 -p 0", "0 is not in 1..=64"),
            ("-i vale0:1 -p 3 -n 2", "-n 2: not a frame for each of 3 threads (try: -p 2)"),
            ("-i vale0:1 -a -2", "-2 is not in -1..=2147483647"),
            ("-i vale0:1 -c 3", "-c 3: more CPUs than this machine has (0 to 2)"),
            ("-i vale0:1 -D 02:00", "no MAC address"),
            ("-i vale0:1 -s 10.0.0.300", "no IPv4 address"),
            ("-i vale0:1 -d fd00::1 -s 10.0.0.1", "-s 10.0.0.1 -d fd00::1: one is IPv4, the other IPv6"),
            ("-i vale0:1 -f txseq -l 45", "IPv4 and UDP headers and a sequence number take 46 bytes"),
            ("-i vale0:1 -f tx -l 60 -l 1514", "-l 60 -l 1514: the second is the least size"),
            ("-i vale0:1 -H 11", "-H 11: a virtio-net header"),
            ("-i vale0:1 -P f", "-P: only for -f tx (try: -i pcap:FILE"),
            ("-i vale0:1 -f tx -P f -l 60", "cannot be used with"),
            ("-i vale0:1 -f tx -P f -R 7 --timing 2", "cannot be used with"),
            ("-i vale0:1 -f tx -P f --timing 0", "no timing (try: original, or a factor"),
            ("-i vale0:1 -f tx --timing 2", "-P <FILE>"),
            ("-i vale0:1 -f tx --loop 2", "-P <FILE>"),
            ("-i vale0:1 -f tx -P f --loop -1", "unexpected argument '-1'"),
        ] {
            let error = parse(&format!("pkt-gen {line}")).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn help_is_help() {
        let error = Args::try_parse_from(["pkt-gen", "-h"]).unwrap_err();
        assert_eq!(error.exit_code(), 0);
        let help = error.to_string();
        assert!(
            help.contains("Usage: pkt-gen") && help.contains("Examples:") && help.contains("-P <FILE>"),
            "{help}"
        );
    }
}
