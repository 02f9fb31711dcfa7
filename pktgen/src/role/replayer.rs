//! The sending function with a capture, `-f tx -P`.

use std::sync::Arc;
use std::time::Duration;

use ports::pcap::Capture;
use ports::{Burst, Capabilities, Frame, Offload, Port, Reason, Time};

use super::dump::Dump;
use super::pacer::Pacer;
use super::{RETRY, Role, Shape, discard, left};
use crate::config::{Replay, Speed};
use crate::report::Pass;
use crate::{Config, Error, EventSink};

/// Sends the frames of a capture, once or again and again, as they were captured.
pub(crate) struct Replayer {
    capture: Arc<Capture>,
    pace: Pace,
    burst: usize,
    /// The next frame.
    next: usize,
    /// Frames still to send; `None` without end.
    left: Option<u64>,
    /// It has been sent to its end.
    ended: bool,
    dump: Option<Dump>,
}

/// When frames are due.
enum Pace {
    Rate(Pacer),
    Recorded(Recorded),
}

/// Each frame at the time it was captured, more or less fast.
///
/// After a stall what is due goes out late by no more than [`LATE`](Self::LATE): the rest of the recording moves on by
/// the time that was lost, and its gaps remain what they were.
struct Recorded {
    speed: Speed,
    /// When the first frame of this round is due.
    start: Time,
    /// From the first frame of a round to that of the next.
    round: Duration,
}

impl Recorded {
    const LATE: Duration = Duration::from_millis(10);

    /// A round is as long as the capture, and one mean gap more.
    fn new(speed: Speed, capture: &Capture) -> Self {
        let last = capture.len() - 1;
        let span = capture.time(last);
        let gap = u32::try_from(last).ok().and_then(|gaps| span.checked_div(gaps)).unwrap_or_default();
        Self { speed, start: Time::ZERO, round: speed.scale(span + gap) }
    }

    /// When a frame that was captured at `time` is due; never much before `now`.
    fn due(&mut self, time: Duration, now: Time) -> Time {
        let due = self.start + self.speed.scale(time);
        let lost = now.since(due + Self::LATE);
        self.start = self.start + lost;
        due + lost
    }
}

impl Replayer {
    pub(crate) fn new(config: &Config, replay: &Replay, capture: Arc<Capture>) -> Self {
        let frames = capture.len() as u64;
        let bytes = (0..capture.len()).map(|n| capture.frame(n).len() as u64).sum::<u64>();
        let mean_len = u32::try_from(bytes / frames.max(1)).unwrap_or(u32::MAX);
        let pace = match replay.timing {
            Some(speed) => Pace::Recorded(Recorded::new(speed, &capture)),
            None => Pace::Rate(Pacer::new(config.rate, config.burst, mean_len, Time::ZERO)),
        };
        let all = left(frames.saturating_mul(replay.loops));
        Self {
            capture,
            pace,
            burst: usize::try_from(config.burst).unwrap_or(usize::MAX),
            next: 0,
            left: left(config.count).map_or(all, |count| Some(all.map_or(count, |all| all.min(count)))),
            ended: false,
            dump: Dump::new(config.dump),
        }
    }

    /// Frames that may go now, one burst at most, and when there may be more.
    fn due(&mut self, now: Time) -> (usize, Time) {
        match &mut self.pace {
            Pace::Rate(pacer) => (pacer.due(now), Time::ZERO), // asked again when they are sent
            Pace::Recorded(recorded) => {
                let rest = self.capture.len() - self.next;
                for n in 0..rest.min(self.burst) {
                    let due = recorded.due(self.capture.time(self.next + n), now);
                    if due > now {
                        return (n, due);
                    }
                }
                (rest.min(self.burst), now)
            }
        }
    }

    /// Sends up to `wanted` frames, to the end of the capture at most; how many, and their bytes.
    fn send(&mut self, port: &mut Port, wanted: usize, tell: &mut EventSink) -> (u64, u64) {
        let (mut packets, mut bytes) = (0, 0);
        let end = self.capture.len().min(self.next.saturating_add(wanted));
        while self.next < end {
            let numbers = (self.next..end).take(ports::BURST);
            let burst: Burst<'_> = numbers.map(|n| Frame::new(self.capture.frame(n))).collect();
            let sent = port.tx.transmit(&burst);
            port.counters.add_drops(Reason::Error, (sent.taken as u64).saturating_sub(sent.frames));
            packets += sent.taken as u64;
            for frame in burst.iter().take(sent.taken) {
                bytes += frame.len() as u64;
                if let Some(dump) = &mut self.dump {
                    dump.show(frame.bytes().unwrap_or_default(), tell);
                }
            }
            self.next += sent.taken;
            if sent.taken < burst.len() {
                break;
            }
        }
        (packets, bytes)
    }

    fn send_due(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        if self.left == Some(0) {
            return Pass::over(now);
        }
        let (due, mut next) = self.due(now);
        let rest = self.capture.len() - self.next;
        let most = self.left.map_or(due, |left| due.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let wanted = most.min(rest);
        let (packets, bytes) = self.send(port, wanted, tell);
        if let Some(left) = &mut self.left {
            *left -= packets;
        }
        if self.next == self.capture.len() {
            self.rewind();
        }
        if let Pace::Rate(pacer) = &mut self.pace {
            pacer.sent(packets, bytes);
            next = pacer.next().max(now);
        }
        if packets < wanted as u64 {
            next = now + RETRY;
        }
        if self.left == Some(0) {
            next = now;
        }
        Pass { packets, bytes, next, over: false }
    }

    /// From the first frame again.
    fn rewind(&mut self) {
        self.next = 0;
        self.ended = true;
        if let Pace::Recorded(recorded) = &mut self.pace {
            recorded.start = recorded.start + recorded.round;
        }
    }
}

impl Role for Replayer {
    fn shape(&self) -> Shape {
        match &self.pace {
            Pace::Rate(pacer) => Shape { burst: pacer.burst() as u64, period: pacer.period() },
            Pace::Recorded(_) => Shape { burst: self.burst as u64, period: Duration::ZERO },
        }
    }

    fn sends(&self) -> bool {
        true
    }

    fn check_port(&self, name: &str, port: Capabilities) -> Result<(), Error> {
        let too_long = |n: &usize| !port.takes(self.capture.frame(*n).len(), Offload::NONE);
        match (0..self.capture.len()).filter(too_long).count() {
            0 => Ok(()),
            frames => Err(Error::LongCapture {
                port: name.to_owned(),
                frames,
                of: self.capture.len(),
                most: port.frame,
            }),
        }
    }

    fn begin(&mut self, now: Time) {
        match &mut self.pace {
            Pace::Rate(pacer) => pacer.restart(now),
            Pace::Recorded(recorded) => recorded.start = now,
        }
    }

    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        discard(&mut *port.rx);
        self.send_due(port, now, tell)
    }

    fn stop(&mut self, _port: &mut Port, now: Time, _tell: &mut EventSink) -> Pass {
        Pass::over(now)
    }

    fn interval(&mut self, now: Time, _last: bool, _tell: &mut EventSink) {
        if let Some(dump) = &mut self.dump {
            dump.interval(now);
        }
    }

    fn note(&self) -> Option<String> {
        self.capture.note()
    }

    fn fault(&self) -> Option<&str> {
        self.capture.broken().filter(|_| self.ended)
    }
}
