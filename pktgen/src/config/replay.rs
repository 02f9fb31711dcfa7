//! Sending a capture instead of frames of one's own making.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A capture to send (`-P`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The file. Absolute: who reads it may be in another directory.
    pub file: PathBuf,
    /// Send each frame at the time it was captured (`--timing`); else as fast as the rate says.
    pub timing: Option<Speed>,
    /// How often to send the whole of it (`--loop`); zero without end.
    pub loops: u64,
}

impl Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replaying {}", self.file.display())?;
        match self.timing {
            None => f.write_str("."),
            Some(Speed::ORIGINAL) => f.write_str(", timed as captured."),
            Some(speed) => write!(f, ", {speed} times as fast as captured."),
        }
    }
}

/// How many times as fast as it was captured, from a millionth to a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Speed {
    millionths: u64,
}

/// Not a speed. The text is for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no timing (try: original, or a factor from 0.000001 to 1000000, such as 2 for twice as fast)")]
pub struct BadSpeed;

impl Speed {
    /// As it was captured.
    pub const ORIGINAL: Self = Self { millionths: Self::UNIT };
    const UNIT: u64 = 1_000_000;
    /// The highest speed.
    const MOST: u64 = Self::UNIT * 1_000_000;

    /// As a number.
    #[must_use]
    pub const fn factor(self) -> f64 {
        self.millionths as f64 / Self::UNIT as f64
    }

    /// How long this time of the capture takes now.
    #[must_use]
    pub fn scale(self, captured: Duration) -> Duration {
        if self == Self::ORIGINAL {
            return captured;
        }
        let ns = captured.as_nanos() * u128::from(Self::UNIT) / u128::from(self.millionths.max(1));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Self, BadSpeed> {
        if text == "original" {
            return Ok(Self::ORIGINAL);
        }
        let factor = text.parse::<f64>().map_err(|_| BadSpeed)?;
        let millionths = (factor * Self::UNIT as f64).round();
        // Nonsense of any kind is out of range by this: a cast saturates, and what is not a number is 0.
        Self::try_from(millionths as u64)
    }
}

impl Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor())
    }
}

impl From<Speed> for u64 {
    fn from(speed: Speed) -> Self {
        speed.millionths
    }
}

impl TryFrom<u64> for Speed {
    type Error = BadSpeed;

    fn try_from(millionths: u64) -> Result<Self, BadSpeed> {
        if (1..=Self::MOST).contains(&millionths) { Ok(Self { millionths }) } else { Err(BadSpeed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_and_scale() {
        for (text, expected_ns) in [
            ("original", 3_000_000_000_u64),
            ("1", 3_000_000_000),
            ("2", 1_500_000_000),
            ("0.5", 6_000_000_000),
            ("0.000001", 3_000_000_000_000_000),
            ("1e6", 3000),
        ] {
            let speed = text.parse::<Speed>().unwrap();
            assert_eq!(speed.scale(Duration::from_secs(3)), Duration::from_nanos(expected_ns), "{text}");
            assert_eq!(speed.to_string().parse::<Speed>(), Ok(speed));
            let json = serde_json::to_string(&speed).unwrap();
            assert_eq!(serde_json::from_str::<Speed>(&json).unwrap(), speed);
        }
        for text in ["", "0", "-1", "fast", "nan", "inf", "1000001", "0.0000004"] {
            assert_eq!(text.parse::<Speed>(), Err(BadSpeed), "{text}");
        }
        assert!(serde_json::from_str::<Speed>("0").is_err());
    }
}
