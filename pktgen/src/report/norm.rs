//! Numbers with the prefix of their unit.

use std::fmt::{self, Display};

/// A number with its unit's prefix, which stands directly before the unit (`norm` of netmap's `ctrs.h`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    pub(super) value: f64,
    /// Whether in K, M, G and T.
    pub(super) normalize: bool,
}

impl Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.normalize {
            return write!(f, "{:.0} ", self.value);
        }
        let mut value = self.value;
        let mut prefixes = ["K", "M", "G", "T"].into_iter();
        let mut prefix = "";
        while value >= 1000.0 {
            let Some(larger) = prefixes.next() else { break };
            value /= 1000.0;
            prefix = larger;
        }
        write!(f, "{value:.3} {prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_tera() {
        let norm = |value| Norm { value, normalize: true }.to_string();
        assert_eq!(
            [0.0, 999.999, 1000.0, 999_999.9, 1e6, 2.5e15].map(norm),
            ["0.000 ", "999.999 ", "1.000 K", "1000.000 K", "1.000 M", "2500.000 T"]
        );
        assert_eq!(Norm { value: 998_662.4, normalize: false }.to_string(), "998662 ");
    }
}
