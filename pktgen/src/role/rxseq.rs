//! Receiving numbered frames, `-f rxseq`.

use std::time::Duration;

use ports::wire::{self, Headers};
use ports::{Frame, Mac, Port, Time, prefetched};

use super::dump::Dump;
use super::receiver::Intake;
use super::{Role, Shape};
use crate::order::{Arrival, Sources};
use crate::packet::HEAD;
use crate::report::{Pass, Trouble};
use crate::{Config, Event, EventSink};

/// Receives, and tells which numbers are missing, come late, or twice.
pub(crate) struct SequenceReceiver {
    intake: Intake,
    numbers: Numbers,
    dump: Option<Dump>,
}

/// The numbers of frames, and what is to be said of them.
struct Numbers {
    sources: Sources,
    gaps: Limit,
    late: Limit,
    short: Limit,
}

/// Where the number of a frame stands, if it has one.
enum Number {
    Is(Mac, u32),
    /// A UDP frame that has no room for it.
    Short,
    /// Somebody else's: ARP, TCP, and so on.
    Foreign,
}

impl Number {
    fn of(frame: &Frame<'_>) -> Self {
        let mut head = [0; HEAD];
        let n = frame.head(&mut head);
        let Some((_, source)) = frame.stations() else { return Self::Foreign };
        match Headers::parse(&head[..n], frame.len()) {
            Some(h) if h.protocol == wire::UDP => {
                let number = head.get(h.payload..h.end.min(n)).and_then(<[u8]>::first_chunk);
                number.map_or(Self::Short, |number| Self::Is(source, u32::from_be_bytes(*number)))
            }
            _ => Self::Foreign,
        }
    }
}

/// Lets so many through a second (as netmap's `RD`).
struct Limit {
    most: u32,
    said: u32,
    since: Time,
}

impl Limit {
    const fn new(most: u32) -> Self {
        Self { most, said: 0, since: Time::ZERO }
    }

    fn allows(&mut self, now: Time) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            (self.since, self.said) = (now, 0);
        }
        self.said += 1;
        self.said <= self.most
    }
}

impl Numbers {
    fn new() -> Self {
        Self { sources: Sources::new(), gaps: Limit::new(2), late: Limit::new(2), short: Limit::new(1) }
    }

    fn note(&mut self, frame: &Frame<'_>, now: Time, tell: &mut EventSink) {
        let (limit, trouble) = match Number::of(frame) {
            Number::Foreign => return,
            Number::Short => {
                let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                (&mut self.short, Trouble::Short { len })
            }
            Number::Is(source, found) => match self.sources.arrive(source, found) {
                Arrival::InOrder => return,
                Arrival::Gap { expected } => (&mut self.gaps, Trouble::Gap { expected, found }),
                Arrival::OutOfOrder { expected } => (&mut self.late, Trouble::OutOfOrder { expected, found }),
            },
        };
        if limit.allows(now) {
            tell(Event::Sequence(trouble));
        }
    }
}

impl SequenceReceiver {
    pub(crate) fn new(config: &Config) -> Self {
        Self { intake: Intake::new(config), numbers: Numbers::new(), dump: Dump::new(config.dump) }
    }
}

impl Role for SequenceReceiver {
    fn shape(&self) -> Shape {
        self.intake.shape()
    }

    fn sends(&self) -> bool {
        false
    }

    fn begin(&mut self, now: Time) {
        self.intake.begin(now);
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        let Self { intake, numbers, dump } = self;
        intake.take(&mut *port.rx, now, |frames| {
            for frame in prefetched(frames) {
                numbers.note(frame, now, tell);
                if let Some(dump) = dump {
                    dump.show(frame.bytes().unwrap_or_default(), tell);
                }
            }
        })
    }

    fn interval(&mut self, now: Time, _last: bool, tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
        tell(Event::Order(self.numbers.sources.order()));
    }

    fn total(&mut self, _now: Time, tell: &mut EventSink) {
        tell(Event::OrderTotal(self.numbers.sources.order()));
    }

    fn took(&self, _ran: Duration) -> Duration {
        self.intake.took()
    }
}
