//! One-way latency: how long stamped frames were under way, on a machine whose clock both ends read.

use ports::wire::Headers;
use ports::{Frame, Time};

use crate::Delays;
use crate::latency::Recorder;
use crate::packet::{HEAD, Stamp};
use crate::report::micros;

/// Delays of the frames of one sender, and which of its numbers are missing.
pub(super) struct Tally {
    delay: Recorder,
    /// Frames of the interval, and of the intervals before.
    received: u64,
    received_before: u64,
    /// Lowest and highest number seen, counted on beyond 32 bits.
    span: Option<(i64, i64)>,
    /// When the run began, and the interval.
    began: Time,
    since: Time,
}

impl Tally {
    pub(super) fn new() -> Self {
        let (received, received_before) = (0, 0);
        Self {
            delay: Recorder::new(),
            received,
            received_before,
            span: None,
            began: Time::ZERO,
            since: Time::ZERO,
        }
    }

    /// The run begins.
    pub(super) const fn begin(&mut self, now: Time) {
        (self.began, self.since) = (now, now);
    }

    /// Counts a frame, if it is stamped.
    #[inline]
    pub(super) fn frame(&mut self, frame: &Frame<'_>, now: Time) {
        let mut head = [0; HEAD];
        let n = frame.head(&mut head);
        let head = &head[..n];
        let Some(stamp) = Headers::parse(head, frame.len()).and_then(|h| Stamp::read(head, &h)) else {
            return;
        };
        if !stamp.is_fresh(now) {
            return;
        }
        self.received += 1;
        self.delay.record(u64::try_from(now.since(stamp.time).as_nanos()).unwrap_or(u64::MAX));
        self.number(stamp.sequence);
    }

    fn number(&mut self, sequence: u32) {
        let Some((low, high)) = self.span else {
            self.span = Some((sequence.into(), sequence.into()));
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "numbers of the wire are the lower 32 bits")]
        let number = high + i64::from(sequence.wrapping_sub(high as u32).cast_signed());
        self.span = Some((low.min(number), high.max(number)));
    }

    fn lost(&self) -> u64 {
        let numbers = self.span.map_or(0, |(low, high)| high.abs_diff(low) + 1);
        numbers.saturating_sub(self.received + self.received_before)
    }

    /// The interval that ends now. If nothing has come, or nobody listens and it is not the `last`, it goes on instead.
    pub(super) fn end_interval(&mut self, now: Time, last: bool) -> Option<Delays> {
        let since_us = micros(self.since - self.began);
        (self.received > 0).then_some(())?;
        let delay = self.delay.end_interval(last)?;
        let received = std::mem::take(&mut self.received);
        self.received_before += received;
        let interval_us = micros(now - self.since);
        self.since = now;
        Some(Delays { since_us, interval_us, received, lost: self.lost(), delay })
    }

    /// The whole run, which ends now.
    pub(super) fn total(&self, now: Time) -> Delays {
        let received = self.received_before + self.received;
        let interval_us = micros(now - self.began);
        Delays { since_us: 0, interval_us, received, lost: self.lost(), delay: self.delay.total() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Place;
    use crate::packet::sound::plain;

    fn stamped(sequence: u32, time: u64) -> Vec<u8> {
        let mut bytes = plain(60);
        Place::within(&bytes).unwrap().stamp(Stamp { sequence, time: Time(time) }, &mut bytes);
        bytes
    }

    #[test]
    fn numbers_count_on_and_missing_ones_may_still_come() {
        let mut tally = Tally::new();
        let mut now = 1000;
        let mut come = |tally: &mut Tally, sequence| {
            now += 10;
            tally.frame(&Frame::new(&stamped(sequence, now - 7)), Time(now));
            tally.lost()
        };
        let first = u32::MAX - 1;
        assert_eq!(come(&mut tally, first), 0);
        assert_eq!(come(&mut tally, first.wrapping_add(4)), 3, "across the wrap");
        assert_eq!(come(&mut tally, first.wrapping_add(2)), 2, "out of order");
        assert_eq!(come(&mut tally, first.wrapping_add(5)), 2);
        let all = tally.total(Time(2000));
        assert_eq!((all.received, all.lost, all.delay.count()), (4, 2, 4));
        assert_eq!((all.delay.min_ns(), all.delay.max_ns()), (7, 7));
    }

    #[test]
    fn other_frames_do_not_count_and_a_clock_behind_the_senders_is_zero() {
        let mut tally = Tally::new();
        tally.frame(&Frame::new(&[0; 60]), Time(5));
        tally.frame(&Frame::new(&[]), Time(5));
        assert_eq!(tally.total(Time(6)).received, 0);
        tally.begin(Time(90));
        tally.frame(&Frame::new(&stamped(9, 100)), Time(90));
        let interval = tally.end_interval(Time(2_000_090), false).unwrap();
        assert_eq!((interval.since_us, interval.interval_us, interval.received), (0, 2000, 1));
        assert_eq!(interval.delay.max_ns(), 0);
        assert_eq!(tally.end_interval(Time(3_000_090), true), None);
    }
}
