//! What went through in some time, and how fast that is.

/// What went through in some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    pub(super) packets: u64,
    /// Without FCS.
    pub(super) bytes: u64,
    pub(super) batches: u64,
    /// Zero where all of it was seen at one time, as one pass of a receiver is: then there is no speed to state, and
    /// rates are zero.
    pub(super) seconds: f64,
}

impl Throughput {
    /// In an interval of so many microseconds.
    pub(super) fn of_interval([packets, bytes, batches]: [u64; 3], usec: u64) -> Self {
        Self { packets, bytes, batches, seconds: usec as f64 / 1e6 }
    }

    /// Packets a second.
    pub(super) fn pps(&self) -> f64 {
        self.per_second(self.packets as f64)
    }

    /// Bits a second, where each packet counts `framing` bytes more than it has.
    pub(super) fn bps(&self, framing: u32) -> f64 {
        self.per_second(8.0 * (self.bytes as f64 + self.packets as f64 * f64::from(framing)))
    }

    fn per_second(&self, amount: f64) -> f64 {
        if self.seconds > 0.0 { amount / self.seconds } else { 0.0 }
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
    fn in_no_time_there_is_no_speed() {
        let t = Throughput { packets: 0, bytes: 0, batches: 0, seconds: 0.0 };
        assert_eq!((t.pps(), t.bps(24), t.batch(), t.mean_bytes()), (0.0, 0.0, 0.0, None));
        let t = Throughput { packets: 100, bytes: 6000, batches: 1, ..t };
        assert_eq!((t.pps(), t.bps(24), t.batch(), t.mean_bytes()), (0.0, 0.0, 100.0, Some(60)));
        let t = Throughput { seconds: 0.5e-6, ..t };
        assert_eq!(t.pps().round(), 200e6, "however short the time, it was measured");
    }
}
