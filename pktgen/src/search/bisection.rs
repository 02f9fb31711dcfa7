//! The search itself: which load to try next, after what came of those before.

/// What one trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The load that the sender really put on: frames a second, or frames in the burst.
    pub offered: u64,
    /// Frames sent.
    pub sent: u64,
    /// Of these, frames received.
    pub received: u64,
}

impl Outcome {
    /// Frames that did not arrive.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A trial as fast as the sender goes.
    Most,
    /// A trial of this load.
    Load(u64),
    /// The search is over.
    Found(Found),
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The greatest load that passed; zero if none did.
    pub best: u64,
    /// The greatest load there was to try: the sender's own limit.
    pub most: u64,
    /// Trials that it took.
    pub trials: u32,
}

/// How exactly to search, and what passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Share of the frames that may be lost, 0 to 1.
    pub loss: f64,
    /// How near to the truth the result is to be, as a share of the greatest load; the search ends when what passed and
    /// what failed are no farther apart.
    pub resolution: f64,
}

/// The search for the greatest load without loss, by bisection (RFC 2544, 26.1 and 26.4).
///
/// The first trial says how much the sender can put on at all. A load fails when it fails twice: a machine that stops for
/// a moment loses frames at any rate, and what a bisection has once ruled out it never tries again.
#[derive(Clone, Debug)]
pub struct Search {
    terms: Terms,
    most: Option<u64>,
    /// Greatest load that passed, and the least that failed.
    passed: u64,
    failed: u64,
    /// The load that is tried has failed once.
    doubtful: bool,
    /// Frames have arrived, of whatever trial.
    heard: bool,
    trials: u32,
}

impl Search {
    /// A search that has tried nothing.
    #[must_use]
    pub const fn new(terms: Terms) -> Self {
        Self { terms, most: None, passed: 0, failed: 0, doubtful: false, heard: false, trials: 0 }
    }

    /// What to do next. The same until something is recorded.
    #[must_use]
    pub fn step(&self) -> Step {
        let Some(most) = self.most else { return Step::Most };
        let gap = self.failed.saturating_sub(self.passed);
        if gap <= 1 || gap as f64 <= self.terms.resolution * most as f64 {
            return Step::Found(Found { best: self.passed, most, trials: self.trials });
        }
        // Where nothing arrives at all, the least load that matters decides: most likely there is no path.
        Step::Load(if self.heard { self.passed + gap / 2 } else { self.least(most).min(self.failed) })
    }

    /// The least load that can be told from none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number")]
    fn least(&self, most: u64) -> u64 {
        ((self.terms.resolution * most as f64) as u64).max(1)
    }

    /// What is known so far. The greatest load is zero until there was a trial at full speed.
    #[must_use]
    pub fn so_far(&self) -> Found {
        Found { best: self.passed, most: self.most.unwrap_or(0), trials: self.trials }
    }

    /// Whether frames have arrived at all.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Takes in what came of the trial that [`step`](Self::step) asked for, and says whether it passed.
    pub fn record(&mut self, outcome: Outcome) -> bool {
        let step = self.step();
        self.trials += 1;
        self.heard |= outcome.received > 0;
        let passed = outcome.sent > 0 && outcome.lost() as f64 <= self.terms.loss * outcome.sent as f64;
        match step {
            Step::Found(_) => return passed,
            _ if !passed && !self.doubtful => {
                self.doubtful = true;
                return false;
            }
            Step::Most => {
                self.most = Some(outcome.offered);
                // A flawless run at full speed is the end of it: passed and failed meet.
                (self.passed, self.failed) = (if passed { outcome.offered } else { 0 }, outcome.offered);
            }
            Step::Load(load) if passed => {
                // So much cannot be offered, if it stays far behind or where others have passed.
                if is_short(outcome.offered, load) || outcome.offered <= self.passed {
                    self.failed = load;
                }
                self.passed = self.passed.max(outcome.offered.min(load));
            }
            Step::Load(load) => self.failed = load,
        }
        self.doubtful = false;
        passed
    }
}

/// Whether a sender stayed well below the load that it was to put on.
const fn is_short(offered: u64, load: u64) -> bool {
    offered < load - load / 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXACT: Terms = Terms { loss: 0.0, resolution: 0.01 };

    /// A device that forwards `capacity` frames a second, holds `queue` more, and has a sender that reaches `most`. Now
    /// and then, as often as `noise` says, it loses a frame for no reason.
    struct Device {
        capacity: u64,
        queue: u64,
        most: u64,
        noise: f64,
        state: u64,
    }

    impl Device {
        fn trial(&mut self, load: u64) -> Outcome {
            let offered = load.min(self.most);
            let (sent, through) = (offered * 2, self.capacity * 2 + self.queue); // two seconds
            let unlucky = u64::from(self.random() < self.noise);
            Outcome { offered, sent, received: sent.min(through).saturating_sub(unlucky) }
        }

        fn random(&mut self) -> f64 {
            self.state =
                self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.state >> 11) as f64 / (1u64 << 53) as f64
        }

        fn search(&mut self, terms: Terms) -> Found {
            let mut search = Search::new(terms);
            for _ in 0..200 {
                let outcome = match search.step() {
                    Step::Most => self.trial(u64::MAX / 4),
                    Step::Load(load) => self.trial(load),
                    Step::Found(found) => return found,
                };
                search.record(outcome);
            }
            panic!("it does not end");
        }
    }

    fn device(capacity: u64, most: u64) -> Device {
        Device { capacity, queue: 0, most, noise: 0.0, state: 1 }
    }

    proptest! {
        #[test]
        fn the_capacity_is_found(
            capacity in 1..50_000_000u64, most in 1..50_000_000u64, resolution in 0.0001..0.1f64, queue in 0..1000u64,
        ) {
            let mut device = Device { queue, ..device(capacity, most) };
            let found = device.search(Terms { loss: 0.0, resolution });
            let truth = most.min(capacity + queue / 2);
            prop_assert!(found.best <= truth, "{found:?} of {truth}");
            prop_assert!(truth - found.best <= 1 + (resolution * most as f64) as u64, "{found:?} of {truth}");
            prop_assert!(found.most == most && found.trials <= 2 + 2 * 15, "{found:?}");
        }

        /// Whatever is reported, the search ends.
        #[test]
        fn it_ends(outcomes in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 300)) {
            let mut search = Search::new(EXACT);
            for (offered, sent, received) in outcomes {
                if matches!(search.step(), Step::Found(_)) {
                    return Ok(());
                }
                search.record(Outcome { offered, sent, received });
            }
            prop_assert!(false, "{search:?}");
        }
    }

    #[test]
    fn a_sender_that_is_the_limit_ends_it_at_once() {
        assert_eq!(device(2000, 1000).search(EXACT), Found { best: 1000, most: 1000, trials: 1 });
    }

    #[test]
    fn what_is_known_so_far_is_what_passed() {
        let mut search = Search::new(EXACT);
        assert_eq!(search.so_far(), Found { best: 0, most: 0, trials: 0 });
        for _ in 0..2 {
            search.record(Outcome { offered: 1000, sent: 1000, received: 900 });
        }
        search.record(Outcome { offered: 500, sent: 500, received: 500 });
        assert_eq!(search.so_far(), Found { best: 500, most: 1000, trials: 3 });
    }

    #[test]
    fn nothing_gets_through() {
        let found = device(0, 1_000_000).search(EXACT);
        assert_eq!(found, Found { best: 0, most: 1_000_000, trials: 4 });
        let mut search = Search::new(EXACT);
        search.record(Outcome { offered: 0, sent: 0, received: 0 });
        assert_eq!(search.step(), Step::Most, "it has another chance");
        search.record(Outcome { offered: 0, sent: 0, received: 0 });
        assert_eq!(search.step(), Step::Found(Found { best: 0, most: 0, trials: 2 }));
    }

    #[test]
    fn a_loss_that_is_allowed_passes() {
        let terms = Terms { loss: 0.5, ..EXACT };
        let found = device(1_000_000, 10_000_000).search(terms);
        assert!((1_900_000..=2_000_000).contains(&found.best), "{found:?}");
    }

    /// One trial in twenty loses a frame for no reason: hardly any search is led astray by it.
    #[test]
    fn noise_is_borne() {
        let good = (0..1000).filter(|seed| {
            let mut device = Device { noise: 0.05, state: *seed, ..device(3_000_000, 10_000_000) };
            let found = device.search(EXACT);
            assert!(found.best <= 3_000_000, "{found:?}");
            found.best >= 2_900_000
        });
        let good = good.count();
        assert!(good >= 950, "{good} of 1000");
    }

    #[test]
    fn what_the_sender_cannot_offer_is_not_taken_for_the_devices_limit() {
        // Full speed is lossy, and paced loads stay at 700 whatever is asked.
        let mut search = Search::new(EXACT);
        for _ in 0..2 {
            search.record(Outcome { offered: 1000, sent: 2000, received: 1999 });
        }
        let mut most = 0;
        while let Step::Load(load) = search.step() {
            let offered = load.min(700);
            most = most.max(offered);
            search.record(Outcome { offered, sent: 2 * offered, received: 2 * offered });
        }
        assert!(matches!(search.step(), Step::Found(Found { best: 690..=700, .. })), "{search:?}");
        assert_eq!(most, 700);
    }
}
