//! What is searched, and how exactly.

use std::borrow::Cow;
use std::time::Duration;

use clap::Args;

use super::conf;
use crate::search::Terms;
use crate::{Error, Size};

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Search, with -f throughput and -f back-to-back")]
pub(super) struct SearchArgs {
    /// Port at which the frames arrive [default: the one they are sent by, for a device that returns them]
    #[arg(long, value_name = "PORT")]
    pub(super) to: Option<String>,
    /// Seconds that a trial sends [default: 2; RFC 2544 wants 60]
    #[arg(long, value_name = "SECS", allow_negative_numbers = true)]
    trial: Option<f64>,
    /// Percent of the frames that may be lost [default: 0]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    loss: Option<f64>,
    /// Percent of the sender's full speed that the result may be off [default: 1]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    resolution: Option<f64>,
}

impl SearchArgs {
    /// Refuses what is given where there is no search.
    pub(super) fn refuse(&self) -> Result<(), Error> {
        let given = [
            ("--to", self.to.is_some()),
            ("--trial", self.trial.is_some()),
            ("--loss", self.loss.is_some()),
            ("--resolution", self.resolution.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(flag, _)| Err(Error::NoSearch(flag)))
    }

    /// Where the frames that `from` sends arrive, if elsewhere.
    pub(super) fn to(&self, from: &str) -> Result<Option<String>, Error> {
        match self.to.as_deref().map(conf::plain) {
            Some(to) if to == from => Err(Error::SamePort(to.into_owned())),
            to => Ok(to.map(Cow::into_owned)),
        }
    }

    /// How long a trial sends.
    pub(super) fn trial(&self) -> Result<Duration, Error> {
        within("--trial", self.trial.unwrap_or(2.0), 0.01, 3600.0).map(Duration::from_secs_f64)
    }

    pub(super) fn terms(&self) -> Result<Terms, Error> {
        Ok(Terms {
            loss: within("--loss", self.loss.unwrap_or(0.0), 0.0, 100.0)? / 100.0,
            resolution: within("--resolution", self.resolution.unwrap_or(1.0), 0.001, 50.0)? / 100.0,
        })
    }
}

/// The size of a search that is of one size only.
pub(super) const fn one(size: Size) -> Result<u32, Error> {
    match size {
        Size::Fixed(len) => Ok(len),
        Size::Random { .. } | Size::Imix => Err(Error::ManySizes),
    }
}

fn within(flag: &'static str, value: f64, least: f64, most: f64) -> Result<f64, Error> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::Fraction { flag, value: value.to_string(), least: least.to_string(), most: most.to_string() })
}
