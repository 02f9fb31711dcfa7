//! The sending functions, `-f tx` and `-f txseq`.

use std::time::Duration;

use ports::{Mac, Offload, Port, Time, Tx};

use super::dump::Dump;
use super::pacer::Pacer;
use super::{Role, Shape, discard, left};
use crate::packet::Series;
use crate::report::Pass;
use crate::{Config, EventSink};

/// Sends a series of frames.
pub(crate) struct Sender {
    series: Series,
    pacer: Pacer,
    /// Frames still to send; `None` without end.
    left: Option<u64>,
    dump: Option<Dump>,
}

/// A full port has nothing to wake us with: how long to sleep before trying again.
const RETRY: Duration = Duration::from_micros(100);

/// Frames and bytes.
type Sent = (usize, u64);

impl Sender {
    pub(crate) fn new(config: &Config, src_mac: Mac) -> Self {
        let pacer = Pacer::new(config.rate_pps, config.burst, Time::ZERO);
        let burst = u32::try_from(pacer.burst()).unwrap_or(u32::MAX);
        Self {
            series: Series::new(&config.frames, src_mac, burst, config.function.is_sequenced()),
            pacer,
            left: left(config.count),
            dump: Dump::new(config.dump),
        }
    }

    /// Sends what is due, as far as there is room; the rest stays due.
    fn send_due(&mut self, tx: &mut dyn Tx, now: Time, tell: &mut EventSink) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let due = self.pacer.due(now);
        let wanted = self.left.map_or(due, |left| due.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let (sent, bytes) = self.send(tx, wanted, tell);
        self.pacer.sent(sent);
        if let Some(left) = &mut self.left {
            *left -= sent as u64;
        }
        let next = match self.left {
            Some(0) => now,
            _ if sent < wanted => now + RETRY,
            _ => self.pacer.next().max(now),
        };
        Pass { packets: sent as u64, bytes, next, over: false }
    }

    /// Sends up to `wanted` frames; how many found room.
    fn send(&mut self, tx: &mut dyn Tx, wanted: usize, tell: &mut EventSink) -> Sent {
        match (self.series.constant(), &mut self.dump) {
            (Some(frame), None) => send_same(tx, frame, wanted),
            (_, None) => send_series(tx, &mut self.series, wanted, |_| ()),
            (_, Some(dump)) => send_series(tx, &mut self.series, wanted, |frame| dump.show(frame, tell)),
        }
    }
}

/// Written into the port's slots one by one. [`Tx::transmit`] of many views of the frame is no faster: equal at
/// 60 bytes and slower at 1514 (10.7 and 28.0 ns a frame against 10.9 and 23.6; benches/generator.rs), and it
/// could not send frames that differ.
fn send_same(tx: &mut dyn Tx, frame: &[u8], wanted: usize) -> Sent {
    let len = frame.len();
    let all = |sent: usize| (sent, sent as u64 * len as u64);
    for sent in 0..wanted {
        let Some(slot) = tx.reserve(len) else { return all(sent) };
        slot.copy_from_slice(frame);
        tx.commit(len, Offload::NONE);
    }
    all(wanted)
}

/// The same of frames that differ.
fn send_series(tx: &mut dyn Tx, series: &mut Series, wanted: usize, mut each: impl FnMut(&[u8])) -> Sent {
    let mut bytes = 0;
    for sent in 0..wanted {
        let len = series.len();
        let Some(slot) = tx.reserve(len) else { return (sent, bytes) };
        series.write(slot);
        each(slot);
        tx.commit(len, Offload::NONE);
        series.advance();
        bytes += len as u64;
    }
    (wanted, bytes)
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

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        discard(&mut *port.rx);
        self.send_due(&mut *port.tx, now, tell)
    }

    fn stop(&mut self, _port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        Pass::over(now)
    }

    fn interval(&mut self, _now: Time, _last: bool, _tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval();
        }
    }
}
