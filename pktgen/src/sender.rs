//! The sending function, `-f tx`.

use std::time::Duration;

use ports::{BURST, Frame, Mac, Offload, Port, Reason, Sent, Time, Tx};

use crate::pacer::Pacer;
use crate::report::Pass;
use crate::{Config, Odometer, Template};

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
        let odometer = Odometer::new(config.src, config.dst);
        let len = usize::try_from(config.frame_len).unwrap_or(usize::MAX);
        Self {
            template: Template::new(len, src_mac, config.dst_mac, odometer.flow()),
            odometer,
            pacer: Pacer::new(config.rate_pps, config.burst, Time::ZERO),
            left: (config.count > 0).then_some(config.count),
        }
    }

    /// The first burst is due now.
    pub(crate) const fn begin(&mut self, now: Time) {
        self.pacer.restart(now);
    }

    pub(crate) const fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Sends what is due, as far as there is room; the rest stays due.
    pub(crate) fn poll(&mut self, port: &mut Port, now: Time) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let due = self.pacer.due(now);
        let wanted = self.left.map_or(due, |left| due.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let sent = if self.odometer.is_single() {
            self.repeat(&mut *port.tx, wanted)
        } else {
            self.turn(&mut *port.tx, wanted)
        };
        self.pacer.sent(sent.taken);
        if let Some(left) = &mut self.left {
            *left -= sent.taken as u64;
        }
        let errors = sent.taken as u64 - sent.frames;
        if errors > 0 {
            port.counters.add_drops(Reason::Error, errors);
        }
        let next = match self.left {
            Some(0) => now,
            _ if sent.taken < wanted => now + RETRY,
            _ => self.pacer.next().max(now),
        };
        Pass { packets: sent.frames, bytes: sent.bytes, errors, next, over: false }
    }

    /// Sends `wanted` times the same frame.
    fn repeat(&self, tx: &mut dyn Tx, wanted: usize) -> Sent {
        let frames = [Frame::new(self.template.bytes()); BURST];
        let mut sent = Sent::default();
        while sent.taken < wanted {
            let burst = &frames[..BURST.min(wanted - sent.taken)];
            let more = tx.transmit(burst);
            sent.taken += more.taken;
            sent.frames += more.frames;
            sent.bytes += more.bytes;
            if more.taken < burst.len() {
                break;
            }
        }
        sent
    }

    /// Sends `wanted` frames, each with the addresses that are next.
    fn turn(&mut self, tx: &mut dyn Tx, wanted: usize) -> Sent {
        let len = self.template.bytes().len();
        let mut sent = Sent::default();
        while sent.taken < wanted {
            let Some(slot) = tx.reserve(len) else { break };
            self.template.write(self.odometer.flow(), slot);
            tx.commit(len, Offload::NONE);
            self.odometer.advance();
            sent.taken += 1;
        }
        sent.frames = sent.taken as u64;
        sent.bytes = sent.frames * len as u64;
        sent
    }
}
