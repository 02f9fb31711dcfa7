//! Sending a capture.

use std::path::PathBuf;

use clap::Args;

use super::unheeded;
use crate::config::{Replay, Speed};

/// Flags of ours that say how frames are to be made; others are [told of](super::frames::FrameArgs::given) instead.
const FRAMES: [&str; 3] = ["vlans", "payload", "stamp"];

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "A capture to send")]
pub(super) struct ReplayArgs {
    /// Send the frames of this pcap or pcapng file, all of them, instead of made ones: as fast as they go, or at -R
    #[arg(short = 'P', value_name = "FILE", conflicts_with_all = FRAMES)]
    pub(super) file: Option<PathBuf>,
    /// With -P: send them at the times they were captured (original), or so many times as fast
    #[arg(long, value_name = "original|FACTOR", requires = "file", conflicts_with_all = ["pps", "rate"])]
    timing: Option<Speed>,
    /// With -P: times to send the file; 0 for no end [default: 1, or with -n as often as it takes]
    #[arg(long = "loop", value_name = "TIMES", requires = "file")]
    loops: Option<u64>,
}

impl ReplayArgs {
    /// A line for flags that say how frames are to be made, where those of a file are sent.
    pub(super) fn note(&self, flags: &[&str]) -> Option<String> {
        self.file.as_ref()?;
        unheeded::note(flags, "-P", "frames are as they are in the file")
    }

    /// What is to be replayed, if anything, where so many frames are to be sent (zero: it does not matter).
    pub(super) fn into_replay(self, count: u64) -> Option<Replay> {
        let file = self.file?;
        // As it is if there is no directory to start from; opening it will say what is wrong.
        let file = std::path::absolute(&file).unwrap_or(file);
        let loops = self.loops.unwrap_or(if count > 0 { 0 } else { 1 });
        Some(Replay { file, timing: self.timing, loops })
    }
}
