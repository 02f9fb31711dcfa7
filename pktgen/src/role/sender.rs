//! The sending function, `-f tx`.

use std::time::Duration;

use ports::{Mac, Offload, Port, Time, Tx};

use super::pacer::Pacer;
use super::{Role, Shape, discard, left};
use crate::packet::{Odometer, Template};
use crate::report::Pass;
use crate::{Config, EventSink};

/// Sends frames of a template: the same again and again, or one for each step of the odometer.
pub(crate) struct Sender {
    template: Template,
    odometer: Odometer,
    pacer: Pacer,
    /// Frames still to send; `None` without end.
    left: Option<u64>,
}

/// A full port has nothing to wake us with: how long to sleep before trying again.
const RETRY: Duration = Duration::from_micros(100);

impl Sender {
    pub(crate) fn new(config: &Config, src_mac: Mac) -> Self {
        let frames = &config.frames;
        let odometer = Odometer::new(frames.src, frames.dst);
        let len = usize::try_from(frames.len).unwrap_or(usize::MAX);
        Self {
            template: Template::new(len, src_mac, frames.dst_mac, odometer.flow()),
            odometer,
            pacer: Pacer::new(config.rate_pps, config.burst, Time::ZERO),
            left: left(config.count),
        }
    }

    /// Sends what is due, as far as there is room; the rest stays due.
    fn send_due(&mut self, tx: &mut dyn Tx, now: Time) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let due = self.pacer.due(now);
        let wanted = self.left.map_or(due, |left| due.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let sent = self.send(tx, wanted);
        self.pacer.sent(sent);
        if let Some(left) = &mut self.left {
            *left -= sent as u64;
        }
        let next = match self.left {
            Some(0) => now,
            _ if sent < wanted => now + RETRY,
            _ => self.pacer.next().max(now),
        };
        let packets = sent as u64;
        Pass { packets, bytes: packets * self.template.bytes().len() as u64, next, over: false }
    }

    /// Sends up to `wanted` frames; how many found room.
    ///
    /// Frames that differ are written into the port's slots one by one. One that is always the same is written once a
    /// burst, where the port can [repeat](Tx::repeat) it: what netmap's indirect buffers (`-I`) are for.
    fn send(&mut self, tx: &mut dyn Tx, wanted: usize) -> usize {
        let frame = self.template.bytes();
        let turns = !self.odometer.is_single();
        let mut sent = 0;
        while sent < wanted {
            let Some(slot) = tx.reserve(frame.len()) else { break };
            slot.copy_from_slice(frame);
            if turns {
                self.template.patch(self.odometer.flow(), slot);
                self.odometer.advance();
            }
            tx.commit(frame.len(), Offload::NONE);
            sent += 1;
            if !turns {
                sent += tx.repeat(wanted - sent);
            }
        }
        sent
    }
}

impl Role for Sender {
    fn shape(&self) -> Shape {
        Shape { burst: self.pacer.burst() as u64, period: self.pacer.period() }
    }

    fn sends(&self) -> bool {
        true
    }

    /// The first burst is due now.
    fn begin(&mut self, now: Time) {
        self.pacer.restart(now);
    }

    fn poll(&mut self, port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        discard(&mut *port.rx);
        self.send_due(&mut *port.tx, now)
    }

    fn stop(&mut self, _port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        Pass::over(now)
    }
}
