//! Recording on the data path.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hdrhistogram::Histogram;

use super::{Latency, empty};

/// Histograms that may be under way at a time.
const SPARES: usize = 4;

/// Two histograms, of the interval that runs and of the whole run, and some spare ones: an interval's is lent to its
/// event and comes back empty when the event is dropped, so that nothing is allocated or cleared here.
pub(crate) struct Recorder {
    interval: Box<Histogram<u64>>,
    total: Box<Histogram<u64>>,
    spares: Receiver<Box<Histogram<u64>>>,
    home: SyncSender<Box<Histogram<u64>>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let (home, spares) = sync_channel(SPARES);
        for _ in 0..SPARES {
            let _ = home.try_send(empty());
        }
        Self { interval: empty(), total: empty(), spares, home }
    }

    /// Adds one latency, ns.
    #[inline]
    pub(crate) fn record(&mut self, ns: u64) {
        self.interval.saturating_record(ns);
        self.total.saturating_record(ns);
    }

    /// The latencies since the last call. `None` while all spare histograms are under way, since nobody listens:
    /// then the interval goes on, unless it is the `last`, for which one may be allocated.
    pub(crate) fn end_interval(&mut self, last: bool) -> Option<Latency> {
        let spare = self.spares.try_recv().ok().or_else(|| last.then(empty))?;
        let histogram = std::mem::replace(&mut self.interval, spare);
        Some(Latency { histogram, home: Some(self.home.clone()) })
    }

    /// All latencies of the run. At its end: this allocates.
    pub(crate) fn total(&self) -> Latency {
        Latency { histogram: self.total.clone(), home: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_empty_and_the_total_has_all() {
        let mut recorder = Recorder::new();
        for round in 1..100 {
            (0..round).for_each(|ns| recorder.record(ns));
            let interval = recorder.end_interval(false).expect("the last one was dropped");
            assert_eq!(interval.count(), round);
        }
        assert_eq!(recorder.total().count(), 99 * 100 / 2);
        assert_eq!(recorder.end_interval(false).map(|last| last.count()), Some(0));
    }

    #[test]
    fn while_nobody_listens_the_interval_goes_on() {
        let mut recorder = Recorder::new();
        let mut heard = Vec::new();
        for _ in 0..10 {
            recorder.record(7);
            heard.extend(recorder.end_interval(false));
        }
        assert_eq!(heard.len(), SPARES);
        assert_eq!(recorder.end_interval(true).map(|l| l.count()), Some(6), "nothing is left untold");
        heard.clear();
        recorder.record(7);
        assert_eq!(recorder.end_interval(false).map(|l| l.count()), Some(1));
        let last = recorder.end_interval(false);
        drop(recorder);
        drop(last); // nobody to give it back to
    }
}
