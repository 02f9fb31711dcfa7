//! Flags that a search does not heed: refused, lest its result be taken for that of something else.

use super::Args;
use crate::search::Goal;
use crate::{Config, Error, Payload};

const FRAMES: &str = "sends frames of its own, with a mark";
const RATE: &str = "goes through rates itself";
const COUNT: &str = "sends as long as --trial says";
const END: &str = "waits for the frames of each trial itself";
const REPORT: &str = "prints a row for each size";
const LATENCY: &str = "measures no latency";
const BURST: &str = "sends as fast as it goes";
const CPUS: &str = "runs in one thread";

impl Args {
    /// Checks that a search heeds every flag that was given. `-N` and `-v` pass: what they ask for is so, or nothing.
    ///
    /// # Errors
    /// [`Error::Unsearched`] with the first that it does not.
    pub(super) fn check_searched(&self, goal: Goal) -> Result<(), Error> {
        let unheeded = self.unheeded(goal).into_iter().find(|(_, given, _)| *given);
        unheeded.map_or(Ok(()), |(flag, _, why)| Err(Error::Unsearched { flag, function: goal.name(), why }))
    }

    /// Each flag, whether it was given, and what the search does instead. A default that is written out asks for nothing.
    fn unheeded(&self, goal: Goal) -> [(&'static str, bool, &'static str); 17] {
        let default = Config::default();
        let (report, netmap) = (&self.report, &self.netmap);
        [
            ("-P", self.replay.file.is_some(), FRAMES),
            ("-r", self.frames.rubbish, FRAMES),
            ("-o 256", netmap.sends_rubbish(), FRAMES),
            ("--payload", self.frames.payload != Payload::Netmap, FRAMES),
            ("-n", self.count > 0, COUNT),
            ("-R", self.rate.pps.is_some(), RATE),
            ("--rate", self.rate.rate.is_some(), RATE),
            ("-b", self.burst > 0 && goal == Goal::BackToBack, BURST),
            ("-W", self.until_idle, END),
            ("--timeout", self.latency.timeout_ms != default.timeout_ms, END),
            ("--stamp", self.latency.stamp, LATENCY),
            ("--hdr", self.latency.hdr.is_some(), LATENCY),
            ("-T", report.interval_ms != default.interval_ms, REPORT),
            ("-X", self.dump || netmap.dumps(), REPORT),
            ("-A", report.average || netmap.averages(), REPORT),
            ("-B", report.framing, "counts the bits of a frame with its CRC"),
            ("-c", self.cpus.cpus.is_some(), CPUS),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn refusal(function: &str, flags: &str) -> String {
        let line = format!("pkt-gen -i vale0:1 -f {function} {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        args.into_task(2).err().map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn what_a_search_does_not_heed_is_refused() {
        for (flags, flag) in [
            ("-P c.pcap", "-P"),
            ("-P c.pcap --timing 2", "-P"),
            ("-P c.pcap --loop 2", "-P"),
            ("-r", "-r"),
            ("-o 256", "-o 256"),
            ("--payload zero", "--payload"),
            ("-n 7", "-n"),
            ("-R 1000", "-R"),
            ("--rate 1M", "--rate"),
            ("-W", "-W"),
            ("--timeout 5", "--timeout"),
            ("--stamp", "--stamp"),
            ("--hdr f", "--hdr"),
            ("-T 100", "-T"),
            ("-X", "-X"),
            ("-o 64", "-X"),
            ("-A", "-A"),
            ("-B", "-B"),
            ("-c 1", "-c"),
        ] {
            let refusal = refusal("throughput", flags);
            let start = format!("{flag}: -f throughput ");
            assert!(refusal.starts_with(&start), "{flags}: {refusal}");
            assert!(refusal.ends_with(&format!("(leave {flag} out, or use -f tx and rx)")), "{refusal}");
        }
        assert!(refusal("back-to-back", "-b 8").starts_with("-b: -f back-to-back sends as fast as it goes"));
    }

    #[test]
    fn what_it_heeds_is_not() {
        for flags in [
            "-b 8 -a 0 -p 1 -w 1 -l 100 -N -v --json",
            "-l 70 -z -Z --vlan 7 --seed 3 -6 -d fd00::9 --csv",
            "-n 0 -T 1000 -b 0",
        ] {
            assert_eq!(refusal("throughput", flags), "", "{flags}");
        }
    }
}
