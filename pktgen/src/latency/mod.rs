//! Latencies: recorded without allocating, told of as quantiles, kept whole for those who plot them.

mod encoding;
mod log;
mod recorder;

use std::sync::mpsc::SyncSender;

use hdrhistogram::Histogram;

pub use encoding::BadHistogram;
pub use log::HdrLog;
pub(crate) use recorder::Recorder;

/// Latencies of an interval or of a run: an HdrHistogram of nanoseconds, exact to three digits, from 1 ns to
/// [`Self::MOST_NS`]. What is longer counts as that long.
///
/// In JSON it is its quantiles and, as `histogram`, all of it: HdrHistogram's compressed V2 format in base64, as in
/// a log of its intervals.
pub struct Latency {
    histogram: Box<Histogram<u64>>,
    /// Where the memory goes back to.
    home: Option<SyncSender<Box<Histogram<u64>>>>,
}

impl Latency {
    /// Longest latency that is told from longer ones: a minute.
    pub const MOST_NS: u64 = 60_000_000_000;
    /// Decimal digits that are right.
    pub const DIGITS: u8 = 3;

    /// Of these latencies, ns.
    #[must_use]
    pub fn of(samples: impl IntoIterator<Item = u64>) -> Self {
        let mut histogram = empty();
        samples.into_iter().for_each(|ns| histogram.saturating_record(ns));
        Self { histogram, home: None }
    }

    /// Adds others.
    pub(crate) fn add(&mut self, others: &Self) {
        let _ = self.histogram.add(&*others.histogram); // only other bounds could fail, and ours are all the same
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The shortest, ns; zero if there are none.
    #[must_use]
    pub fn min_ns(&self) -> u64 {
        if self.histogram.is_empty() { 0 } else { self.histogram.min() }
    }

    /// The longest, ns; zero if there are none.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.histogram.max()
    }

    /// Their mean, ns; zero if there are none.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        if self.histogram.is_empty() { 0.0 } else { self.histogram.mean() }
    }

    /// Their standard deviation, ns; zero if there are none.
    #[must_use]
    pub fn stddev_ns(&self) -> f64 {
        if self.histogram.is_empty() { 0.0 } else { self.histogram.stdev() }
    }

    /// What this share of them does not exceed, ns; zero if there are none. `share` is 0.5 for the median.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// How many lie from 2^k ns to below 2^(k+1), for every k from the shortest's to the longest's, and the first k:
    /// netmap's histogram. Exact, since powers of two are limits of the finer buckets too.
    #[must_use]
    pub fn powers_of_two(&self) -> (u32, Vec<u64>) {
        let mut counts = [0; 64];
        for step in self.histogram.iter_recorded() {
            counts[step.value_iterated_to().max(1).ilog2() as usize] += step.count_since_last_iteration();
        }
        let used = |n: &u64| *n > 0;
        let first = counts.iter().position(used).unwrap_or(0);
        let end = counts.iter().rposition(used).map_or(first, |last| last + 1);
        (u32::try_from(first).unwrap_or(0), counts[first..end].to_vec())
    }
}

fn empty() -> Box<Histogram<u64>> {
    let made = Histogram::new_with_bounds(1, Latency::MOST_NS, Latency::DIGITS);
    Box::new(made.expect("constants that suit"))
}

impl Clone for Latency {
    fn clone(&self) -> Self {
        Self { histogram: self.histogram.clone(), home: None }
    }
}

impl PartialEq for Latency {
    fn eq(&self, other: &Self) -> bool {
        self.histogram == other.histogram
    }
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_struct("Latency");
        f.field("count", &self.count()).field("min_ns", &self.min_ns()).field("max_ns", &self.max_ns());
        f.finish_non_exhaustive()
    }
}

/// Memory that was lent goes home, empty: whoever records has no time to clear it.
impl Drop for Latency {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        // An empty box that holds the place: made of no buckets to speak of.
        let Ok(nothing) = Histogram::new_with_bounds(1, 2, 0) else { return };
        let mut histogram = std::mem::replace(&mut self.histogram, Box::new(nothing));
        histogram.reset();
        let _ = home.try_send(histogram); // nobody records any more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `share` of the sorted samples do not exceed.
    fn exact(sorted: &[u64], share: f64) -> u64 {
        let rank = (share * sorted.len() as f64).ceil().max(1.0);
        sorted[rank as usize - 1]
    }

    fn near(got: u64, expected: u64) -> bool {
        got.abs_diff(expected) as f64 <= expected as f64 / 1000.0
    }

    fn any_samples() -> impl Strategy<Value = Vec<u64>> {
        let any_size = (0u32..36).prop_flat_map(|bits| 1u64 << bits..=(2u64 << bits) - 1);
        proptest::collection::vec(any_size.prop_map(|ns| ns.min(Latency::MOST_NS)), 1..400)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_samples(samples in any_samples()) {
            let latency = Latency::of(samples.iter().copied());
            let mut sorted = samples.clone();
            sorted.sort_unstable();
            prop_assert_eq!(latency.count(), sorted.len() as u64);
            prop_assert!(near(latency.min_ns(), sorted[0]));
            prop_assert!(near(latency.max_ns(), sorted[sorted.len() - 1]));
            for share in [0.5, 0.9, 0.99, 0.999] {
                let (got, expected) = (latency.quantile_ns(share), exact(&sorted, share));
                prop_assert!(near(got, expected), "{}: {} for {}", share, got, expected);
            }
            let n = sorted.len() as f64;
            let mean = sorted.iter().map(|ns| *ns as f64).sum::<f64>() / n;
            let variance = sorted.iter().map(|ns| (*ns as f64 - mean).powi(2)).sum::<f64>() / n;
            prop_assert!((latency.mean_ns() - mean).abs() <= mean / 1000.0);
            prop_assert!((latency.stddev_ns() - variance.sqrt()).abs() <= (mean + variance.sqrt()) / 500.0);
        }

        #[test]
        fn powers_of_two_are_netmaps(samples in any_samples()) {
            let (first, counts) = Latency::of(samples.iter().copied()).powers_of_two();
            let logs: Vec<_> = samples.iter().map(|ns| ns.ilog2()).collect();
            prop_assert_eq!(Some(&first), logs.iter().min());
            prop_assert_eq!(Some(first as usize + counts.len() - 1), logs.iter().max().map(|k| *k as usize));
            for (k, n) in (first..).zip(counts) {
                prop_assert_eq!(n, logs.iter().filter(|log| **log == k).count() as u64);
            }
        }
    }

    #[test]
    fn of_nothing_all_is_zero() {
        let none = Latency::of([]);
        assert_eq!((none.count(), none.min_ns(), none.quantile_ns(0.999), none.max_ns()), (0, 0, 0, 0));
        assert_eq!((none.mean_ns(), none.stddev_ns()), (0.0, 0.0));
        assert_eq!(none.powers_of_two(), (0, vec![]));
    }

    #[test]
    fn what_is_out_of_range_counts_at_its_end() {
        let latency = Latency::of([0, u64::MAX]);
        assert_eq!((latency.count(), latency.min_ns()), (2, 0));
        assert!(near(latency.max_ns(), Latency::MOST_NS), "{}", latency.max_ns());
    }
}
