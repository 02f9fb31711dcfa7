//! Mean and deviation over the last reports.

use std::collections::VecDeque;

/// The last reports' packets a second. As in netmap's pkt-gen, reports of nothing take a place and do not count: a
/// pause leaves the mean of what went before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Window(VecDeque<f64>);

impl Window {
    /// How many reports are looked at (`STATS_WIN` of netmap's pkt-gen).
    const REPORTS: usize = 15;

    /// Adds a report; mean and standard deviation (of the population) of those that are looked at.
    pub(super) fn add(&mut self, pps: f64) -> (f64, f64) {
        self.0.truncate(Self::REPORTS - 1);
        self.0.push_front(pps);
        let mean = self.mean(|pps| pps);
        (mean, self.mean(|pps| (pps - mean).powi(2)).sqrt())
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let counted = || self.0.iter().filter(|pps| **pps > 0.0);
        let n = counted().count().max(1);
        counted().fold(0.0, |sum, pps| sum + of(*pps)) / n as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_of_the_last_fifteen() {
        let mut window = Window::default();
        assert_eq!(format!("{:?}", window.add(0.0)), "(0.0, 0.0)", "netmap divides by zero here");
        assert_eq!(window.add(100.0), (100.0, 0.0));
        assert_eq!(window.add(200.0), (150.0, 50.0));
        assert_eq!(window.add(0.0), (150.0, 50.0));
        for _ in 0..12 {
            window.add(7.0);
        }
        let (mean, _) = window.add(7.0);
        assert_eq!(mean, (200.0 + 13.0 * 7.0) / 14.0, "the oldest is the 200, and the pause does not count");
        let (mean, _) = window.add(9.0);
        assert_eq!(mean, (13.0 * 7.0 + 9.0) / 14.0);
    }
}
