//! What can be seen of a connection from outside its socket: losses, round trips, windows.
//!
//! smoltcp keeps its retransmission count, its round-trip estimate and its windows to itself, estimates in
//! whole milliseconds, and after a loss knows fast retransmit (RFC 5681, 3.2) but no partial acknowledgement
//! (RFC 6582) and no timeout below one second. The flow watches the segments that pass in both directions,
//! keeps the figures, and says when the socket should be [nudged](Flow::take_nudge) to send again.

mod delay;
mod round_trip;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ports::Time;

use delay::Delay;
use round_trip::RoundTrip;

use super::segment::{Segment, after, flag};
use crate::transport::TcpInfo;

/// Shortest wait for an acknowledgement before the oldest segment is sent again, in the spirit of a tail loss
/// probe (RFC 8985, 7.2). A receiver may sit on any acknowledgement for 40 ms while its reader is slow
/// (`TCP_DELACK_MIN` of Linux, and `__tcp_ack_snd_check`).
const MIN_PATIENCE: Duration = Duration::from_millis(60);
/// Most pieces that one acknowledgement is divided into.
const MAX_PIECES: u32 = 64;
/// Nudges without progress before the socket's own retransmission timeout is left to it.
const MAX_PROBES: u32 = 3;

/// The observer of one connection.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Oldest sequence number not acknowledged, and the one after the highest sent.
    una: u32,
    max: u32,
    /// The one after the highest that carried payload: a lone FIN must not be nudged.
    data_max: u32,
    /// Anything was sent, anything was acknowledged.
    started: bool,
    established: bool,
    retransmits: u64,
    /// Highest sequence number after anything received, and the acknowledgement sent last.
    received: u32,
    acknowledged: u32,
    window: u16,
    scale: u8,
    /// Longest segment that we take, and that the peer takes.
    our_mss: u32,
    mss: u32,
    /// Largest flight since the last round-trip sample, and of the round before.
    flight: [u32; 2],
    /// The congestion window is what keeps the socket from sending.
    congested: bool,
    rtt: RoundTrip,
    loss: Loss,
    delay: Delay,
}

/// Where loss recovery stands.
#[derive(Clone, Debug, Default)]
struct Loss {
    /// Duplicate acknowledgements as we count them, and as smoltcp does: it starts over with each change of
    /// the window and each segment with payload.
    duplicates: u32,
    unchanged: u32,
    /// Recovery ends when this is acknowledged (RFC 6582, 3.2).
    recover: Option<u32>,
    nudge: bool,
    probes: u32,
    progress: Time,
}

impl Flow {
    /// A flow that sends segments of up to `mss` bytes until the peer says less.
    pub(super) fn new(mss: u32) -> Self {
        Self {
            una: 0,
            max: 0,
            data_max: 0,
            started: false,
            established: false,
            retransmits: 0,
            received: 0,
            acknowledged: 0,
            window: 0,
            scale: 0,
            our_mss: mss,
            mss,
            flight: [0; 2],
            congested: false,
            rtt: RoundTrip::default(),
            loss: Loss::default(),
            delay: Delay::default(),
        }
    }

    /// Bytes sent and not acknowledged.
    const fn in_flight(&self) -> u32 {
        self.max.wrapping_sub(self.una)
    }

    /// Our next sequence number, and the one we expect.
    pub(super) const fn numbers(&self) -> (u32, u32) {
        (self.max, self.acknowledged)
    }

    /// A segment left: its sequence number, payload length, flags, and acknowledgement.
    pub(super) fn sent(&mut self, seq: u32, len: u32, flags: u8, ack: u32, now: Time) {
        if flags & flag::ACK != 0 {
            self.acknowledged = ack;
            self.delay.acknowledged(now);
        }
        let control = u32::from(flags & flag::SYN != 0) + u32::from(flags & flag::FIN != 0);
        let end = seq.wrapping_add(len + control);
        if !self.started {
            self.started = true;
            (self.una, self.max, self.data_max) = (seq, seq, seq);
        }
        let keep_alive = after(self.una, seq);
        let window_probe = self.established && self.window == 0 && len <= 1;
        if end == seq || keep_alive || window_probe {
            return;
        }
        if self.in_flight() == 0 {
            self.loss.progress = now;
        }
        if after(self.max, seq) {
            let again = end.wrapping_sub(seq).min(self.max.wrapping_sub(seq));
            self.retransmits += u64::from(again.div_ceil(self.mss.max(1)));
            self.rtt.timing = None; // Karn: an acknowledgement of either transmission says nothing
        }
        if after(end, self.max) {
            self.max = end;
            if self.rtt.timing.is_none() && self.loss.recover.is_none() {
                self.rtt.timing = Some((end, now));
            }
        }
        if len > 0 && after(end, self.data_max) {
            self.data_max = end;
        }
        self.flight[0] = self.flight[0].max(self.in_flight());
    }

    /// A segment arrived; `bytes` is its frame.
    pub(super) fn received(&mut self, s: &Segment, bytes: &[u8], now: Time) {
        if s.has(flag::RST) || self.is_early(s) {
            return;
        }
        if self.is_super_frame_in_order(s) {
            self.delay.arrived(s.len, s.end().wrapping_sub(self.acknowledged), now);
        } else if s.end() != s.seq {
            self.delay.end();
        }
        if s.has(flag::SYN) {
            self.received = s.end();
            self.scale = s.window_scale(bytes).unwrap_or(0);
            // Without the option, the peer takes 536 (RFC 9293, 3.7.1).
            self.mss = self.mss.min(u32::from(s.mss(bytes).map_or(536, |(_, mss)| mss)).max(48));
        } else if after(s.end(), self.received) {
            self.received = s.end();
        }
        if s.has(flag::ACK) && self.started {
            self.acknowledge(s, bytes, now);
            self.window = s.window;
        }
    }

    /// Whether the segment acknowledges what was never sent (RFC 9293, 3.10.7.4); a window probe may have been.
    fn is_early(&self, s: &Segment) -> bool {
        s.has(flag::ACK) && self.started && after(s.ack, self.max.wrapping_add(1))
    }

    /// Whether the segment is several, and follows the highest that came; a last one is not.
    const fn is_super_frame_in_order(&self, s: &Segment) -> bool {
        s.len > self.our_mss && s.seq == self.received && s.flags & (flag::SYN | flag::FIN) == 0
    }

    /// Until when an acknowledgement waits, if one does.
    pub(super) fn acknowledges_at(&self) -> Option<Time> {
        self.delay.until()
    }

    fn acknowledge(&mut self, s: &Segment, bytes: &[u8], now: Time) {
        if after(s.ack, self.una) {
            return self.advance(s.ack, now);
        }
        if s.ack != self.una || self.in_flight() == 0 {
            return;
        }
        let same_window = s.window == self.window;
        if s.len > 0 || !same_window {
            self.loss.unchanged = 0;
        } else {
            self.loss.unchanged += 1;
        }
        if s.len > 0 || s.has(flag::SYN) || s.has(flag::FIN) || !(same_window || s.has_sack(bytes)) {
            return;
        }
        self.loss.duplicates += 1;
        if self.loss.duplicates == self.duplicates_enough() && self.loss.recover.is_none() {
            self.loss.recover = Some(self.max);
            self.loss.nudge = self.loss.unchanged < 3; // otherwise smoltcp has seen them too
        }
    }

    /// Three duplicates, or fewer when there is too little in flight to cause as many (RFC 5827, 2.1).
    fn duplicates_enough(&self) -> u32 {
        (self.in_flight().div_ceil(self.mss.max(1)).saturating_sub(1)).clamp(1, 3)
    }

    fn advance(&mut self, ack: u32, now: Time) {
        self.una = ack;
        self.established = true;
        if after(ack, self.max) {
            self.max = ack; // a window probe was taken
        }
        if let Some((end, at)) = self.rtt.timing
            && !after(end, ack)
        {
            self.rtt.timing = None;
            self.rtt.sample(now.since(at));
            self.flight = [self.in_flight(), self.flight[0]];
        }
        self.loss.duplicates = 0;
        self.loss.unchanged = 0;
        self.loss.probes = 0;
        self.loss.progress = now;
        match self.loss.recover {
            Some(recover) if after(recover, ack) => self.loss.nudge = true,
            _ => self.loss.recover = None,
        }
    }

    fn patience(&self) -> Duration {
        let usual = self.rtt.smoothed * 2 + self.rtt.deviation * 4;
        usual.max(MIN_PATIENCE) * (1 << self.loss.probes.min(MAX_PROBES))
    }

    /// Whether payload is in flight that a nudge would send again.
    const fn can_nudge(&self) -> bool {
        self.established && self.window > 0 && after(self.data_max, self.una)
    }

    /// When the flow wants to be asked for a nudge next.
    pub(super) fn deadline(&self) -> Time {
        if self.can_nudge() && self.loss.probes < MAX_PROBES {
            self.loss.progress + self.patience()
        } else {
            Time::NEVER
        }
    }

    /// Whether the last nudge was for silence.
    pub(super) const fn is_silent(&self) -> bool {
        self.loss.probes > 0
    }

    /// Whether the oldest segment in flight is to be sent again now: a partial acknowledgement, duplicates
    /// that smoltcp did not recognise, or silence for too long.
    pub(super) fn take_nudge(&mut self, now: Time) -> Option<Shown> {
        if now >= self.deadline() {
            self.loss.probes += 1;
            self.loss.progress = now;
            self.loss.nudge = true;
            self.loss.recover = self.loss.recover.or(Some(self.max));
        }
        if !std::mem::take(&mut self.loss.nudge) || !self.can_nudge() {
            return None;
        }
        // One unit less than the window last seen: smoltcp takes a changed window for no duplicate, and
        // starts to count duplicates from there.
        Some(Shown { seq: self.received, ack: self.una, window: self.window - 1 })
    }

    /// The socket has nothing more to send for now, with this much queued: why?
    pub(super) const fn rested(&mut self, queued: usize) {
        self.delay.end(); // it is acknowledged, or there was nothing to acknowledge
        let flight = self.in_flight() as usize;
        self.congested = self.established
            && flight > 0
            && flight < queued
            && flight + (self.mss as usize) < (self.window as usize) << self.scale;
    }

    /// How far apart to acknowledge piece by piece what `s` acknowledges at once, and how often; the segment
    /// itself comes last.
    ///
    /// smoltcp lets the congestion window grow by one segment an acknowledgement, however much that covers.
    /// Receivers of super-frames acknowledge tens of segments at once, so that a window would take minutes to
    /// recover. Counting bytes (RFC 3465) from outside means to show it one acknowledgement a segment; that
    /// costs, and is done only while the congestion window is what limits.
    pub(super) fn pieces(&self, s: &Segment) -> (u32, u32) {
        let acknowledged = s.ack.wrapping_sub(self.una);
        if !self.congested || !s.has(flag::ACK) || s.flags & (flag::SYN | flag::RST) != 0 {
            return (0, 0);
        }
        if acknowledged <= self.mss || acknowledged > self.in_flight() {
            return (0, 0);
        }
        let step = self.mss.max(acknowledged.div_ceil(MAX_PIECES));
        (step, (acknowledged - 1) / step)
    }

    /// An acknowledgement to show to the socket before a segment that arrives.
    pub(super) const fn piece(&self, s: &Segment, at: u32) -> Shown {
        Shown { seq: self.received, ack: self.una.wrapping_add(at), window: s.window }
    }

    /// The figures for a report, as far as the flow knows them.
    pub(super) fn info(&self) -> TcpInfo {
        TcpInfo {
            retransmits: self.retransmits,
            cwnd: u64::from(self.flight[0].max(self.flight[1])),
            send_window: u64::from(self.window) << self.scale,
            rtt: self.rtt.smoothed,
            rtt_var: self.rtt.deviation,
            mss: self.mss,
            path_mtu: 0,
        }
    }
}

/// An acknowledgement to show to the socket: a duplicate, four times, so that it sends again, or a piece of
/// one that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
}
