//! The app of one end of a trial: it sends frames with a mark, counts those that arrive, or both on one port.

use std::time::Duration;

use ports::wire::Headers;
use ports::{App, BURST, Burst, Frame, Mac, Offload, Port, Progress, Rx, Time, Tx, prefetched};

use super::{Trial, TrialEvent, TrialSink};
use crate::packet::Series;
use crate::role::{RETRY, Sender};
use crate::{Config, Error, Event};

/// How long nothing may have come before a receiver takes it that nothing more will.
const QUIET: Duration = Duration::from_millis(300);
/// Bursts taken in one pass at the most.
const BURSTS: usize = 4;

enum Phase {
    New,
    Sending(Time),
    Receiving,
    /// It ends when nothing has come for a while; since then.
    Quiet(Time),
    Done,
}

/// One end of a trial on a port.
///
/// An end that only receives makes itself known first, so that switches learn where it is (RFC 2544, 23), says that it is
/// [ready](TrialEvent::Ready), and counts until it is stopped and nothing more comes. An end that sends does so for its
/// time, and if it receives too, until all has come back or nothing more does.
pub struct Probe {
    trial: Trial,
    src_mac: Mac,
    sender: Sender,
    mark: [u8; 8],
    /// Where the mark stands in frames as they are sent.
    at: usize,
    phase: Phase,
    stopping: bool,
    sent: u64,
    received: u64,
    sent_for: Duration,
    tell: TrialSink,
    /// For a sender that has nothing to tell but its frames.
    nobody: crate::EventSink,
}

impl Probe {
    /// An end of `trial` on a port whose station is `interface_mac`.
    ///
    /// # Errors
    /// If the trial is out of range.
    pub fn new(trial: Trial, interface_mac: Option<Mac>, tell: TrialSink) -> Result<Self, Error> {
        trial.check()?;
        let config = Config { frames: trial.frames(), stamp: false, dump: false, ..trial.config.clone() };
        let src_mac = config.frames.src_mac.or(interface_mac).unwrap_or(Mac::ZERO);
        Ok(Self {
            src_mac,
            sender: Sender::new(&config, src_mac),
            mark: trial.mark(),
            at: config.frames.layout().body(),
            trial,
            phase: Phase::New,
            stopping: false,
            sent: 0,
            received: 0,
            sent_for: Duration::ZERO,
            tell,
            nobody: Box::new(|_: Event| ()),
        })
    }

    fn start(&mut self, port: &mut Port, now: Time) {
        if let Err(error) = self.trial.config.check_port(port.tx.capabilities()) {
            (self.tell)(TrialEvent::Failed { message: error.to_string() });
            self.phase = Phase::Done;
        } else if self.trial.sends {
            self.sender.restart(now);
            self.phase = Phase::Sending(now);
        } else if self.announce(&mut *port.tx) {
            (self.tell)(TrialEvent::Ready);
            self.phase = Phase::Receiving;
        }
    }

    /// Sends one frame, if there is room.
    fn announce(&self, tx: &mut dyn Tx) -> bool {
        let mut series = Series::new(&self.trial.frames(), self.src_mac, 1, false);
        let len = series.len();
        let Some(slot) = tx.reserve(len) else { return false };
        series.make(slot);
        tx.commit(len, Offload::NONE);
        true
    }

    /// Sends what is due; says when to come again.
    fn send(&mut self, port: &mut Port, since: Time, now: Time) -> Time {
        let ran = now - since;
        let limit = Duration::from_millis(self.trial.duration_ms.into());
        let mut over = self.stopping || (!limit.is_zero() && ran >= limit);
        let mut next = now;
        if !over {
            let pass = self.sender.send_due(&mut *port.tx, now, &mut self.nobody);
            self.sent += pass.packets;
            next = pass.next;
            over = pass.over;
        }
        if over {
            self.sent_for = ran;
            self.phase = if self.trial.receives { Phase::Quiet(now) } else { Phase::Done };
        }
        if limit.is_zero() { next } else { next.min(since + limit) }
    }

    /// Takes in what is there; says how many of the trial's frames there were.
    fn receive(&mut self, rx: &mut dyn Rx) -> u64 {
        let before = self.received;
        for _ in 0..BURSTS {
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            let all = burst.len();
            self.received += prefetched(&burst).iter().filter(|frame| self.is_of_trial(frame)).count() as u64;
            drop(burst);
            rx.release(all);
            if all < BURST {
                break;
            }
        }
        self.received - before
    }

    fn is_of_trial(&self, frame: &Frame<'_>) -> bool {
        let mut mark = [0; 8];
        let is_there = |mark: &mut [u8; 8], at| frame.copy_at(at, mark) == mark.len() && *mark == self.mark;
        // Where a device changed the headers (a VLAN tag put in or taken out) it stands elsewhere.
        is_there(&mut mark, self.at)
            || Headers::parse(frame.bytes().unwrap_or_default(), frame.len())
                .is_some_and(|headers| is_there(&mut mark, headers.payload))
    }

    fn end(&mut self) -> Progress {
        let ns = u64::try_from(self.sent_for.as_nanos()).unwrap_or(u64::MAX);
        (self.tell)(TrialEvent::Over { sent: self.sent, received: self.received, ns });
        self.phase = Phase::Done;
        DONE
    }
}

const DONE: Progress = Progress { busy: false, deadline: Time::NEVER, done: true };

impl App for Probe {
    fn poll(&mut self, port: &mut Port, now: Time) -> Progress {
        if let Phase::New = self.phase {
            self.start(port, now);
        }
        let sent_before = self.sent;
        let arrived = self.receive(&mut *port.rx);
        let deadline = match self.phase {
            Phase::New => now + RETRY, // no room for the announcement yet
            Phase::Sending(since) => {
                let next = self.send(port, since, now);
                if let Phase::Done = self.phase {
                    return self.end();
                }
                next
            }
            Phase::Receiving if self.stopping => {
                self.phase = Phase::Quiet(now);
                now + QUIET
            }
            Phase::Receiving => Time::NEVER,
            Phase::Quiet(_) if arrived > 0 && !(self.trial.sends && self.received >= self.sent) => {
                self.phase = Phase::Quiet(now);
                now + QUIET
            }
            Phase::Quiet(since)
                if now - since >= QUIET || (self.trial.sends && self.received >= self.sent) =>
            {
                return self.end();
            }
            Phase::Quiet(since) => since + QUIET,
            Phase::Done => return DONE,
        };
        Progress { busy: arrived > 0 || self.sent > sent_before, deadline, done: false }
    }

    fn stop(&mut self, _now: Time) {
        self.stopping = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::{Function, Rate};
    use ports::{Capabilities, virtual_port};

    fn trial(id: u32, sends: bool, receives: bool) -> Trial {
        let config = Config { rate: Rate::Pps(10_000), burst: 4, ..Config::new("p", Function::Tx) };
        Trial { id, config, sends, receives, duration_ms: 100 }
    }

    fn probe(trial: Trial) -> (Probe, Receiver<TrialEvent>) {
        let (tell, events) = channel();
        let sink = Box::new(move |event| tell.send(event).unwrap());
        (Probe::new(trial, Some(Mac::local("p")), sink).unwrap(), events)
    }

    fn pair() -> (Port, Port) {
        virtual_port::pair("v", 256, Capabilities::all(1500)).unwrap()
    }

    fn us(n: u64) -> Time {
        Time(n * 1000)
    }

    #[test]
    fn a_receiver_counts_the_frames_of_its_trial_only() {
        let (mut near, mut far) = pair();
        let (mut tx, sent) = probe(trial(7, true, false));
        let (mut other, _other) = probe(trial(8, true, false));
        let (mut rx, received) = probe(trial(7, false, true));
        rx.poll(&mut far, us(0));
        far.tx.flush();
        assert_eq!(received.try_recv(), Ok(TrialEvent::Ready));
        let mut hello = Burst::new();
        near.rx.receive(&mut hello);
        assert_eq!(hello.len(), 1, "it makes itself known");
        drop(hello);
        let mut now = 0;
        let mut done = false;
        while !done {
            done = tx.poll(&mut near, us(now)).done;
            other.poll(&mut near, us(now));
            near.tx.flush();
            rx.poll(&mut far, us(now));
            now += 100;
        }
        let Ok(TrialEvent::Over { sent, received: 0, ns }) = sent.try_recv() else { panic!() };
        assert!((996..=1004).contains(&sent) && ns == 100_000_000, "{sent} in {ns}");
        rx.stop(us(now));
        assert!(!rx.poll(&mut far, us(now)).done);
        assert!(!rx.poll(&mut far, us(now + 299_000)).done, "it may still come");
        assert!(rx.poll(&mut far, us(now + 300_000)).done);
        assert_eq!(received.try_recv(), Ok(TrialEvent::Over { sent: 0, received: sent, ns: 0 }));
    }

    #[test]
    fn one_port_sends_and_receives_and_ends_when_all_is_back() {
        let (mut near, mut far) = pair();
        let mut burst = trial(1, true, true);
        (burst.duration_ms, burst.config.count, burst.config.rate) = (0, 100, Rate::UNLIMITED);
        let (mut probe, events) = probe(burst);
        for now in 0..1000 {
            let progress = probe.poll(&mut near, us(now));
            near.tx.flush();
            let mut waiting = Burst::new();
            far.rx.receive(&mut waiting);
            let n = far.tx.transmit(&waiting).taken; // the device sends all back
            drop(waiting);
            far.rx.release(n);
            if progress.done {
                assert!(matches!(events.try_recv(), Ok(TrialEvent::Over { sent: 100, received: 100, .. })));
                return;
            }
        }
        panic!("no end");
    }

    #[test]
    fn what_has_no_room_for_the_mark_is_refused() {
        let mut short = trial(1, true, false);
        short.config.frames.size = 49.into();
        assert_eq!(
            short.check().unwrap_err().to_string(),
            "-l 49: too short for the mark of a trial (try: -l 50)"
        );
        short.config.frames.size = 50.into();
        assert_eq!(short.check(), Ok(()));
        let (mut near, _far) = virtual_port::pair("v", 64, Capabilities::wire(1500)).unwrap();
        let mut long = trial(1, true, false);
        long.config.frames.size = 1515.into();
        let (mut probe, events) = probe(long);
        assert!(probe.poll(&mut near, us(0)).done);
        assert!(matches!(events.try_recv(), Ok(TrialEvent::Failed { message }) if message.contains("1514")));
    }

    #[test]
    fn json_round_trips() {
        let json = serde_json::to_string(&trial(7, true, false)).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&json).unwrap(), trial(7, true, false));
        let over = TrialEvent::Over { sent: 1, received: 2, ns: 3 };
        assert_eq!(serde_json::to_value(&over).unwrap()["event"], "over");
    }
}
