//! The events of several threads as those of one run.

use std::collections::VecDeque;

use crate::Event;

/// Adds up what the threads of a run have to say.
///
/// What they all begin with is said once. An interval is told when every thread that runs has told of one: its counts are
/// the sums, its length is that of the longest. The end comes when all have ended, and lasts from the earliest start to
/// the latest end.
#[derive(Debug)]
pub struct Sum {
    threads: Vec<Thread>,
    started: bool,
    failed: bool,
    /// Frames shown or left out so far.
    shown: u64,
}

/// What one thread has said that was not passed on yet.
#[derive(Debug, Default)]
struct Thread {
    ready: bool,
    /// It sees no frames.
    waits: bool,
    intervals: VecDeque<Counts>,
    span: Option<(u64, u64)>,
    /// Number of the frame that it shows next, if it shows all.
    shows: u64,
    end: Option<End>,
}

/// The fields of an interval.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    packets: u64,
    bytes: u64,
    usec: u64,
    batches: u64,
    min_space: Option<u64>,
    waits: bool,
}

/// The fields of an end.
#[derive(Debug, Default, Clone, Copy)]
struct End {
    packets: u64,
    bytes: u64,
    events: u64,
    errors: u64,
    drops: u64,
    seconds: f64,
}

impl Sum {
    /// Of so many threads.
    #[must_use]
    pub fn new(threads: u32) -> Self {
        Self {
            threads: (0..threads).map(|_| Thread::default()).collect(),
            started: false,
            failed: false,
            shown: 0,
        }
    }

    /// Hears one thread, and hands what there is to say of the whole to `tell`.
    ///
    /// # Errors
    /// Those of `tell`.
    pub fn hear<E>(
        &mut self,
        thread: usize,
        event: Event,
        mut tell: impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.threads.len() < 2 {
            return tell(event);
        }
        let Some(one) = self.threads.get_mut(thread) else { return Ok(()) };
        match event {
            Event::Start { .. } if std::mem::replace(&mut self.started, true) => Ok(()),
            Event::Ready => {
                one.ready = true;
                if self.threads.iter().all(|thread| thread.ready) { tell(Event::Ready) } else { Ok(()) }
            }
            Event::Waiting => {
                one.waits = true;
                Ok(())
            }
            Event::Interval { packets, bytes, usec, batches, min_space } => {
                let waits = std::mem::take(&mut one.waits);
                one.intervals.push_back(Counts { packets, bytes, usec, batches, min_space, waits });
                self.tell_intervals(tell)
            }
            Event::Span { from_ns, to_ns } => {
                one.span = Some((from_ns, to_ns));
                Ok(())
            }
            Event::Dump { number, len, bytes } => {
                // Those that it left out stay a gap.
                let left_out = number.saturating_sub(one.shows);
                one.shows = number.saturating_add(1);
                let number = self.shown.saturating_add(left_out);
                self.shown = number.saturating_add(1);
                tell(Event::Dump { number, len, bytes })
            }
            Event::Final { packets, bytes, events, errors, drops, seconds } => {
                one.end = Some(End { packets, bytes, events, errors, drops, seconds });
                self.tell_intervals(&mut tell)?;
                if self.threads.iter().any(|thread| thread.end.is_none()) {
                    return Ok(());
                }
                tell(self.end())
            }
            Event::Failed { .. } if std::mem::replace(&mut self.failed, true) => Ok(()),
            other => tell(other),
        }
    }

    /// Tells of the intervals that are complete.
    fn tell_intervals<E>(&mut self, mut tell: impl FnMut(Event) -> Result<(), E>) -> Result<(), E> {
        let has_told = |thread: &Thread| thread.end.is_some() || !thread.intervals.is_empty();
        while self.threads.iter().all(has_told) {
            let one_of_each = self.threads.iter_mut().filter_map(|thread| thread.intervals.pop_front());
            let Some(Counts { packets, bytes, usec, batches, min_space, waits }) =
                one_of_each.reduce(|all, one| all.with(one))
            else {
                break;
            };
            if waits {
                tell(Event::Waiting)?;
            }
            tell(Event::Interval { packets, bytes, usec, batches, min_space })?;
        }
        Ok(())
    }

    /// The end of all.
    fn end(&self) -> Event {
        let ends = self.threads.iter().filter_map(|thread| thread.end);
        let all = ends.fold(End::default(), End::with);
        // A receiver that saw nothing has a span, but nothing to say with it.
        let took_part = self.threads.iter().filter(|t| t.end.is_some_and(|end| end.packets > 0));
        let span = took_part.filter_map(|thread| thread.span).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let seconds = span.map_or(all.seconds, |(from, to)| to.saturating_sub(from) as f64 / 1e9);
        let End { packets, bytes, events, errors, drops, .. } = all;
        Event::Final { packets, bytes, events, errors, drops, seconds }
    }
}

impl Counts {
    /// `min_space` is added up as well, as netmap does.
    fn with(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            usec: self.usec.max(other.usec),
            batches: self.batches + other.batches,
            min_space: self
                .min_space
                .zip(other.min_space)
                .map(|(a, b)| a + b)
                .or(self.min_space)
                .or(other.min_space),
            waits: self.waits && other.waits,
        }
    }
}

impl End {
    fn with(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            events: self.events + other.events,
            errors: self.errors + other.errors,
            drops: self.drops + other.drops,
            seconds: self.seconds.max(other.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Mac;

    const START: Event = Event::Start { src_mac: Mac::ZERO, burst: 512, period_ns: 0 };

    fn interval(packets: u64, usec: u64) -> Event {
        Event::Interval { packets, bytes: packets * 60, usec, batches: 1, min_space: Some(packets) }
    }

    fn end(packets: u64, seconds: f64) -> Event {
        Event::Final { packets, bytes: packets * 60, events: 2, errors: 1, drops: 5, seconds }
    }

    fn span(from_ns: u64, to_ns: u64) -> Event {
        Event::Span { from_ns, to_ns }
    }

    fn heard(threads: u32, events: &[(usize, Event)]) -> Vec<Event> {
        let (mut sum, mut told) = (Sum::new(threads), Vec::new());
        for (thread, event) in events {
            let tell = |event| {
                told.push(event);
                Ok::<_, ()>(())
            };
            sum.hear(*thread, event.clone(), tell).unwrap();
        }
        told
    }

    #[test]
    fn two_threads_speak_as_one() {
        let events = [
            (0, START),
            (0, Event::Ready),
            (1, START),
            (1, Event::Ready),
            (1, interval(10, 1000)),
            (1, interval(20, 1001)),
            (0, interval(5, 1003)),
            (0, interval(6, 100)),
            (0, span(5_000_000_000, 6_000_000_000)),
            (0, end(11, 1.0)),
            (1, interval(30, 7)),
            (1, span(4_500_000_000, 5_500_000_000)),
            (1, end(60, 1.0)),
        ];
        assert_eq!(
            heard(2, &events),
            [
                START,
                Event::Ready,
                Event::Interval { packets: 15, bytes: 900, usec: 1003, batches: 2, min_space: Some(15) },
                Event::Interval { packets: 26, bytes: 1560, usec: 1001, batches: 2, min_space: Some(26) },
                interval(30, 7), // one has ended, and is not waited for
                Event::Final { packets: 71, bytes: 4260, events: 4, errors: 2, drops: 10, seconds: 1.5 },
            ]
        );
    }

    #[test]
    fn all_wait_or_none_does() {
        let nothing = interval(0, 1000);
        let all = [(0, Event::Waiting), (0, nothing.clone()), (1, Event::Waiting), (1, nothing.clone())];
        assert_eq!(heard(2, &all)[0], Event::Waiting);
        let one = [(0, Event::Waiting), (0, nothing), (1, interval(1, 1000))];
        assert!(matches!(heard(2, &one)[..], [Event::Interval { packets: 1, .. }]));
    }

    #[test]
    fn a_thread_without_frames_does_not_stretch_the_time() {
        let events =
            [(0, span(1, 1)), (0, end(0, 0.0)), (1, span(2_000_000_000, 3_000_000_000)), (1, end(9, 1.0))];
        assert!(matches!(heard(2, &events)[..], [Event::Final { packets: 9, seconds: 1.0, .. }]));
    }

    #[test]
    fn frames_shown_are_numbered_through_and_gaps_stay() {
        let dump = |number| Event::Dump { number, len: 60, bytes: vec![7; 60] };
        let events = [(0, dump(0)), (0, dump(1)), (1, dump(0)), (0, dump(2)), (1, dump(5)), (0, dump(3))];
        assert_eq!(heard(2, &events), [0, 1, 2, 3, 8, 9].map(dump));
    }

    #[test]
    fn failure_is_told_once_and_one_thread_as_it_is() {
        let failed = || Event::Failed { message: "no".to_owned() };
        assert_eq!(heard(2, &[(0, failed()), (1, failed())]), [failed()]);
        let alone = [(0, START), (0, Event::Waiting), (0, interval(1, 1)), (0, end(1, 1.0))];
        assert_eq!(heard(1, &alone), alone.map(|(_, event)| event));
    }
}
