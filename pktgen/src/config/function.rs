//! What a generator does.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// What the generator does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Receives and counts.
    #[default]
    Rx,
    /// Sends.
    Tx,
    /// Sends, and measures how long the answers take.
    Ping,
    /// Answers.
    Pong,
    /// Sends numbered frames.
    Txseq,
    /// Receives numbered frames, and tells which are missing.
    Rxseq,
}

impl Function {
    /// Whether it is about what comes in.
    #[must_use]
    pub const fn receives(self) -> bool {
        !self.sends_series()
    }

    /// Whether anything goes out.
    #[must_use]
    pub const fn transmits(self) -> bool {
        !matches!(self, Self::Rx | Self::Rxseq)
    }

    /// Most frames in one go, unless asked otherwise: netmap's, but for pong, which answers all that it finds there too.
    #[must_use]
    pub const fn default_burst(self) -> u32 {
        match self {
            Self::Ping => 1,
            Self::Tx | Self::Rx | Self::Txseq | Self::Rxseq | Self::Pong => 512,
        }
    }

    /// Whether it makes frames, as the config's [`Frames`](crate::Frames) say.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Tx | Self::Txseq | Self::Ping)
    }

    /// Whether these are a series, written one after another into the port's slots.
    #[must_use]
    pub const fn sends_series(self) -> bool {
        matches!(self, Self::Tx | Self::Txseq)
    }

    /// Whether its frames are numbered.
    #[must_use]
    pub const fn is_sequenced(self) -> bool {
        matches!(self, Self::Txseq | Self::Rxseq)
    }

    /// Its name after `-f`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rx => "rx",
            Self::Tx => "tx",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Txseq => "txseq",
            Self::Rxseq => "rxseq",
        }
    }

    /// Whether it runs in one thread only: numbers are those of one sender, whose frames may come by any queue.
    #[must_use]
    pub const fn is_single(self) -> bool {
        !matches!(self, Self::Rx | Self::Tx)
    }
}

impl FromStr for Function {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "tx" => Ok(Self::Tx),
            "rx" => Ok(Self::Rx),
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            "txseq" => Ok(Self::Txseq),
            "rxseq" => Ok(Self::Rxseq),
            _ => Err(Error::UnknownFunction(name.to_owned())),
        }
    }
}
