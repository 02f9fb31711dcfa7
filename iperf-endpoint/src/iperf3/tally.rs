//! What one stream has moved: in this interval, and since the omitted part.

use crate::event::{SenderInterval, SenderTotal};
use crate::transport::TcpInfo;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    total: u64,
    interval: u64,
    /// Retransmits in `total`'s time.
    retransmits: u64,
    /// What the connection had counted when last asked.
    retransmits_seen: u64,
    extremes: SenderTotal,
    rtt_sum_us: u64,
    rtt_samples: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, bytes: u64) {
        self.total += bytes;
        self.interval += bytes;
    }

    /// Payload bytes since the omitted part.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Payload bytes since the last interval was closed.
    pub(crate) fn in_interval(&self) -> u64 {
        self.interval
    }

    pub(crate) fn retransmits(&self) -> u64 {
        self.retransmits
    }

    /// Ends the interval of a receiver.
    pub(crate) fn close(&mut self) -> u64 {
        std::mem::take(&mut self.interval)
    }

    /// Ends the interval of a sender.
    pub(crate) fn close_sender(&mut self, info: &TcpInfo) -> (u64, SenderInterval) {
        let retransmits = info.retransmits.saturating_sub(self.retransmits_seen);
        self.retransmits_seen = info.retransmits;
        self.retransmits += retransmits;
        let interval = SenderInterval {
            retransmits,
            snd_cwnd: info.cwnd,
            snd_wnd: info.send_window,
            rtt_us: micros(info.rtt),
            rttvar_us: micros(info.rtt_var),
            pmtu: info.path_mtu,
        };
        self.note_extremes(&interval);
        (self.close(), interval)
    }

    fn note_extremes(&mut self, i: &SenderInterval) {
        let e = &mut self.extremes;
        e.max_snd_cwnd = e.max_snd_cwnd.max(i.snd_cwnd);
        e.max_snd_wnd = e.max_snd_wnd.max(i.snd_wnd);
        e.max_rtt_us = e.max_rtt_us.max(i.rtt_us);
        e.min_rtt_us = if self.rtt_samples == 0 { i.rtt_us } else { e.min_rtt_us.min(i.rtt_us) };
        self.rtt_sum_us += i.rtt_us;
        self.rtt_samples += 1;
        e.mean_rtt_us = self.rtt_sum_us / self.rtt_samples;
    }

    pub(crate) fn extremes(&self) -> SenderTotal {
        self.extremes
    }

    /// Forgets the omitted part. The extremes stay, as in stock iperf3.
    pub(crate) fn restart(&mut self) {
        self.total = 0;
        self.interval = 0;
        self.retransmits = 0;
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmits_are_counted_per_interval_and_the_omitted_ones_forgotten() {
        let mut t = Tally::default();
        t.count(10);
        let info =
            |retransmits| TcpInfo { retransmits, rtt: Duration::from_micros(30), ..TcpInfo::default() };
        assert_eq!(t.close_sender(&info(3)).1.retransmits, 3);
        t.restart();
        t.count(5);
        assert_eq!(
            t.close_sender(&info(4)),
            (5, SenderInterval { retransmits: 1, rtt_us: 30, ..Default::default() })
        );
        assert_eq!((t.total(), t.retransmits()), (5, 1));
        assert_eq!(t.extremes().mean_rtt_us, 30);
    }
}
