//! The command line: netmap's flags, or a verb.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Parser, Subcommand};

use super::help;

/// Attaches, detaches and lists the ports of VALE-style switches
#[derive(Debug, Parser)]
#[command(
    name = "vale-ctl",
    version,
    after_help = help::MORE,
    max_term_width = 110,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    group = ArgGroup::new("action").args(["attach", "detach", "attach_host", "list", "create", "remove", "info", "poll", "unpoll"])
)]
pub struct Args {
    /// Attach a port to its switch
    #[arg(short = 'a', value_name = "valeX:PORT")]
    pub(super) attach: Option<String>,
    /// Detach a port
    #[arg(short = 'd', value_name = "valeX:PORT")]
    pub(super) detach: Option<String>,
    /// Attach an interface and the host stack, which keeps its address on it
    #[arg(short = 'h', value_name = "valeX:IF")]
    pub(super) attach_host: Option<String>,
    /// Show the numbers of one port
    #[arg(short = 'l', value_name = "valeX:PORT")]
    pub(super) list: Option<String>,
    /// Make a persistent port: a TAP that stays when it is detached
    #[arg(short = 'n', value_name = "NAME")]
    pub(super) create: Option<String>,
    /// Remove a persistent port
    #[arg(short = 'r', value_name = "NAME")]
    pub(super) remove: Option<String>,
    /// Show the memory and rings of a port; with -v, what is behind it
    #[arg(short = 'g', value_name = "PORT")]
    pub(super) info: Option<String>,
    /// More messages
    #[arg(short = 'v', action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Of netmap, and not available
    #[arg(short = 'p', hide = true)]
    pub(super) poll: Option<String>,
    #[arg(short = 'P', hide = true)]
    pub(super) unpoll: Option<String>,
    #[arg(short = 'C', hide = true)]
    pub(super) config: Option<String>,
    #[arg(short = 'm', hide = true)]
    pub(super) memory: Option<String>,
    /// Control socket of the daemon [default: $VALE_SOCKET, or the user's own]
    #[arg(long, value_name = "PATH", global = true)]
    pub(super) socket: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print help
    #[arg(long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

/// The same in words.
#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
pub(super) enum Verb {
    /// Attach a port to its switch
    #[command(after_help = help::ATTACHED)]
    Attach {
        /// For example vale0:eth0 or vale0:tap7@tap
        #[arg(value_name = "valeX:PORT[@BACKEND]")]
        port: String,
        /// The host stack joins too, and keeps its address on the interface
        #[arg(long)]
        host: bool,
    },
    /// Detach a port
    Detach {
        #[arg(value_name = "valeX:PORT")]
        port: String,
    },
    /// List the ports
    #[command(after_help = help::PORTS)]
    List,
    /// Show frames, bytes, and drops by reason
    #[command(after_help = help::STATS)]
    Stats {
        /// A switch (vale0) or a port (vale0:eth0); everything without it
        #[arg(value_name = "SWITCH|PORT")]
        of: Option<String>,
    },
    /// Show the MAC table
    #[command(after_help = help::FDB)]
    Fdb {
        /// All switches without it
        switch: Option<String>,
    },
    /// Show ports with what is behind them, persistent ones included
    #[command(after_help = help::PORTS)]
    Ports,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Args, String> {
        Args::try_parse_from(line.split(' ')).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_and_verbs_coexist() {
        Args::command().debug_assert();
        assert_eq!(parse("vale-ctl -h vale0:eth0").unwrap().attach_host.as_deref(), Some("vale0:eth0"));
        assert!(parse("vale-ctl").unwrap().verb.is_none());
        let stats = parse("vale-ctl stats vale0 --json --socket /x").unwrap();
        assert!(stats.json && stats.socket.is_some());
        assert!(matches!(stats.verb, Some(Verb::Stats { of: Some(_) })));
        assert!(parse("vale-ctl -v -a vale0:x").unwrap().verbose == 1);
    }

    #[test]
    fn help_is_dash_dash_help() {
        for line in ["vale-ctl --help", "vale-ctl attach --help"] {
            assert!(parse(line).unwrap_err().contains("Usage: vale-ctl"), "{line}");
        }
        assert!(parse("vale-ctl -h").unwrap_err().contains("a value is required"));
        assert!(parse("vale-ctl --help").unwrap_err().contains("veth1@packet"));
    }

    #[test]
    fn one_action_at_a_time() {
        assert!(parse("vale-ctl -a vale0:x -d vale0:x").is_err());
        assert!(parse("vale-ctl -a vale0:x list").is_err());
        assert!(parse("vale-ctl stray").is_err());
    }
}
