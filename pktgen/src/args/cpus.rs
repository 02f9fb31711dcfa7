//! Where it runs.

use clap::{Args, value_parser};

use crate::Error;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CPUs")]
pub(super) struct CpuArgs {
    /// Run on this CPU; -1 for any
    #[arg(short = 'a', value_name = "CPU", allow_negative_numbers = true,
        value_parser = value_parser!(i32).range(-1..))]
    pin: Option<i32>,
    /// CPUs to use; 0 for all
    #[arg(short = 'c', value_name = "CPUS", default_value_t = 1, allow_negative_numbers = true)]
    cpus: u32,
}

/// CPUs of this machine.
pub(super) struct Cpus {
    pub(super) count: u32,
    pub(super) pin: Option<u32>,
}

impl CpuArgs {
    pub(super) fn resolve(&self, have: u32) -> Result<Cpus, Error> {
        Ok(Cpus { count: cpus(self.cpus, have)?, pin: pin(self.pin, have)? })
    }
}

const fn cpus(value: u32, have: u32) -> Result<u32, Error> {
    match value {
        0 => Ok(have),
        _ if value <= have => Ok(value),
        _ => Err(Error::TooManyCpus { value, have }),
    }
}

/// netmap takes `-a` modulo `-c`, whose default is 1, so that everybody ends up on CPU 0. Here `-a` means what it
/// says.
fn pin(value: Option<i32>, have: u32) -> Result<Option<u32>, Error> {
    match value.and_then(|cpu| u32::try_from(cpu).ok()) {
        Some(cpu) if cpu >= have => Err(Error::NoCpu { value: cpu, have }),
        cpu => Ok(cpu),
    }
}
