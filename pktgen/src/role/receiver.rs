//! The receiving function, `-f rx`.

use std::time::Duration;

use ports::{BURST, Burst, Port, Rx, Time};

use super::delays::Tally;
use super::{Role, Shape, left};
use crate::report::Pass;
use crate::{Config, Event, EventSink};

/// Receives, counts and gives back.
pub(crate) struct Receiver {
    burst: usize,
    /// Frames still to receive; `None` without end.
    left: Option<u64>,
    until_idle: bool,
    /// Of stamped frames, if that is asked.
    delays: Option<Tally>,
    /// When the first and the last frame were seen.
    seen: Option<(Time, Time)>,
}

/// How long `-W` waits for another frame.
const IDLE: Duration = Duration::from_secs(1);

impl Receiver {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            burst: usize::try_from(config.burst).unwrap_or(usize::MAX),
            left: left(config.count),
            until_idle: config.until_idle,
            delays: config.stamp.then(Tally::new),
            seen: None,
        }
    }

    /// Takes up to a burst of what is there.
    fn take(&mut self, rx: &mut dyn Rx, now: Time) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let mut pass = Pass { packets: 0, bytes: 0, next: Time::NEVER, over: false };
        let most = self.left.unwrap_or(u64::MAX).min(self.burst as u64);
        while pass.packets < most {
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            let waiting = burst.len();
            let taken = waiting.min(usize::try_from(most - pass.packets).unwrap_or(usize::MAX));
            pass.bytes += burst[..taken].iter().map(|f| f.len() as u64).sum::<u64>();
            if let Some(delays) = &mut self.delays {
                burst[..taken].iter().for_each(|frame| delays.frame(frame, now));
            }
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
        self.note(now, &mut pass);
        pass
    }

    /// Keeps the times of first and last frame, and the deadline that depends on them.
    fn note(&mut self, now: Time, pass: &mut Pass) {
        if pass.packets > 0 {
            let first = self.seen.map_or(now, |(first, _)| first);
            self.seen = Some((first, now));
        }
        if let (true, Some((_, last))) = (self.until_idle, self.seen) {
            pass.next = last + IDLE;
            pass.over = pass.next <= now;
        }
        if self.left == Some(0) {
            pass.next = now;
        }
    }
}

impl Role for Receiver {
    fn shape(&self) -> Shape {
        Shape { burst: self.burst as u64, period: Duration::ZERO }
    }

    fn sends(&self) -> bool {
        false
    }

    fn begin(&mut self, now: Time) {
        self.delays.iter_mut().for_each(|delays| delays.begin(now));
    }

    fn poll(&mut self, port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        self.take(&mut *port.rx, now)
    }

    /// With the first frame.
    fn began(&self, run: Time) -> Time {
        self.seen.map_or(run, |(first, _)| first)
    }

    fn interval(&mut self, now: Time, last: bool, tell: &mut EventSink) {
        let Some(delays) = &mut self.delays else { return };
        if last {
            tell(Event::DelayTotal(delays.total(now)));
        } else if let Some(interval) = delays.end_interval(now) {
            tell(Event::Delay(interval));
        }
    }

    /// From the first frame to the last.
    fn took(&self, _ran: Duration) -> Duration {
        self.seen.map_or(Duration::ZERO, |(first, last)| last - first)
    }
}
