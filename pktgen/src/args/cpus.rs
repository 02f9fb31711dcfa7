//! Where it runs, and in how many threads.

use clap::{Args, value_parser};

use super::within;
use crate::{Error, Threads};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CPUs")]
pub(super) struct CpuArgs {
    /// Threads, each with a queue of the port to itself; -n is divided among them, -R is each one's
    #[arg(short = 'p', value_name = "THREADS", default_value_t = 1, allow_negative_numbers = true,
        value_parser = within(Threads::COUNT))]
    threads: u32,
    /// Run on this CPU, further threads on those after it; -1 for any
    #[arg(short = 'a', value_name = "CPU", allow_negative_numbers = true,
        value_parser = value_parser!(i32).range(-1..))]
    pin: Option<i32>,
    /// CPUs that the threads of -a go round; 0 for all [default: all, reported as those in use]
    #[arg(short = 'c', value_name = "CPUS", allow_negative_numbers = true)]
    pub(super) cpus: Option<u32>,
}

/// Threads and CPUs of a run.
pub(super) struct Cpus {
    /// CPUs of the report's first line.
    pub(super) count: u32,
    pub(super) threads: Threads,
}

impl CpuArgs {
    pub(super) fn resolve(&self, have: u32) -> Result<Cpus, Error> {
        let given = self.cpus.map(|value| cpus(value, have)).transpose()?;
        let first = pin(self.pin, have)?;
        let pins = first.map(|first| pins(first, self.threads, given, have)).unwrap_or_default();
        let mut in_use = pins.clone();
        in_use.sort_unstable();
        in_use.dedup();
        let count = given.unwrap_or_else(|| u32::try_from(in_use.len()).unwrap_or(1).max(1));
        Ok(Cpus { count, threads: Threads { count: self.threads, pins } })
    }
}

const fn cpus(value: u32, have: u32) -> Result<u32, Error> {
    match value {
        0 => Ok(have),
        _ if value <= have => Ok(value),
        _ => Err(Error::TooManyCpus { value, have }),
    }
}

fn pin(value: Option<i32>, have: u32) -> Result<Option<u32>, Error> {
    match value.and_then(|cpu| u32::try_from(cpu).ok()) {
        Some(cpu) if cpu >= have => Err(Error::NoCpu { value: cpu, have }),
        cpu => Ok(cpu),
    }
}

/// The CPU of each thread: from the `first` on, going round the lowest `-c` of them.
///
/// netmap takes `-a` modulo `-c` as well, whose default is 1, so that everybody ends up on CPU 0. Here `-a` means what
/// it says: from a CPU beyond those of `-c` on, the threads go round as many CPUs as `-c` says.
fn pins(first: u32, threads: u32, given: Option<u32>, have: u32) -> Vec<u32> {
    let (have, round) = (have.max(1), given.unwrap_or(have).max(1));
    let pin = |thread| if first < round { (first + thread) % round } else { (first + thread % round) % have };
    (0..threads).map(pin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_go_round_the_cpus() {
        for (first, threads, given, expected) in [
            (1, 1, None, &[1][..]),
            (2, 4, None, &[2, 3, 0, 1]),
            (0, 3, Some(2), &[0, 1, 0]),
            (1, 3, Some(2), &[1, 0, 1]),
            (3, 1, Some(1), &[3]),
            (3, 3, Some(2), &[3, 0, 3]),
            (0, 2, Some(4), &[0, 1]),
        ] {
            assert_eq!(pins(first, threads, given, 4), expected, "-a {first} -p {threads} -c {given:?}");
        }
    }
}
