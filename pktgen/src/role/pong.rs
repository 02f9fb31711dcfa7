//! The answering function, `-f pong`.

use std::time::Duration;

use ports::{Burst, Mac, Port, Rx, Time, Tx, prefetched};

use super::dump::Dump;
use super::pacer::Pacer;
use super::{RETRY, Role, Shape, left};
use crate::packet::reflect;
use crate::report::Pass;
use crate::{Config, Event, EventSink};

/// Sends every frame back to where it came from. A frame whose answer finds no room is left where it is until there
/// is some, so that nothing is lost here; with a rate, one whose answer is not due yet likewise.
pub(crate) struct Pong {
    own: Mac,
    pacer: Pacer,
    /// Frames still to answer; `None` without end.
    left: Option<u64>,
    /// Frames that cannot be answered.
    ignored: u64,
    /// When the first and the last frame were answered.
    seen: Option<(Time, Time)>,
    /// Shows the answers.
    dump: Option<Dump>,
}

impl Pong {
    pub(crate) fn new(config: &Config, own: Mac) -> Self {
        let pacer = Pacer::new(config.rate, config.burst, config.frames.size.mean(), Time::ZERO);
        Self { own, pacer, left: left(config.count), ignored: 0, seen: None, dump: Dump::new(config.dump) }
    }

    /// Answers up to a burst of what is there.
    fn answer(&mut self, rx: &mut dyn Rx, tx: &mut dyn Tx, now: Time, tell: &mut EventSink) -> Pass {
        let mut pass = Pass { packets: 0, bytes: 0, next: Time::NEVER, over: false };
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        if burst.is_empty() {
            return pass; // at once: the sooner it looks again, the sooner the next is answered
        }
        let takes = tx.capabilities();
        let most =
            usize::try_from(self.left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(self.pacer.due(now));
        let mut handled = 0;
        for frame in prefetched(&burst[..most.min(burst.len())]) {
            let (len, offload) = (frame.len(), frame.offload());
            if takes.takes(len, offload) {
                let Some(slot) = tx.reserve(len) else {
                    pass.next = now + RETRY; // nobody wakes us when there is room
                    break;
                };
                frame.copy_at(0, slot);
                if reflect(slot, self.own) {
                    if let Some(dump) = &mut self.dump {
                        dump.show(slot, tell);
                    }
                    tx.commit(len, offload); // sums to be filled in and segment sizes are the same either way
                    pass.packets += 1;
                    pass.bytes += len as u64;
                } else {
                    self.ignored += 1;
                }
            } else {
                self.ignored += 1;
            }
            handled += 1;
        }
        drop(burst);
        rx.release(handled);
        self.pacer.sent(pass.packets, pass.bytes);
        if pass.next == Time::NEVER && (most == 0 || self.pacer.next() > now) {
            pass.next = self.pacer.next(); // frames may wait whose answers are not due yet
        }
        self.note(now, &mut pass);
        pass
    }

    fn note(&mut self, now: Time, pass: &mut Pass) {
        if pass.packets > 0 {
            let first = self.seen.map_or(now, |(first, _)| first);
            self.seen = Some((first, now));
            self.left = self.left.map(|left| left - pass.packets);
        }
        if self.left == Some(0) {
            pass.next = now;
        }
    }
}

impl Role for Pong {
    fn shape(&self) -> Shape {
        Shape { burst: self.pacer.burst() as u64, period: self.pacer.period() }
    }

    fn sends(&self) -> bool {
        false
    }

    fn transmits(&self) -> bool {
        true
    }

    fn begin(&mut self, now: Time) {
        self.pacer.restart(now);
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        self.answer(&mut *port.rx, &mut *port.tx, now, tell)
    }

    fn interval(&mut self, now: Time, _last: bool, _tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
    }

    fn total(&mut self, _now: Time, tell: &mut EventSink) {
        if self.ignored > 0 {
            tell(Event::Ignored { packets: self.ignored });
        }
    }

    /// From the first answer to the last.
    fn took(&self, _ran: Duration) -> Duration {
        self.seen.map_or(Duration::ZERO, |(first, last)| last - first)
    }
}
