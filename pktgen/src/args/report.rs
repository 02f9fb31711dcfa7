//! How the run is reported.

use clap::{ArgAction, Args};

use super::within;
use crate::{Config, Format, Rate, Style};

/// How the run is reported.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct ReportArgs {
    /// Milliseconds from report to report
    #[arg(short = 'T', value_name = "MS", default_value_t = 1000, allow_negative_numbers = true,
        value_parser = within(Config::INTERVAL_MS))]
    pub(super) interval_ms: u32,
    /// JSON on standard output: an object a line for each report, and a summary
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// A table on standard output: a header, and a line for each report; totals on standard error
    #[arg(long)]
    pub(super) csv: bool,
    /// Mean and standard deviation of the packets a second, over the last 15 reports; with --json in the summary
    #[arg(short = 'A')]
    pub(super) average: bool,
    /// Count 24 bytes more of each frame in bit/s (CRC 4, framing 20), and in a --rate of bits
    #[arg(short = 'B')]
    pub(super) framing: bool,
    /// Whole numbers instead of K, M, G and T
    #[arg(short = 'N')]
    plain: bool,
    /// More messages
    #[arg(short = 'v', action = ArgAction::Count)]
    verbose: u8,
}

impl ReportArgs {
    pub(super) fn style(&self) -> Style {
        let format = match (self.json, self.csv) {
            (true, _) => Format::Json,
            (_, true) => Format::Csv,
            _ => Format::Text,
        };
        Style {
            format,
            normalize: !self.plain,
            average: self.average,
            framing: if self.framing { Rate::FRAMING } else { 0 },
            verbose: self.verbose,
            ..Style::default()
        }
    }
}
