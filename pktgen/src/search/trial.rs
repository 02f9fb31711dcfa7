//! One trial: what each end does, and what it has to say.

use serde::{Deserialize, Serialize};

use crate::{Config, Error, Frames, Payload};

/// What one end of a trial does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Tells the frames of this trial from those of others.
    pub id: u32,
    /// What is sent and how fast; of a receiver, the frame by which it makes itself known.
    pub config: Config,
    /// It sends the frames of the trial.
    pub sends: bool,
    /// It counts them.
    pub receives: bool,
    /// How long it sends, milliseconds; until its count is reached if zero.
    pub duration_ms: u32,
}

/// What one end of a trial has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum TrialEvent {
    /// It receives from now on.
    Ready,
    /// It is over.
    Over {
        /// Frames of the trial that it sent.
        sent: u64,
        /// Frames of the trial that it received.
        received: u64,
        /// How long it sent, nanoseconds.
        ns: u64,
    },
    /// The port does not suit.
    Failed {
        /// Why, in words for the user.
        message: String,
    },
}

impl Trial {
    /// Bytes of the mark.
    const MARK: usize = 8;

    /// The bytes at the start of the payload.
    pub(super) const fn mark(&self) -> [u8; Self::MARK] {
        let [a, b, c, d] = self.id.to_be_bytes();
        [b'2', b'5', b'4', b'4', a, b, c, d]
    }

    pub(super) fn frames(&self) -> Frames {
        let payload = if self.sends { Payload::Bytes(self.mark().to_vec()) } else { Payload::Netmap };
        Frames { payload, rubbish: false, ..self.config.frames.clone() }
    }

    /// Bytes of the shortest of these frames that has room for the mark.
    pub(super) fn least(frames: &Frames) -> u32 {
        u32::try_from(frames.layout().body() + Self::MARK).unwrap_or(u32::MAX)
    }

    /// Checks every number against its range, and the frames for room for the mark.
    ///
    /// # Errors
    /// The first that is out of it.
    pub fn check(&self) -> Result<(), Error> {
        self.config.check()?;
        let (frame_len, least) = (self.config.frames.size.shortest(), Self::least(&self.config.frames));
        if frame_len < least { Err(Error::NoMark { frame_len, least }) } else { Ok(()) }
    }
}

/// Where a trial's events go.
pub type TrialSink = Box<dyn FnMut(TrialEvent) + Send>;
