//! Counting, and telling of it once an interval.

use std::time::Duration;

use ports::Time;

use crate::{Event, EventSink};

/// Frames that a port lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// It failed to send them.
    pub(crate) errors: u64,
    /// It dropped them before a receiver saw them.
    pub(crate) drops: u64,
}

/// What one poll of a sender or receiver came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// Frames that went through.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// When to come again if nothing else happens.
    pub(crate) next: Time,
    /// The end had been reached before this poll.
    pub(crate) over: bool,
}

impl Pass {
    /// Nothing happened, and nothing will.
    pub(crate) const fn over(now: Time) -> Self {
        Self { packets: 0, bytes: 0, next: now, over: true }
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    batches: u64,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.batches += other.batches;
    }
}

/// The counts of a run, and where its events go.
pub(crate) struct Report {
    events: EventSink,
    interval: Duration,
    /// Start of the interval that runs, and when it is due to end.
    since: Time,
    due: Time,
    current: Counts,
    /// Of the intervals before.
    total: Counts,
    /// Least room seen in this interval, slots.
    room: Option<u32>,
}

impl Report {
    pub(crate) fn new(interval: Duration, events: EventSink) -> Self {
        Self {
            events,
            interval,
            since: Time::NEVER,
            due: Time::NEVER,
            current: Counts::default(),
            total: Counts::default(),
            room: None,
        }
    }

    /// Where events go that are not counts.
    pub(crate) const fn events(&mut self) -> &mut EventSink {
        &mut self.events
    }

    pub(crate) fn tell(&mut self, event: Event) {
        (self.events)(event);
    }

    /// The first interval begins.
    pub(crate) fn begin(&mut self, now: Time) {
        self.since = now;
        self.due = now + self.interval;
    }

    #[inline]
    pub(crate) const fn count(&mut self, pass: &Pass) {
        if pass.packets > 0 {
            self.current.add(Counts { packets: pass.packets, bytes: pass.bytes, batches: 1 });
        }
    }

    /// Notes the room that a receiver's port has, slots.
    #[inline]
    pub(crate) fn see_room(&mut self, room: Option<u32>) {
        self.room = self.room.map_or(room, |least| room.map(|room| room.min(least)));
    }

    /// When the next report is due.
    pub(crate) const fn due(&self) -> Time {
        self.due
    }

    /// Whether nothing has gone through so far.
    pub(crate) const fn is_empty(&self) -> bool {
        self.total.packets + self.current.packets == 0
    }

    /// Tells of the interval that ends now. The next one is due on the beat of the first, whatever was late.
    pub(crate) fn end_interval(&mut self, now: Time) {
        let Counts { packets, bytes, batches } = self.current;
        let usec = micros(now - self.since);
        self.total.add(std::mem::take(&mut self.current));
        self.since = now;
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let late = now.since(self.due).as_nanos() as u64;
        self.due = now + Duration::from_nanos(interval - late % interval);
        let min_space = self.room.take().map(u64::from);
        self.tell(Event::Interval { packets, bytes, usec, batches, min_space });
    }

    /// Tells of what the reports have not told of.
    pub(crate) fn end_last_interval(&mut self, now: Time) {
        if self.current.packets > 0 {
            self.end_interval(now);
        }
    }

    /// Tells when it was, for the sum over several threads.
    pub(crate) fn tell_span(&mut self, from: Time, took: Duration) {
        self.tell(Event::Span { from_ns: from.0, to_ns: (from + took).0 });
    }

    /// Tells of the whole, which took this long.
    pub(crate) fn finish(&mut self, took: Duration, Lost { errors, drops }: Lost) {
        let Counts { packets, bytes, batches } = self.total;
        let seconds = took.as_secs_f64();
        self.tell(Event::Final { packets, bytes, events: batches, errors, drops, seconds });
    }
}

/// Whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
