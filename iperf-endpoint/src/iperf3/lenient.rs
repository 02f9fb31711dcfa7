//! JSON values as iperf3's versions really write them.
//!
//! 3.12 prints a signed -1 as 18446744073709551615, others as -1, and cJSON turns integers into floats past
//! 2^53 and NaN into null. What is no number at all stays an error.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// An integer, however it is spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Int(pub(crate) i64);

/// A real number; null is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Real(pub(crate) f64);

/// A key whose presence is its meaning. Present with `false`, `0` or null it is off all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

struct IntVisitor;

impl Visitor<'_> for IntVisitor {
    type Value = Int;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Int, E> {
        Ok(Int(v))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Int, E> {
        Ok(Int(v.cast_signed()))
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is what a bound check wants")]
    fn visit_f64<E: Error>(self, v: f64) -> Result<Int, E> {
        // 2^64 as a float is what -1 becomes on its way through one.
        Ok(Int(if v >= 18_446_744_073_709_549_568.0 { -1 } else { v as i64 }))
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(IntVisitor)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let v = Option::<f64>::deserialize(d)?.unwrap_or(0.0);
        Ok(Self(if v.is_finite() { v } else { 0.0 }))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let v = serde_json::Value::deserialize(d)?;
        Ok(Self(!(v.is_null() || v == false || v == 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_in_all_its_spellings() {
        for text in ["-1", "18446744073709551615", "-1.0", "18446744073709551616", "1.8446744073709552e+19"] {
            assert_eq!(serde_json::from_str::<Int>(text).unwrap(), Int(-1), "{text}");
        }
        assert_eq!(serde_json::from_str::<Int>("4650434560").unwrap(), Int(4_650_434_560));
    }

    #[test]
    fn wrong_types_stay_errors() {
        for text in ["\"1\"", "[]", "{}", "null", "true"] {
            assert!(serde_json::from_str::<Int>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Real>("\"0.5\"").is_err());
        assert_eq!(serde_json::from_str::<Real>("null").unwrap(), Real(0.0));
    }

    #[test]
    fn flags_are_on_by_being_there() {
        for (text, on) in [("true", true), ("1", true), ("\"x\"", true), ("false", false), ("0", false)] {
            assert_eq!(serde_json::from_str::<Flag>(text).unwrap(), Flag(on), "{text}");
        }
    }
}
