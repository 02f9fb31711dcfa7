//! Amounts and rates in four digits, as iperf has printed them for twenty years.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What rates are printed in (`-f`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Bits, of a thousand, whichever fits (the default).
    #[default]
    Adaptive,
    /// Bits by a power of a thousand: 1 for `k`, 4 for `t`.
    Bits(u8),
    /// Bytes by a power of 1024: 1 for `K`, 4 for `T`.
    Bytes(u8),
}

/// No unit of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unit (try: k m g t for bits, K M G T for bytes)")]
pub struct BadUnit(String);

impl FromStr for Unit {
    type Err = BadUnit;
    fn from_str(s: &str) -> Result<Self, BadUnit> {
        let power = |all: &str| all.find(s).filter(|_| s.len() == 1).and_then(|i| u8::try_from(i + 1).ok());
        match (s, power("kmgt"), power("KMGT")) {
            ("a", _, _) => Ok(Self::Adaptive),
            (_, Some(p), _) => Ok(Self::Bits(p)),
            (_, _, Some(p)) => Ok(Self::Bytes(p)),
            _ => Err(BadUnit(s.to_owned())),
        }
    }
}

const BITS: [&str; 5] = ["bit", "Kbit", "Mbit", "Gbit", "Tbit"];
const BYTES: [&str; 5] = ["Byte", "KByte", "MByte", "GByte", "TByte"];

fn scaled(value: f64, base: f64, power: u8, names: [&str; 5]) -> String {
    let power = power.min(4);
    let v = value / base.powi(power.into());
    let name = names[usize::from(power)];
    // Three significant digits; the bounds are where rounding would add one.
    if v < 9.995 {
        format!("{v:4.2} {name}")
    } else if v < 99.95 {
        format!("{v:4.1} {name}")
    } else {
        format!("{v:4.0} {name}")
    }
}

fn fitting(value: f64, base: f64) -> u8 {
    (0..4).find(|&p| value < base.powi(i32::from(p) + 1)).unwrap_or(4)
}

/// `1.25 MByte`
pub(super) fn amount(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, fitting(bytes as f64, 1024.0), BYTES)
}

/// `10.5 Mbit`, to be followed by `s/sec`.
pub(super) fn rate(bytes: u64, seconds: f64, unit: Unit) -> String {
    let bytes = if seconds > 0.0 { bytes as f64 / seconds } else { 0.0 };
    match unit {
        Unit::Adaptive => scaled(bytes * 8.0, 1000.0, fitting(bytes * 8.0, 1000.0), BITS),
        Unit::Bits(power) => scaled(bytes * 8.0, 1000.0, power, BITS),
        Unit::Bytes(power) => scaled(bytes, 1024.0, power, BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_places_as_stock_prints_them() {
        for (bytes, text) in [
            (0, "0.00 Byte"),
            (448 << 10, " 448 KByte"),
            (1023 << 10, "1023 KByte"),
            (10 << 20, "10.0 MByte"),
            (4_327_000_000, "4.03 GByte"),
            (1 << 50, "1024 TByte"),
        ] {
            assert_eq!(amount(bytes), text);
        }
        assert_eq!(rate(1_310_720, 1.0, Unit::Adaptive), "10.5 Mbit");
        assert_eq!(rate(4_327_000_000, 1.0, Unit::Adaptive), "34.6 Gbit");
        assert_eq!(rate(1_310_720, 1.0, "k".parse().unwrap()), "10486 Kbit");
        assert_eq!(rate(1_310_720, 1.0, "M".parse().unwrap()), "1.25 MByte");
        assert_eq!(rate(5, 0.0, Unit::Adaptive), "0.00 bit");
    }

    #[test]
    fn units_by_their_letters() {
        assert_eq!("t".parse(), Ok(Unit::Bits(4)));
        assert_eq!("K".parse(), Ok(Unit::Bytes(1)));
        for bad in ["", "x", "km", "kk"] {
            assert!(bad.parse::<Unit>().is_err(), "{bad}");
        }
    }
}
