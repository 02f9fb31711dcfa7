//! Flags that have no effect beside others: they do no harm, and are told of.

use super::Args;
use crate::{Config, Function};

/// Flags that say how frames are made, as far as netmap's receivers do not name what they say in their first lines.
const MAKING: [&str; 6] = ["-z", "-Z", "-r", "--vlan", "--payload", "--seed"];
/// Of these, what pings are not.
const NOT_OF_PINGS: [&str; 3] = ["-z", "-Z", "-r"];

/// A line for the `flags` that have no meaning with another, if there are any.
pub(super) fn note(flags: &[&str], with: &str, why: &str) -> Option<String> {
    let have = if flags.len() > 1 { "have" } else { "has" };
    (!flags.is_empty()).then(|| format!("{} {have} no meaning with {with}: {why}", flags.join(" ")))
}

impl Args {
    /// A line for flags that the function does not heed, and for those that nobody heeds who sends rubbish.
    pub(super) fn notes_of_function(&self) -> Vec<String> {
        let Ok(function) = self.function.parse::<Function>() else { return Vec::new() };
        let with = format!("-f {}", function.name());
        let notes =
            self.without_effect(function).into_iter().filter_map(|(flags, why)| note(&flags, &with, why));
        notes.chain(self.note_of_rubbish(function)).collect()
    }

    /// A default that is written out asks for nothing.
    fn without_effect(&self, function: Function) -> [(Vec<&'static str>, &'static str); 5] {
        let is_ping = function == Function::Ping;
        let waits = matches!(function, Function::Rx | Function::Rxseq);
        let given = |flag, given: bool| given.then_some(flag).into_iter().collect::<Vec<_>>();
        let among = |flags: &[&str], not: bool| {
            self.frames.given().into_iter().filter(|flag| not && flags.contains(flag)).collect::<Vec<_>>()
        };
        [
            (among(&MAKING, !function.sends()), "it makes no frames"),
            (among(&NOT_OF_PINGS, is_ping), "its frames are alike but for their stamps"),
            (given("--stamp", self.latency.stamp && is_ping), "its frames carry the time anyway"),
            (
                given("--timeout", self.latency.timeout_ms != Config::default().timeout_ms && !is_ping),
                "it waits for no answers",
            ),
            (given("-W", self.until_idle && !waits), "it does not end for want of frames"),
        ]
    }

    /// Rubbish has the length that is asked for, and nothing else.
    fn note_of_rubbish(&self, function: Function) -> Option<String> {
        let rubbish = self.frames.rubbish || self.netmap.sends_rubbish();
        let sends = rubbish && self.replay.file.is_none() && function.sends_series();
        let mut flags = self.frames.given();
        flags.retain(|flag| sends && !["-l", "-r"].contains(flag));
        if sends && self.latency.stamp {
            flags.push("--stamp");
        }
        if sends && function.is_sequenced() {
            flags.insert(0, "-f txseq");
        }
        note(&flags, "-r", "frames are as they stand in the slots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn notes(flags: &str) -> Vec<String> {
        let line = format!("pkt-gen -i null {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        let notes = args.notes();
        assert!(args.into_task(2).is_ok(), "{flags}: harmless");
        notes
    }

    #[test]
    fn what_has_no_effect_is_told() {
        for (flags, told) in [
            ("-f ping --stamp", "--stamp has no meaning with -f ping: its frames carry the time anyway"),
            ("-f ping -zZ", "-z -Z have no meaning with -f ping: its frames are alike but for their stamps"),
            ("-f tx --timeout 5", "--timeout has no meaning with -f tx: it waits for no answers"),
            ("-f rx --timeout 5", "--timeout has no meaning with -f rx: it waits for no answers"),
            ("-f tx -W", "-W has no meaning with -f tx: it does not end for want of frames"),
            ("-f pong -W", "-W has no meaning with -f pong: it does not end for want of frames"),
            ("-f rx -z --seed 7", "-z --seed have no meaning with -f rx: it makes no frames"),
            ("-f rx -r --vlan 7", "--vlan -r have no meaning with -f rx: it makes no frames"),
            (
                "-f tx -r -s 10.0.0.9 --vlan 7 --stamp",
                "-s --vlan --stamp have no meaning with -r: frames are as they stand in the slots",
            ),
            ("-f txseq -o 256", "-f txseq has no meaning with -r: frames are as they stand in the slots"),
            ("-f tx -P c --seed 7", "--seed has no meaning with -P: frames are as they are in the file"),
        ] {
            assert_eq!(notes(flags), [told], "{flags}");
        }
    }

    #[test]
    fn what_has_effect_or_asks_for_nothing_is_not() {
        for flags in [
            "-f ping --timeout 5 --vlan 7 --seed 3 --payload random",
            "-f tx --timeout 1000 --stamp -z -Z --seed 3",
            "-f rx -W --stamp -l 60 -s 10.0.0.1 -d 10.0.0.2 -S 02:00:00:00:00:01 -D 02:00:00:00:00:02 -6 -4",
            "-f rxseq -W",
            "-f tx -r -l 100",
        ] {
            assert_eq!(notes(flags), [""; 0], "{flags}");
        }
    }
}
