//! What the log says of peers, without saying it again and again.

use std::time::{Duration, Instant};

use crate::{Peer, Presence};

/// How long things have to be as they are to be worth a line: a driver that starts has its rings one by one.
const SETTLED: Duration = Duration::from_millis(100);
/// Each line lets the next wait for twice as long, and so a peer that comes and goes all the time is soon left out; when nothing
/// was said for this long, it begins anew.
const CALM: Duration = Duration::from_secs(60);

/// Tells of the peers of a port: who comes, what was agreed on, who goes, and warnings. One that does what the one before did is
/// not worth another warning.
pub(crate) struct Told {
    /// Of the port.
    name: String,
    /// The warning that was said last.
    last: String,
    /// What was said of who is there.
    here: Option<String>,
    /// What there is to say of it now, and since when.
    news: Option<(String, Instant)>,
    /// How long news have to be so.
    patience: Duration,
    /// When anything of `here` was said last.
    said: Option<Instant>,
    /// Those who agreed with us, and of whom nothing was said.
    left_out: u32,
}

impl Told {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            last: String::new(),
            here: None,
            news: None,
            patience: SETTLED,
            said: None,
            left_out: 0,
        }
    }

    /// Says so, unless it was said last.
    pub(crate) fn warn(&mut self, line: &str) {
        if line != self.last {
            tracing::warn!("{}: {line}", self.name);
            line.clone_into(&mut self.last);
        }
    }

    /// A peer came and went as it should: what the next one does is news, whatever it is.
    pub(crate) fn forget(&mut self) {
        self.last.clear();
    }

    /// Says so to who debugs a peer.
    pub(crate) fn debug(&self, line: impl FnOnce() -> String) {
        tracing::debug!("{}: {}", self.name, line());
    }

    /// Says who is there, once that has been so for a while; until then, how long that is.
    pub(crate) fn look(&mut self, presence: &Presence, now: Instant) -> Option<Duration> {
        let here = match presence.peer() {
            Peer::Here(here) if self.here.as_ref() != Some(&here) => here,
            _ => {
                self.news = None;
                return None;
            }
        };
        let since = match &self.news {
            Some((news, since)) if *news == here => *since,
            _ => now,
        };
        self.news = Some((here, since));
        let left = (since + self.patience(now)).saturating_duration_since(now);
        if left.is_zero() {
            self.say(now);
        }
        Some(left).filter(|left| !left.is_zero())
    }

    /// The peer has gone. The first after a calm is told of, however short it was here, if it came to terms.
    pub(crate) fn gone(&mut self, why: &str, now: Instant) {
        let agreed = self.news.as_ref().is_some_and(|(news, _)| news != Presence::NO_RINGS);
        if agreed && self.here.is_none() && self.patience(now) == SETTLED {
            self.say(now);
        }
        self.news = None;
        if self.here.take().is_some() {
            tracing::info!("{}: disconnected ({why})", self.name);
        } else {
            self.left_out += u32::from(agreed);
        }
    }

    fn patience(&mut self, now: Instant) -> Duration {
        if self.said.is_none_or(|said| now.saturating_duration_since(said) > CALM) {
            self.patience = SETTLED;
        }
        self.patience
    }

    fn say(&mut self, now: Instant) {
        let Some((news, _)) = self.news.take() else { return };
        let left_out = match std::mem::take(&mut self.left_out) {
            0 => String::new(),
            n => format!(" (after {n} more that came and went)"),
        };
        tracing::info!("{}: connected, {news}{left_out}", self.name);
        self.here = Some(news);
        (self.said, self.patience) = (Some(now), 2 * self.patience.min(CALM));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::lines;

    const RINGS: &str = "2 of 2 rings";
    const MS: Duration = Duration::from_millis(1);

    fn set(presence: &Presence, what: &str) {
        presence.set(Peer::Here(what.to_owned()));
    }

    #[test]
    fn what_settles_is_told_and_not_the_way_there() {
        let (presence, mut told) = (Presence::default(), Told::new("vm1"));
        let begin = Instant::now();
        let said = lines(|| {
            assert_eq!(told.look(&presence, begin), None, "nobody is there");
            presence.come();
            assert_eq!(told.look(&presence, begin), Some(SETTLED));
            assert_eq!(told.look(&presence, begin + 60 * MS), Some(40 * MS));
            set(&presence, "1 of 2 rings");
            assert_eq!(told.look(&presence, begin + 90 * MS), Some(SETTLED));
            set(&presence, RINGS);
            assert_eq!(told.look(&presence, begin + 100 * MS), Some(SETTLED));
            assert_eq!(told.look(&presence, begin + 200 * MS), None);
            assert_eq!(told.look(&presence, begin + 900 * MS), None, "it was said");
            presence.pause();
            assert_eq!(told.look(&presence, begin + 900 * MS), Some(2 * SETTLED));
            set(&presence, RINGS);
            assert_eq!(told.look(&presence, begin + 950 * MS), None, "it is as it was");
            told.gone("it hung up", begin + 1000 * MS);
        });
        assert_eq!(said, ["vm1: connected, 2 of 2 rings", "vm1: disconnected (it hung up)"]);
    }

    #[test]
    fn a_short_visit_is_told_of_if_it_came_to_terms() {
        let (presence, mut told) = (Presence::default(), Told::new("vm1"));
        let now = Instant::now();
        let said = lines(|| {
            presence.come();
            told.look(&presence, now);
            told.gone("it hung up", now);
            set(&presence, RINGS);
            told.look(&presence, now);
            told.gone("it hung up", now);
        });
        assert_eq!(said, ["vm1: connected, 2 of 2 rings", "vm1: disconnected (it hung up)"]);
    }

    #[test]
    fn who_comes_and_goes_all_the_time_does_not_fill_the_log() {
        let (presence, mut told) = (Presence::default(), Told::new("vm1"));
        let mut now = Instant::now();
        set(&presence, RINGS);
        let said = lines(|| {
            for _ in 0..600 {
                told.look(&presence, now);
                told.look(&presence, now + 900 * MS);
                told.gone("it hung up", now + 900 * MS);
                now += 1000 * MS;
            }
            // It stays at last.
            told.look(&presence, now);
            told.look(&presence, now + 2 * CALM);
        });
        assert!((20..=100).contains(&said.len()), "{} lines of 10 minutes", said.len());
        let pairs = said.chunks_exact(2).all(|pair| pair[1] == "vm1: disconnected (it hung up)");
        assert!(pairs && said[0] == "vm1: connected, 2 of 2 rings", "{said:?}");
        let last = said.last().unwrap();
        assert!(last.starts_with("vm1: connected") && last.ends_with("that came and went)"), "{last}");
    }
}
