//! How fast to send.

use clap::Args;

use crate::Rate;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rate")]
pub(super) struct RateArgs {
    /// Frames a second; 0 for as many as there is room for
    #[arg(short = 'R', value_name = "PPS", allow_negative_numbers = true, conflicts_with = "rate")]
    pub(super) pps: Option<u64>,
    /// Packets or bits a second: 1M, 1.5Mpps, 10Gbit/s, 10Gbps. Bits are those of the frames without CRC; with -B,
    /// those on the wire
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub(super) rate: Option<Rate>,
}

impl RateArgs {
    /// The rate that was asked for; `on_wire` (-B), if that was in bits.
    pub(super) fn into_rate(self, on_wire: bool) -> Rate {
        let rate = self.rate.or_else(|| self.pps.map(Rate::Pps)).unwrap_or_default();
        if on_wire { rate.on_wire() } else { rate }
    }
}
