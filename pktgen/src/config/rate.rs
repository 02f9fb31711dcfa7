//! How fast to send, and how people write that down.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How fast to send. A limit of zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// Frames a second (`-R`, `--rate 1Mpps`).
    Pps(u64),
    /// Bits a second (`--rate 10Gbit/s`).
    Bps {
        /// Bits a second.
        bits: u64,
        /// Bytes that each frame takes besides its own: [`Rate::FRAMING`] where the rate is meant on the wire
        /// (`-B`), else none.
        framing: u32,
    },
}

impl Rate {
    /// As fast as there is room.
    pub const UNLIMITED: Self = Self::Pps(0);
    /// What a frame takes on an Ethernet besides itself: FCS 4, preamble and start delimiter 8, least gap 12 bytes
    /// (IEEE 802.3, 3.1.1 and 4.4.2).
    pub const FRAMING: u32 = 24;
    /// The most frames a second that a number without a unit may mean: beyond, bits were meant.
    const BARE: u64 = 1_000_000_000;

    /// Units a second, of those that [`cost`](Self::cost) is in; zero is no limit.
    #[must_use]
    pub const fn per_s(self) -> u64 {
        match self {
            Self::Pps(frames) => frames,
            Self::Bps { bits, .. } => bits,
        }
    }

    /// What this many frames of this many bytes together take of it: frames or bits.
    #[must_use]
    #[inline]
    pub const fn cost(self, frames: u64, bytes: u64) -> u64 {
        match self {
            Self::Pps(_) => frames,
            Self::Bps { framing, .. } => {
                bytes.saturating_add(frames.saturating_mul(framing as u64)).saturating_mul(8)
            }
        }
    }

    /// Of so many senders together.
    #[must_use]
    pub const fn times(self, senders: u64) -> Self {
        match self {
            Self::Pps(frames) => Self::Pps(frames.saturating_mul(senders)),
            Self::Bps { bits, framing } => Self::Bps { bits: bits.saturating_mul(senders), framing },
        }
    }

    /// The same in bits on the wire, with [`Self::FRAMING`], where it is in bits.
    #[must_use]
    pub const fn on_wire(self) -> Self {
        match self {
            Self::Bps { bits, .. } => Self::Bps { bits, framing: Self::FRAMING },
            pps @ Self::Pps(_) => pps,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// Not a rate. The text is for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// No number, or no unit, of ours.
    #[error("no rate (try: 1000000, 1.5Mpps, 10Gbit/s)")]
    Form,
    /// Not a whole number of frames or bits.
    #[error("less than one {0} a second is left over (try: a whole number)")]
    Fraction(&'static str),
    /// More than fits.
    #[error("more than {} a second", u64::MAX)]
    Large,
    /// A number without unit that is no number of frames.
    #[error("packets or bits? (try: {0}pps or {0}bit/s)")]
    Bare(String),
}

impl FromStr for Rate {
    type Err = BadRate;

    /// A decimal number, K, M, G or T if wanted, and the unit: `pps` (none is the same) or `bit/s`, `bps`.
    fn from_str(s: &str) -> Result<Self, BadRate> {
        let s = s.trim();
        let lower = s.to_ascii_lowercase();
        let number = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(number);
        let unit = unit.trim_start();
        let (power, unit) = match unit.chars().next() {
            Some('k') => (3, &unit[1..]),
            Some('m') => (6, &unit[1..]),
            Some('g') => (9, &unit[1..]),
            Some('t') => (12, &unit[1..]),
            _ => (0, unit),
        };
        match unit {
            "" => match decimal(number, power, "packet")? {
                pps if pps > Self::BARE => Err(BadRate::Bare(s.to_owned())),
                pps => Ok(Self::Pps(pps)),
            },
            "pps" | "p/s" => decimal(number, power, "packet").map(Self::Pps),
            "bps" | "bit/s" | "bits/s" | "bit" => {
                decimal(number, power, "bit").map(|bits| Self::Bps { bits, framing: 0 })
            }
            _ => Err(BadRate::Form),
        }
    }
}

/// A decimal number times a power of ten, exactly.
fn decimal(number: &str, power: usize, what: &'static str) -> Result<u64, BadRate> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(BadRate::Form);
    }
    let fraction = fraction.trim_end_matches('0');
    let zeros = power.checked_sub(fraction.len()).ok_or(BadRate::Fraction(what))?;
    let digits = format!("{whole}{fraction}{:0<zeros$}", "");
    digits.parse().map_err(|_| BadRate::Large)
}

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pps(0) | Self::Bps { bits: 0, .. } => f.write_str("unlimited"),
            Self::Pps(frames) => write!(f, "{frames} packets/s"),
            Self::Bps { bits, framing: 0 } => write!(f, "{bits} bit/s of frames without CRC"),
            Self::Bps { bits, framing } => {
                write!(f, "{bits} bit/s on the wire ({framing} bytes a frame for CRC and framing)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bps(bits: u64) -> Rate {
        Rate::Bps { bits, framing: 0 }
    }

    #[test]
    fn people_write_rates_in_many_ways() {
        for (text, expected) in [
            ("0", Rate::UNLIMITED),
            ("1000000", Rate::Pps(1_000_000)),
            ("1M", Rate::Pps(1_000_000)),
            ("1m", Rate::Pps(1_000_000)),
            ("1Mpps", Rate::Pps(1_000_000)),
            ("14.88Mpps", Rate::Pps(14_880_000)),
            ("1.488095 Mp/s", Rate::Pps(1_488_095)),
            ("20Gpps", Rate::Pps(20_000_000_000)),
            ("10Gbps", bps(10_000_000_000)),
            ("10Gbit/s", bps(10_000_000_000)),
            ("10 gbits/s", bps(10_000_000_000)),
            ("10Gbit", bps(10_000_000_000)),
            (".5Kbit/s", bps(500)),
            ("1Tbps", bps(1_000_000_000_000)),
            ("9600bps", bps(9600)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_a_way_out() {
        for (text, expected) in [
            ("", "no rate (try:"),
            ("fast", "no rate"),
            ("-1", "no rate"),
            ("1.2.3", "no rate"),
            (".", "no rate"),
            ("M", "no rate"),
            ("10Gfps", "no rate"),
            ("10MB/s", "no rate"),
            ("10é", "no rate"),
            ("1.5", "less than one packet"),
            ("1.0005Kbit/s", "less than one bit"),
            ("10G", "packets or bits? (try: 10Gpps or 10Gbit/s)"),
            ("99999999999999Tbps", "more than 18446744073709551615 a second"),
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn bits_are_the_frames_own_unless_asked_on_the_wire() {
        let rate = bps(10_000_000_000);
        assert_eq!((rate.per_s(), rate.cost(2, 120)), (10_000_000_000, 960));
        assert_eq!((rate.on_wire().per_s(), rate.on_wire().cost(2, 120)), (10_000_000_000, 1344));
        assert_eq!((Rate::Pps(7).on_wire(), Rate::Pps(7).cost(2, 120)), (Rate::Pps(7), 2));
        assert_eq!(Rate::Pps(7).to_string(), "7 packets/s");
        assert_eq!(bps(7).to_string(), "7 bit/s of frames without CRC");
        assert_eq!(
            bps(7).on_wire().to_string(),
            "7 bit/s on the wire (24 bytes a frame for CRC and framing)"
        );
        assert_eq!(Rate::UNLIMITED.to_string(), "unlimited");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_exactly_or_refused(whole in 0u64..1_000_000, thousandths in 0u64..1000) {
            let rate = format!("{whole}.{thousandths:03}Kbit/s").parse();
            prop_assert_eq!(rate, Ok(bps(whole * 1000 + thousandths)));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<Rate>();
        }
    }
}
