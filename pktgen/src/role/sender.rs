//! The sending functions, `-f tx` and `-f txseq`.

use ports::{Mac, Offload, Port, Time, Tx};

use super::dump::Dump;
use super::pacer::Pacer;
use super::{RETRY, Role, Shape, discard, left};
use crate::packet::{Place, Series, Stamp};
use crate::report::Pass;
use crate::{Config, EventSink};

/// Sends a series of frames.
pub(crate) struct Sender {
    series: Series,
    pacer: Pacer,
    /// Frames still to send; `None` without end.
    left: Option<u64>,
    stamps: Option<Stamps>,
    dump: Option<Dump>,
}

/// Where frames are stamped, and the number of the next one.
struct Stamps {
    place: Place,
    sequence: u32,
}

impl Stamps {
    fn stamp(&mut self, now: Time, frame: &mut [u8]) {
        self.place.stamp(Stamp { sequence: self.sequence, time: now }, frame);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// Frames and bytes.
type Sent = (u64, u64);

impl Sender {
    pub(crate) fn new(config: &Config, src_mac: Mac) -> Self {
        let pacer = Pacer::new(config.rate, config.burst, config.frames.size.mean(), Time::ZERO);
        let burst = u32::try_from(pacer.burst()).unwrap_or(u32::MAX);
        let series = Series::new(&config.frames, src_mac, burst, config.function.is_sequenced());
        let place = series.place().filter(|_| config.stamp);
        Self {
            stamps: place.map(|place| Stamps { place, sequence: 0 }),
            series,
            pacer,
            left: left(config.count),
            dump: Dump::new(config.dump),
        }
    }

    /// The next burst is due now.
    pub(crate) const fn restart(&mut self, now: Time) {
        self.pacer.restart(now);
    }

    /// Sends what is due, as far as there is room; the rest stays due.
    pub(crate) fn send_due(&mut self, tx: &mut dyn Tx, now: Time, tell: &mut EventSink) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let wanted = (self.pacer.due(now) as u64).min(self.left.unwrap_or(u64::MAX));
        let (packets, bytes) = self.send(tx, wanted, now, tell);
        self.pacer.sent(packets, bytes);
        if let Some(left) = &mut self.left {
            *left -= packets;
        }
        let next = match self.left {
            Some(0) => now,
            _ if packets < wanted => now + RETRY,
            _ => self.pacer.next().max(now),
        };
        Pass { packets, bytes, next, over: false }
    }

    /// Sends up to `wanted` frames; how many found room.
    fn send(&mut self, tx: &mut dyn Tx, wanted: u64, now: Time, tell: &mut EventSink) -> Sent {
        let Self { series, stamps, dump, .. } = self;
        match (series.constant(), &stamps, &dump) {
            (Some(frame), None, None) => send_same(tx, frame, wanted),
            (None, None, None) => send_again(tx, series, wanted),
            _ => send_series(tx, series, wanted, |frame| {
                if let Some(stamps) = stamps {
                    stamps.stamp(now, frame);
                }
                if let Some(dump) = dump {
                    dump.show(frame, tell);
                }
            }),
        }
    }
}

/// A frame that is always the same is written once a burst, where the port can [repeat](Tx::repeat) it: what netmap's
/// indirect buffers (`-I`) are for.
fn send_same(tx: &mut dyn Tx, frame: &[u8], wanted: u64) -> Sent {
    let len = frame.len();
    let mut sent = 0;
    while sent < wanted {
        let Some(slot) = tx.reserve(len) else { break };
        slot.copy_from_slice(frame);
        tx.commit(len, Offload::NONE);
        sent += 1;
        sent += tx.repeat(usize::try_from(wanted - sent).unwrap_or(usize::MAX)) as u64;
    }
    (sent, sent * len as u64)
}

/// Frames that differ a little, of which a slot that keeps its bytes is told what is new.
fn send_again(tx: &mut dyn Tx, series: &mut Series, wanted: u64) -> Sent {
    let mut bytes = 0;
    for sent in 0..wanted {
        let len = series.len();
        let Some(slot) = tx.reserve_labelled(len) else { return (sent, bytes) };
        series.make_again(slot.bytes, slot.label.unwrap_or(&mut 0));
        tx.commit(len, Offload::NONE);
        bytes += len as u64;
    }
    (wanted, bytes)
}

/// Frames that differ, written into the port's slots one by one, each of which is handed to `each` before it goes.
fn send_series(tx: &mut dyn Tx, series: &mut Series, wanted: u64, mut each: impl FnMut(&mut [u8])) -> Sent {
    let mut bytes = 0;
    for sent in 0..wanted {
        let len = series.len();
        let Some(slot) = tx.reserve(len) else { return (sent, bytes) };
        series.make(slot);
        each(slot);
        tx.commit(len, Offload::NONE);
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
        self.restart(now);
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        discard(&mut *port.rx);
        self.send_due(&mut *port.tx, now, tell)
    }

    fn stop(&mut self, _port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        Pass::over(now)
    }

    fn interval(&mut self, now: Time, _last: bool, _tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
    }
}
