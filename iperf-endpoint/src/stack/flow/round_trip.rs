//! How long a segment and its acknowledgement take.

use std::time::Duration;

use ports::Time;

/// RFC 6298's estimate, in nanoseconds, one segment timed at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrip {
    /// The sequence number that is timed, and since when.
    pub(super) timing: Option<(u32, Time)>,
    pub(super) smoothed: Duration,
    pub(super) deviation: Duration,
}

impl RoundTrip {
    /// Takes a round trip into account.
    pub(super) fn sample(&mut self, rtt: Duration) {
        if self.smoothed.is_zero() {
            (self.smoothed, self.deviation) = (rtt, rtt / 2);
        } else {
            self.deviation = (self.deviation * 3 + self.smoothed.abs_diff(rtt)) / 4;
            self.smoothed = (self.smoothed * 7 + rtt) / 8;
        }
    }
}
