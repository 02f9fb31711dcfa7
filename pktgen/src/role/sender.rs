//! The sending function, `-f tx`.

use ports::{Mac, Offload, Port, Time, Tx};

use super::pacer::Pacer;
use super::{RETRY, Role, Shape, discard, left};
use crate::packet::{Odometer, Place, Stamp, Template};
use crate::report::Pass;
use crate::{Config, EventSink};

/// Sends frames of a template: the same again and again, or one for each step of the odometer.
pub(crate) struct Sender {
    template: Template,
    odometer: Odometer,
    pacer: Pacer,
    /// Frames still to send; `None` without end.
    left: Option<u64>,
    /// Where to stamp them, if that is asked, and the next one's number.
    place: Option<Place>,
    sequence: u32,
}

impl Sender {
    pub(crate) fn new(config: &Config, src_mac: Mac) -> Self {
        let frames = &config.frames;
        let odometer = Odometer::new(frames.src, frames.dst);
        let len = usize::try_from(frames.len).unwrap_or(usize::MAX);
        let template = Template::new(len, src_mac, frames.dst_mac, odometer.flow());
        Self {
            place: Place::within(template.bytes()).filter(|_| config.stamp),
            sequence: 0,
            template,
            odometer,
            pacer: Pacer::new(config.rate, config.burst, frames.len, Time::ZERO),
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
        let sent = self.send(tx, wanted, now);
        let (packets, bytes) = (sent as u64, sent as u64 * self.template.bytes().len() as u64);
        self.pacer.sent(packets, bytes);
        if let Some(left) = &mut self.left {
            *left -= packets;
        }
        let next = match self.left {
            Some(0) => now,
            _ if sent < wanted => now + RETRY,
            _ => self.pacer.next().max(now),
        };
        Pass { packets, bytes, next, over: false }
    }

    /// Sends up to `wanted` frames; how many found room.
    ///
    /// Written into the port's slots one by one. [`Tx::transmit`] of many views of the template is no faster: equal at
    /// 60 bytes and slower at 1514 (10.7 and 28.0 ns a frame against 10.9 and 23.6; benches/generator.rs), and it
    /// could not send frames that differ.
    fn send(&mut self, tx: &mut dyn Tx, wanted: usize, now: Time) -> usize {
        let frame = self.template.bytes();
        let turns = !self.odometer.is_single();
        for sent in 0..wanted {
            let Some(slot) = tx.reserve(frame.len()) else { return sent };
            slot.copy_from_slice(frame);
            if turns {
                self.template.patch(self.odometer.flow(), slot);
                self.odometer.advance();
            }
            if let Some(place) = self.place {
                place.stamp(Stamp { sequence: self.sequence, time: now }, slot);
                self.sequence = self.sequence.wrapping_add(1);
            }
            tx.commit(frame.len(), Offload::NONE);
        }
        wanted
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
