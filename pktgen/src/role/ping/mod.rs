//! The asking function, `-f ping`.

mod flights;
mod tally;

use std::time::Duration;

use ports::wire::Headers;
use ports::{Burst, Frame, Mac, Offload, Port, Rx, Time, Tx, prefetched};

use super::dump::Dump;
use super::pacer::Pacer;
use super::{RETRY, Role, Shape, left};
use crate::packet::{HEAD, Place, Stamp, Template};
use crate::report::Pass;
use crate::{Config, Event, EventSink, Rate};
use flights::Flights;
use tally::Tally;

/// Sends stamped frames and waits for them to come back. Without a rate, the next one goes when one has come back or
/// is lost, so that a burst of them is always under way; with a rate, they go when they are due.
///
/// With a clock from its host, a ping leaves when it is written, and is back when its answer is found. Without, it
/// leaves and is back at the times of those passes.
pub(crate) struct Ping {
    frame: Vec<u8>,
    place: Option<Place>,
    src_mac: Mac,
    clock: Option<fn() -> Time>,
    pacer: Pacer,
    /// They go when they are due, whatever has come back.
    open: bool,
    /// Most pings under way.
    most: usize,
    /// Pings still to send; `None` without end.
    left: Option<u64>,
    flights: Flights,
    tally: Tally,
    /// How long answers are waited for when the run is stopped, and until when that is.
    linger: Duration,
    until: Option<Time>,
    /// Shows what is sent and what comes back.
    dump: Option<Dump>,
}

impl Ping {
    /// Whoever stops a run is not kept waiting for longer.
    const LONGEST_LINGER: Duration = Duration::from_secs(1);

    pub(crate) fn new(config: &Config, src_mac: Mac) -> Self {
        let frames = &config.frames;
        let frame = Template::first(frames, src_mac).bytes().to_vec();
        let timeout = Duration::from_millis(config.timeout_ms.into());
        let most = most_under_way(config);
        Self {
            place: Place::within(&frame),
            frame,
            src_mac,
            clock: None,
            pacer: Pacer::new(config.rate, config.burst, frames.size.mean(), Time::ZERO),
            open: config.rate != Rate::UNLIMITED,
            most,
            left: left(config.count),
            flights: Flights::new(0, most, timeout),
            tally: Tally::new(),
            linger: timeout.min(Self::LONGEST_LINGER),
            until: None,
            dump: Dump::new(config.dump),
        }
    }

    /// Takes the answers that are there.
    fn receive(&mut self, rx: &mut dyn Rx, now: Time, tell: &mut EventSink) {
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        let found = if burst.is_empty() { now } else { self.time(now) };
        for frame in prefetched(&burst) {
            if let Some(stamp) = self.answer(frame) {
                let arrival = self.flights.arrive(stamp.sequence, stamp.time, found);
                self.tally.arrival(arrival);
            }
            if let Some(dump) = &mut self.dump {
                dump.show(frame.bytes().unwrap_or_default(), tell);
            }
        }
        let n = burst.len();
        drop(burst);
        rx.release(n);
    }

    /// The stamp of a frame that is for us, from elsewhere, and speaks of our addresses: swapped, or as we sent them
    /// where whoever reflects does not look beyond the Ethernet header.
    fn answer(&self, frame: &Frame<'_>) -> Option<Stamp> {
        let (dst, src) = frame.stations()?;
        (dst == self.src_mac && src != self.src_mac).then_some(())?;
        let mut head = [0; HEAD];
        let n = frame.head(&mut head);
        let headers = Headers::parse(&head[..n], frame.len())?;
        let own = Headers::parse(&self.frame, self.frame.len())?.addresses(&self.frame)?;
        let (src, dst) = headers.addresses(&head)?;
        (own == (src, dst) || own == (dst, src)).then_some(())?;
        Stamp::read(&head[..n], &headers)
    }

    /// Sends what is due, as far as there is room; the rest stays due.
    fn send(&mut self, tx: &mut dyn Tx, now: Time, tell: &mut EventSink) -> Pass {
        let due =
            if self.open { self.pacer.due(now) } else { self.most.saturating_sub(self.flights.waiting()) };
        let wanted = self.left.map_or(due, |left| due.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let sent = (0..wanted).take_while(|_| self.send_one(tx, now, tell)).count();
        let packets = sent as u64;
        let bytes = packets * self.frame.len() as u64;
        self.pacer.sent(packets, bytes);
        self.left = self.left.map(|left| left - packets);
        self.tally.sent(packets);
        let next = match self.left {
            Some(0) => Time::NEVER,
            _ if sent < wanted => now + RETRY,
            _ if !self.open => Time::NEVER, // an answer, or its timeout
            _ => self.pacer.next().max(now),
        };
        Pass { packets, bytes, next, over: false }
    }

    fn send_one(&mut self, tx: &mut dyn Tx, now: Time, tell: &mut EventSink) -> bool {
        let (Some(sequence), Some(place)) = (self.flights.next(), self.place) else { return false };
        let Some(slot) = tx.reserve(self.frame.len()) else { return false };
        slot.copy_from_slice(&self.frame);
        let time = self.time(now);
        place.stamp(Stamp { sequence, time }, slot);
        if let Some(dump) = &mut self.dump {
            dump.show(slot, tell);
        }
        tx.commit(self.frame.len(), Offload::NONE);
        self.flights.depart(time);
        true
    }

    /// The time, in a pass that began at `now`.
    fn time(&self, now: Time) -> Time {
        self.clock.map_or(now, |read| read())
    }
}

/// As many as the burst, and with a rate as many more as leave before the first is lost.
fn most_under_way(config: &Config) -> usize {
    let cost = config.rate.cost(1, config.frames.size.mean().into()).max(1);
    let by_rate = (config.rate.per_s() / cost).saturating_mul(config.timeout_ms.into()) / 1000;
    usize::try_from(by_rate.saturating_add(config.burst.into())).unwrap_or(usize::MAX).min(Flights::MOST)
}

impl Role for Ping {
    fn shape(&self) -> Shape {
        Shape { burst: self.pacer.burst() as u64, period: self.pacer.period() }
    }

    fn sends(&self) -> bool {
        true
    }

    fn lend_clock(&mut self, clock: fn() -> Time) {
        self.clock = Some(clock);
    }

    fn begin(&mut self, now: Time) {
        self.pacer.restart(now);
        self.tally.begin(now);
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        if self.left == Some(0) && self.flights.waiting() == 0 {
            return Pass::over(now);
        }
        self.tally.lost(self.flights.expire(now));
        self.receive(&mut *port.rx, now, tell);
        let pass = self.send(&mut *port.tx, now, tell);
        let settled = self.left == Some(0) && self.flights.waiting() == 0;
        let next = if settled { now } else { pass.next.min(self.flights.deadline()) };
        Pass { next, ..pass }
    }

    /// Answers on their way are waited for.
    fn stop(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        let until = *self.until.get_or_insert(now + self.linger);
        self.tally.lost(self.flights.expire(now));
        self.receive(&mut *port.rx, now, tell);
        if now >= until {
            self.tally.lost(self.flights.abandon());
        }
        let over = self.flights.waiting() == 0;
        Pass { packets: 0, bytes: 0, next: until.min(self.flights.deadline()), over }
    }

    fn interval(&mut self, now: Time, last: bool, tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
        if let Some(pings) = self.tally.end_interval(now, last) {
            tell(Event::Ping(pings));
        }
    }

    fn total(&mut self, now: Time, tell: &mut EventSink) {
        tell(Event::PingTotal(self.tally.total(now)));
    }
}
