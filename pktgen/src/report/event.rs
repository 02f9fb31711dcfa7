//! What a generator has to say.

use ports::Mac;
use serde::{Deserialize, Serialize};

use crate::{Delays, Order, Pings};

/// One thing that happened. Numbers only: a [`Printer`](crate::Printer) puts them into words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// Something that the user should know before the run.
    Note {
        /// In words for the user.
        message: String,
    },
    /// The port suits; the wait before sending begins.
    Start {
        /// Source station of the frames sent.
        src_mac: Mac,
        /// Frames a burst, as the rate allows.
        burst: u64,
        /// Nanoseconds from burst to burst; zero without a rate.
        period_ns: u64,
    },
    /// The wait is over.
    Ready,
    /// A receiver has seen no frame yet. Once a report interval.
    Waiting,
    /// What went through since the last report. All intervals of a run add up to its [`Final`](Self::Final).
    Interval {
        /// Frames.
        packets: u64,
        /// Their bytes, without FCS.
        bytes: u64,
        /// Length of the interval, microseconds.
        usec: u64,
        /// Bursts.
        batches: u64,
        /// Least room seen in the receive ring, slots, for ports that tell.
        min_space: Option<u64>,
    },
    /// When the run of one thread of several took place, just before its [`Final`](Self::Final); on the clock of
    /// [`Time`](ports::Time), which all programs of a machine share.
    Span {
        /// Start, nanoseconds.
        from_ns: u64,
        /// End, nanoseconds.
        to_ns: u64,
    },
    /// Pings since the last such report.
    Ping(Pings),
    /// All pings of the run, which is over.
    PingTotal(Pings),
    /// Stamped frames since the last such report.
    Delay(Delays),
    /// All stamped frames of the run, which is over.
    DelayTotal(Delays),
    /// A frame that was sent or received (`-X`). Those whose numbers are missing were left out.
    Dump {
        /// Frames before it.
        number: u64,
        /// Its length, bytes.
        len: u32,
        /// Its first bytes.
        bytes: Vec<u8>,
    },
    /// A numbered frame was not the one expected, of which is told a few times a second.
    Sequence(Trouble),
    /// What became of the numbered frames so far.
    Order(Order),
    /// What became of all numbered frames of the run, which is over.
    OrderTotal(Order),
    /// Frames of the run, which is over, that could not be answered: shorter than a header, from a group, or more than
    /// the port takes.
    Ignored {
        /// Frames.
        packets: u64,
    },
    /// The run is over.
    Final {
        /// Frames.
        packets: u64,
        /// Their bytes, without FCS.
        bytes: u64,
        /// Bursts (netmap's word).
        events: u64,
        /// How many of them the port failed to send after all, for example because the interface went down.
        errors: u64,
        /// Of a function that receives: how many more came that the port dropped, for example because they came too fast.
        drops: u64,
        /// How long it took: from the start to the end of sending, or from the first frame received to the last.
        seconds: f64,
    },
    /// The run could not begin; or, before its [`Final`](Self::Final), it could not go on, or not send everything.
    Failed {
        /// Why, in words for the user.
        message: String,
    },
}

/// What is wrong with a numbered frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "trouble")]
pub enum Trouble {
    /// Numbers before it were left out.
    Gap {
        /// The number that would have been next.
        expected: u32,
        /// Its number.
        found: u32,
    },
    /// It comes late, or again.
    OutOfOrder {
        /// The number that would have been next.
        expected: u32,
        /// Its number.
        found: u32,
    },
    /// It is too short for a number.
    Short {
        /// Its length, bytes.
        len: u32,
    },
}

/// Where a generator's events go. Called from within a poll, about once a report interval: it must not block.
pub type EventSink = Box<dyn FnMut(Event) + Send>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Latency;

    #[test]
    fn json_round_trips() {
        for event in [
            Event::Start { src_mac: Mac::BROADCAST, burst: 512, period_ns: 0 },
            Event::Waiting,
            Event::Span { from_ns: 0, to_ns: u64::MAX },
            Event::Interval { packets: 1, bytes: 60, usec: u64::MAX, batches: 1, min_space: None },
            Event::Final { packets: 1, bytes: 60, events: 1, errors: 0, drops: 0, seconds: 1.0 / 3.0 },
            Event::Ping(Pings {
                since_us: 1,
                interval_us: 2,
                sent: 3,
                received: 4,
                lost: 5,
                late: 6,
                duplicate: 7,
                stray: 8,
                rtt: Latency::of([9, 10]),
            }),
            Event::DelayTotal(Delays {
                since_us: 1,
                interval_us: 2,
                received: 3,
                lost: 4,
                delay: Latency::of([]),
            }),
            Event::Ignored { packets: 1 },
            Event::Failed { message: "no".to_owned() },
            Event::Dump { number: 3, len: 60, bytes: vec![1, 255] },
            Event::Sequence(Trouble::Gap { expected: 1, found: u32::MAX }),
            Event::Sequence(Trouble::Short { len: 44 }),
            Event::OrderTotal(Order { lost: 1, duplicated: 2, reordered: 3, untracked: 4 }),
        ] {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
        }
    }
}
