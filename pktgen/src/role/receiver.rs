//! The receiving function, `-f rx`.

use std::time::Duration;

use ports::{BURST, Burst, Frame, Port, Rx, Time, prefetched};

use super::delays::Tally;
use super::dump::Dump;
use super::pacer::Pacer;
use super::{Role, Shape, left};
use crate::report::Pass;
use crate::{Config, Event, EventSink};

/// Receives, counts and gives back.
pub(crate) struct Receiver {
    intake: Intake,
    /// Of stamped frames, if that is asked.
    delays: Option<Tally>,
    /// Frames are found at its times, or else at those of the passes.
    clock: Option<fn() -> Time>,
    dump: Option<Dump>,
}

/// Takes frames until there were enough, or none came any more: as fast as they come, or at a rate, and what comes
/// faster waits in the port.
pub(crate) struct Intake {
    pacer: Pacer,
    /// Frames still to receive; `None` without end.
    left: Option<u64>,
    until_idle: bool,
    /// When the first and the last frame were seen.
    seen: Option<(Time, Time)>,
}

/// How long `-W` waits for another frame.
const IDLE: Duration = Duration::from_secs(1);

impl Intake {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            pacer: Pacer::new(config.rate, config.burst, config.frames.size.mean(), Time::ZERO),
            left: left(config.count),
            until_idle: config.until_idle,
            seen: None,
        }
    }

    pub(crate) const fn shape(&self) -> Shape {
        Shape { burst: self.pacer.burst() as u64, period: self.pacer.period() }
    }

    /// The first burst is due now.
    pub(crate) const fn begin(&mut self, now: Time) {
        self.pacer.restart(now);
    }

    /// With the first frame, if one came.
    pub(crate) fn began(&self, run: Time) -> Time {
        self.seen.map_or(run, |(first, _)| first)
    }

    /// From the first frame to the last.
    pub(crate) fn took(&self) -> Duration {
        self.seen.map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// Takes up to a burst of what is there, and shows it to `look`.
    pub(crate) fn take(&mut self, rx: &mut dyn Rx, now: Time, mut look: impl FnMut(&[Frame<'_>])) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let most = self.left.unwrap_or(u64::MAX).min(self.pacer.due(now) as u64);
        let mut pass = Pass { packets: 0, bytes: 0, next: Time::NEVER, over: false };
        while pass.packets < most {
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            let waiting = burst.len();
            let taken = waiting.min(usize::try_from(most - pass.packets).unwrap_or(usize::MAX));
            pass.bytes += burst[..taken].iter().map(|frame| frame.len() as u64).sum::<u64>();
            look(&burst[..taken]);
            drop(burst);
            rx.release(taken);
            pass.packets += taken as u64;
            if waiting < BURST {
                break;
            }
        }
        if let Some(left) = &mut self.left {
            *left -= pass.packets;
        }
        self.pacer.sent(pass.packets, pass.bytes);
        if most == 0 || self.pacer.next() > now {
            pass.next = self.pacer.next(); // frames may wait that are not due yet
        }
        self.note(now, &mut pass);
        pass.over &= most > 0;
        pass
    }

    /// Keeps the times of first and last frame, and the deadline that depends on them.
    fn note(&mut self, now: Time, pass: &mut Pass) {
        if pass.packets > 0 {
            let first = self.seen.map_or(now, |(first, _)| first);
            self.seen = Some((first, now));
        }
        if let (true, Some((_, last))) = (self.until_idle, self.seen) {
            pass.next = pass.next.min(last + IDLE);
            pass.over = last + IDLE <= now;
        }
        if self.left == Some(0) {
            pass.next = now;
        }
    }
}

impl Receiver {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            intake: Intake::new(config),
            delays: config.stamp.then(Tally::new),
            clock: None,
            dump: Dump::new(config.dump),
        }
    }
}

impl Role for Receiver {
    fn shape(&self) -> Shape {
        self.intake.shape()
    }

    fn sends(&self) -> bool {
        false
    }

    fn lend_clock(&mut self, clock: fn() -> Time) {
        self.clock = Some(clock);
    }

    fn begin(&mut self, now: Time) {
        self.intake.begin(now);
        self.delays.iter_mut().for_each(|delays| delays.begin(now));
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        let Self { intake, delays, clock, dump } = self;
        if delays.is_none() && dump.is_none() {
            return intake.take(&mut *port.rx, now, |_| ());
        }
        let mut found = None; // when the first was
        intake.take(&mut *port.rx, now, |frames| {
            for frame in prefetched(frames) {
                if let Some(delays) = delays {
                    delays.frame(frame, *found.get_or_insert_with(|| clock.map_or(now, |read| read())));
                }
                if let Some(dump) = dump {
                    dump.show(frame.bytes().unwrap_or_default(), tell);
                }
            }
        })
    }

    /// With the first frame.
    fn began(&self, run: Time) -> Time {
        self.intake.began(run)
    }

    fn interval(&mut self, now: Time, last: bool, tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
        if let Some(interval) = self.delays.as_mut().and_then(|delays| delays.end_interval(now, last)) {
            tell(Event::Delay(interval));
        }
    }

    fn total(&mut self, now: Time, tell: &mut EventSink) {
        if let Some(delays) = &self.delays {
            tell(Event::DelayTotal(delays.total(now)));
        }
    }

    fn took(&self, _ran: Duration) -> Duration {
        self.intake.took()
    }
}
