//! Flags of netmap's pkt-gen that are not there yet.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::Error;

/// Flags of netmap's pkt-gen that are known here but not available yet, and whether they take a value.
const LATER: [(&str, bool); 1] = [("-p", true)];

/// Notes the first such flag instead of calling it unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Later {
    first: Option<String>,
}

impl Later {
    pub(super) fn refuse(self) -> Result<(), Error> {
        self.first.map_or(Ok(()), |flag| Err(Error::Unavailable(flag)))
    }
}

impl clap::Args for Later {
    fn augment_args(command: Command) -> Command {
        LATER.iter().fold(command, |command, (flag, takes_value)| {
            let action = if *takes_value { ArgAction::Append } else { ArgAction::SetTrue };
            let arg = Arg::new(*flag).short(flag.chars().nth(1)).action(action).hide(true);
            command.arg(arg.allow_hyphen_values(*takes_value))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Later {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |flag: &&str| matches.value_source(flag) == Some(ValueSource::CommandLine);
        let first = LATER.iter().map(|(flag, _)| *flag).find(given);
        Ok(Self { first: first.map(str::to_owned) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
