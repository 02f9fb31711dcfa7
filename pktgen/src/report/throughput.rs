//! What went through in some time, and how fast that is.

/// Shorter than any clock tells, seconds: what a run that took no time is said to have taken.
const SHORTEST_S: f64 = 1e-6;

/// What went through in some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    pub(super) packets: u64,
    /// Without FCS.
    pub(super) bytes: u64,
    pub(super) batches: u64,
    pub(super) seconds: f64,
}

impl Throughput {
    /// In an interval of so many microseconds.
    pub(super) fn of_interval([packets, bytes, batches]: [u64; 3], usec: u64) -> Self {
        Self { packets, bytes, batches, seconds: usec as f64 / 1e6 }
    }

    /// Packets a second.
    pub(super) fn pps(&self) -> f64 {
        self.packets as f64 / self.seconds.max(SHORTEST_S)
    }

    /// Bits a second, where each packet counts `framing` bytes more than it has.
    pub(super) fn bps(&self, framing: u32) -> f64 {
        let bits = 8.0 * (self.bytes as f64 + self.packets as f64 * f64::from(framing));
        bits / self.seconds.max(SHORTEST_S)
    }

    /// Mean packets a batch; zero without any.
    pub(super) fn batch(&self) -> f64 {
        if self.batches > 0 { self.packets as f64 / self.batches as f64 } else { 0.0 }
    }

    /// Mean bytes a packet, if there was any.
    pub(super) fn mean_bytes(&self) -> Option<u64> {
        self.bytes.checked_div(self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        let t = Throughput::of_interval([1000, 60_000, 10], 500_000);
        assert_eq!((t.pps(), t.bps(0), t.bps(24)), (2000.0, 960_000.0, 1_344_000.0));
        assert_eq!((t.batch(), t.mean_bytes()), (100.0, Some(60)));
    }

    #[test]
    fn nothing_in_no_time_is_nothing() {
        let t = Throughput { packets: 0, bytes: 0, batches: 0, seconds: 0.0 };
        assert_eq!((t.pps(), t.bps(24), t.batch(), t.mean_bytes()), (0.0, 0.0, 0.0, None));
        let t = Throughput { packets: 1, bytes: 60, ..t };
        assert_eq!(t.pps().round(), 1e6, "a packet in a microsecond");
    }
}
