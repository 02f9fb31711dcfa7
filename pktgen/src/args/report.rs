//! How the run is reported.

use clap::{ArgAction, Args};

use super::within;
use crate::Config;

#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// Milliseconds from report to report
    #[arg(short = 'T', value_name = "MS", default_value_t = 1000, allow_negative_numbers = true,
        value_parser = within(Config::INTERVAL_MS))]
    pub(super) interval_ms: u32,
    /// Print whole numbers instead of K, M, G and T
    #[arg(short = 'N')]
    pub(super) plain: bool,
    /// More messages
    #[arg(short = 'v', action = ArgAction::Count)]
    pub(super) verbose: u8,
}
