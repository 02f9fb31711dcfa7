//! What is measured of latency.

use std::path::PathBuf;

use clap::Args;

use super::within;
use crate::{Config, Error, Function};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Latency")]
pub(super) struct LatencyArgs {
    /// ping: milliseconds until a ping counts as lost
    #[arg(long = "timeout", value_name = "MS", default_value_t = Config::default().timeout_ms,
        allow_negative_numbers = true, value_parser = within(Config::TIMEOUT_MS))]
    pub(super) timeout_ms: u32,
    /// tx: number frames and stamp them with the time; rx: report how long they were under way. For two ends on one
    /// machine, whose clock they share
    #[arg(long)]
    pub(super) stamp: bool,
    /// ping, or rx with --stamp: write the latencies of each report to FILE, in HdrHistogram's log format
    #[arg(long, value_name = "FILE")]
    pub(super) hdr: Option<PathBuf>,
}

impl LatencyArgs {
    /// Checks that what is asked for exists.
    pub(super) fn check(&self, function: Function) -> Result<(), Error> {
        let stamps = self.stamp && matches!(function, Function::Rx);
        if self.hdr.is_some() && function != Function::Ping && !stamps {
            return Err(Error::NoLatency("--hdr", "-f ping or -f rx --stamp"));
        }
        Ok(())
    }
}
