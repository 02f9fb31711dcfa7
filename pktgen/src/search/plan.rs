//! What is to be searched.

use std::time::Duration;

use super::{Outcome, Step, Terms, Trial};
use crate::{Config, Frames, Rate, Size};

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The highest rate (`-f throughput`), frames a second.
    Throughput,
    /// The longest burst at full speed (`-f back-to-back`), frames.
    BackToBack,
}

impl Goal {
    /// The goal that a name after `-f` stands for.
    #[must_use]
    pub fn of(function: &str) -> Option<Self> {
        match function {
            "throughput" => Some(Self::Throughput),
            "back-to-back" => Some(Self::BackToBack),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::BackToBack => "back-to-back",
        }
    }
}

/// A search for each of several frame sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What for.
    pub goal: Goal,
    /// The port to send to (`-i`), the frames, the burst of a sender that keeps a rate, and where it runs.
    pub config: Config,
    /// The port to receive from (`--to`); the same without it.
    pub to: Option<String>,
    /// Sizes of the frames on the wire, FCS included, bytes.
    pub sizes: Vec<u32>,
    /// How long a trial sends (`--trial`).
    pub trial: Duration,
    /// What passes, and how exactly.
    pub terms: Terms,
}

impl Plan {
    /// RFC 2544, 9.1.
    pub const SIZES: [u32; 7] = [64, 128, 256, 512, 1024, 1280, 1518];
    /// Frames that a sender which keeps a rate sends in one go unless asked otherwise: the standard wants them apart, and
    /// the queues of a veth hold 256.
    pub const BURST: u32 = 32;
    /// Bytes of the FCS.
    const FCS: u32 = 4;

    /// The sizes of a search with these frames: those of the RFC, but for the shortest, which is what the headers and the
    /// mark of a trial take if that is more (of IPv6 74).
    #[must_use]
    pub fn sizes(frames: &Frames) -> Vec<u32> {
        let least = Self::on_wire(Trial::least(frames));
        Self::SIZES.map(|size| size.max(least)).to_vec()
    }

    /// The size on the wire of a frame of `len` bytes without FCS.
    #[must_use]
    pub const fn on_wire(len: u32) -> u32 {
        len + Self::FCS
    }

    /// The sending end of trial `id`, with frames of `size` bytes on the wire.
    #[must_use]
    pub fn sender(&self, id: u32, size: u32, step: Step) -> Trial {
        let mut config = self.of_size(size);
        let mut duration_ms = u32::try_from(self.trial.as_millis()).unwrap_or(u32::MAX);
        match (step, self.goal) {
            (Step::Load(load), Goal::Throughput) => config.rate = Rate::Pps(load),
            (Step::Load(load), Goal::BackToBack) => (config.count, duration_ms) = (load, 0),
            (Step::Most | Step::Found(_), _) => {}
        }
        if !matches!((step, self.goal), (Step::Load(_), Goal::Throughput)) {
            config.burst = Config::default().burst; // as fast as it goes
        }
        Trial { id, config, sends: true, receives: self.to.is_none(), duration_ms }
    }

    /// The receiving end, whose own frame is the answer to the sender's.
    #[must_use]
    pub fn receiver(&self, id: u32, size: u32, sender: ports::Mac) -> Trial {
        let mut config = self.of_size(size);
        let frames = &mut config.frames;
        (frames.src, frames.dst) = (frames.dst, frames.src);
        (frames.src_mac, frames.dst_mac) = (None, sender);
        Trial { id, config, sends: false, receives: true, duration_ms: 0 }
    }

    fn of_size(&self, size: u32) -> Config {
        let mut config = Config { count: 0, rate: Rate::UNLIMITED, ..self.config.clone() };
        config.frames.size = Size::Fixed(size.saturating_sub(Self::FCS));
        config
    }

    /// What a trial came to whose sender was busy for `ns`.
    #[must_use]
    pub fn outcome(&self, sent: u64, received: u64, ns: u64) -> Outcome {
        let offered = match self.goal {
            Goal::Throughput => {
                let rate = u128::from(sent) * 1_000_000_000 / u128::from(ns.max(1));
                u64::try_from(rate).unwrap_or(u64::MAX)
            }
            Goal::BackToBack => sent,
        };
        Outcome { offered, sent, received }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Function;
    use ports::Mac;

    fn plan(goal: Goal) -> Plan {
        let config = Config { burst: Plan::BURST, ..Config::new("vale0:1", Function::Tx) };
        let terms = Terms { loss: 0.0, resolution: 0.01 };
        Plan { goal, config, to: None, sizes: Plan::SIZES.to_vec(), trial: Duration::from_millis(200), terms }
    }

    #[test]
    fn trials_are_of_a_rate_or_of_a_burst() {
        let rate = plan(Goal::Throughput).sender(3, 64, Step::Load(1000));
        assert_eq!((rate.config.rate, rate.config.count, rate.duration_ms), (Rate::Pps(1000), 0, 200));
        assert_eq!((rate.config.frames.size, rate.config.burst, rate.receives), (Size::Fixed(60), 32, true));
        let burst = plan(Goal::BackToBack).sender(3, 1518, Step::Load(1000));
        assert_eq!((burst.config.rate, burst.config.count, burst.duration_ms), (Rate::UNLIMITED, 1000, 0));
        let most = plan(Goal::BackToBack).sender(3, 1518, Step::Most);
        assert_eq!((most.config.rate, most.config.count, most.duration_ms), (Rate::UNLIMITED, 0, 200));
        assert!([rate, burst, most].iter().all(|trial| trial.check().is_ok()));
    }

    #[test]
    fn the_receivers_frame_answers() {
        let sender = Mac::local("a");
        let answer = plan(Goal::Throughput).receiver(1, 64, sender);
        assert_eq!(answer.config.frames.dst_mac, sender);
        assert_eq!(answer.config.frames.src, plan(Goal::Throughput).config.frames.dst);
        assert!(!answer.sends && answer.receives && answer.check().is_ok());
    }

    #[test]
    fn the_shortest_frames_hold_headers_and_mark() {
        let sizes = |v6, tags| {
            let (src, dst) = (Frames::SRC_V6.into(), Frames::DST_V6.into());
            let family = if v6 { Frames { src, dst, ..Frames::default() } } else { Frames::default() };
            let mut plan = plan(Goal::Throughput);
            plan.config.frames = Frames { vlans: vec!["7".parse().unwrap(); tags], ..family };
            let sizes = Plan::sizes(&plan.config.frames);
            assert_eq!(sizes[1..], Plan::SIZES[1..]);
            assert_eq!(plan.sender(1, sizes[0], Step::Most).check(), Ok(()), "{}", sizes[0]);
            sizes[0]
        };
        assert_eq!([sizes(false, 0), sizes(false, 2), sizes(true, 0), sizes(true, 2)], [64, 64, 74, 82]);
    }

    #[test]
    fn loads_are_what_was_offered() {
        let throughput = plan(Goal::Throughput).outcome(500, 499, 250_000_000);
        assert_eq!(throughput, Outcome { offered: 2000, sent: 500, received: 499 });
        assert_eq!(plan(Goal::BackToBack).outcome(500, 500, 1).offered, 500);
    }
}
