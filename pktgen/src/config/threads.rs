//! One run in several threads, each with a queue of the port to itself.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Config, Error, within};

/// The threads of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threads {
    /// How many there are (`-p`), in [`Self::COUNT`].
    pub count: u32,
    /// The CPU of each (`-a`); any if there are none.
    pub pins: Vec<u32>,
}

impl Default for Threads {
    /// One, anywhere.
    fn default() -> Self {
        Self { count: 1, pins: Vec::new() }
    }
}

impl Threads {
    /// Threads of one run.
    pub const COUNT: RangeInclusive<u32> = 1..=64;

    pub(super) fn check(&self) -> Result<(), Error> {
        within("-p", self.count, &Self::COUNT)
    }
}

impl Config {
    /// Checks that the whole run can be divided among its threads.
    ///
    /// # Errors
    /// If the function runs in one thread only, or there are fewer frames than threads.
    pub fn check_division(&self) -> Result<(), Error> {
        let count = self.threads.count;
        if count > 1 && self.function.is_single() {
            return Err(Error::OneThread { function: self.function.name(), count });
        }
        if count > 1 && self.replay.is_some() {
            return Err(Error::OneThread { function: "-P", count });
        }
        if count > 1 && self.stamp {
            return Err(Error::OneThread { function: "--stamp", count });
        }
        if (1..u64::from(count)).contains(&self.count) {
            return Err(Error::FewFrames { frames: self.count, count });
        }
        Ok(())
    }

    /// The config of each thread, with its CPU if it is to run on a certain one. The frames of `-n` are divided among
    /// them, the first having one more where that does not go even; the rate is each thread's, and what is random is
    /// random in each in another way.
    #[must_use]
    pub fn of_each_thread(&self) -> Vec<(Option<u32>, Self)> {
        let threads = u64::from(self.threads.count.max(1));
        let share = |thread: u64| self.count / threads + u64::from(thread < self.count % threads);
        let mut pins = self.threads.pins.iter().copied().map(Some).chain(std::iter::repeat(None));
        (0..threads)
            .map(|thread| {
                let mut own = Self { count: share(thread), ..self.clone() };
                own.frames.seed = own.frames.seed.map(|seed| seed.wrapping_add(thread));
                (pins.next().flatten(), own)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frames, Function};

    #[test]
    fn frames_are_divided_and_none_is_left_over() {
        let threads = Threads { count: 3, pins: vec![1, 0, 1] };
        let config = Config { count: 5, threads, ..Config::new("null", Function::Tx) };
        let each = config.of_each_thread();
        assert_eq!(
            each.iter().map(|(pin, config)| (*pin, config.count)).collect::<Vec<_>>(),
            [(Some(1), 2), (Some(0), 2), (Some(1), 1)]
        );
        assert_eq!(
            each.iter().map(|(_, config)| config.check()).collect::<Vec<_>>(),
            [Ok(()), Ok(()), Ok(())]
        );
        let seeded = Config { frames: Frames { seed: Some(7), ..Frames::default() }, ..config.clone() };
        let seeds = seeded.of_each_thread().into_iter().map(|(_, config)| config.frames.seed);
        assert_eq!(seeds.collect::<Vec<_>>(), [Some(7), Some(8), Some(9)]);
        let endless = Config { count: 0, ..config };
        assert!(endless.of_each_thread().iter().all(|(_, config)| config.count == 0));
        assert_eq!(Config::default().of_each_thread(), [(None, Config::default())]);
    }

    #[test]
    fn what_cannot_be_divided_is_refused() {
        let with = |count, frames| {
            let threads = Threads { count, ..Threads::default() };
            let config = Config { count: frames, threads, ..Config::default() };
            config.check().and_then(|()| config.check_division()).map_err(|e| e.to_string())
        };
        assert_eq!(with(64, 0), Ok(()));
        assert_eq!(with(2, 2), Ok(()));
        assert_eq!(with(65, 0).unwrap_err(), "-p 65: out of range (1 to 64)");
        assert_eq!(with(0, 0).unwrap_err(), "-p 0: out of range (1 to 64)");
        let ping = Config {
            function: Function::Ping,
            threads: Threads { count: 2, pins: vec![] },
            ..Config::default()
        };
        assert_eq!(
            ping.check_division().unwrap_err().to_string(),
            "-p 2: ping runs in one thread (leave -p out)"
        );
        assert_eq!(with(3, 2).unwrap_err(), "-n 2: not a frame for each of 3 threads (try: -p 2)");
    }
}
