//! What to generate or receive, how fast, and for how long.

mod error;
mod frames;
mod function;
mod rate;
mod replay;
mod threads;

use std::ops::RangeInclusive;

use ports::Capabilities;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use frames::Frames;
pub use function::Function;
pub use rate::{BadRate, Rate};
pub use replay::{BadSpeed, Replay, Speed};
pub use threads::Threads;

use crate::Size;

/// Everything about one run. Crosses the control socket when the generator is hosted in the dataplane, so
/// [`check`](Self::check) is for whoever receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the port, for messages (`-i`).
    pub port: String,
    /// What to do (`-f`).
    pub function: Function,
    /// What the frames look like.
    pub frames: Frames,
    /// A capture to send instead, where the function is to send.
    pub replay: Option<Replay>,
    /// Frames to send or receive (`-n`); zero for no end.
    pub count: u64,
    /// Most frames in one go (`-b`), in [`Self::BURST`].
    pub burst: u32,
    /// How fast to send (`-R`, `--rate`).
    pub rate: Rate,
    /// CPUs of the report's first line (`-c`).
    pub cpus: u32,
    /// Threads, and where they run (`-p`, `-a`). A [`Generator`](crate::Generator) is one of them.
    pub threads: Threads,
    /// Milliseconds from report to report (`-T`), in [`Self::INTERVAL_MS`].
    pub interval_ms: u32,
    /// Seconds to wait before sending (`-w`), in [`Self::WAIT_S`]. A receiver need not wait: it begins with the
    /// first frame anyway.
    pub wait_s: u32,
    /// Milliseconds until a ping counts as lost, in [`Self::TIMEOUT_MS`].
    pub timeout_ms: u32,
    /// A sender numbers and stamps its frames, a receiver reports one-way latency by the stamps.
    pub stamp: bool,
    /// A receiver ends when nothing has come for a second after the first frame (`-W`).
    pub until_idle: bool,
    /// Shows frames in hexadecimal (`-X`): up to [`Self::DUMPS`] a second.
    pub dump: bool,
}

impl Default for Config {
    /// netmap's defaults: receive, bursts of 512, a report a second.
    fn default() -> Self {
        Self {
            port: String::new(),
            function: Function::Rx,
            frames: Frames::default(),
            replay: None,
            count: 0,
            burst: 512,
            rate: Rate::UNLIMITED,
            cpus: 1,
            threads: Threads::default(),
            interval_ms: 1000,
            wait_s: 0,
            timeout_ms: 1000,
            stamp: false,
            until_idle: false,
            dump: false,
        }
    }
}

impl Config {
    /// Frames in one go.
    pub const BURST: RangeInclusive<u32> = 1..=65_536;
    /// Milliseconds from report to report.
    pub const INTERVAL_MS: RangeInclusive<u32> = 10..=3_600_000;
    /// Frames that are shown in a second at the most (`-X`), of each thread.
    pub const DUMPS: u32 = 8192;
    /// Seconds to wait before sending.
    pub const WAIT_S: RangeInclusive<u32> = 0..=3600;

    /// Milliseconds until a ping counts as lost.
    pub const TIMEOUT_MS: RangeInclusive<u32> = 1..=60_000;

    /// netmap's defaults on this port.
    #[must_use]
    pub fn new(port: &str, function: Function) -> Self {
        Self { port: port.to_owned(), function, burst: function.default_burst(), ..Self::default() }
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first that is out of it, by its flag.
    pub fn check(&self) -> Result<(), Error> {
        if self.replay.is_some() && self.function != Function::Tx {
            return Err(Error::ReplaysNothing);
        }
        self.frames.check(self.makes_frames(), self.function.is_sequenced())?;
        self.threads.check()?;
        self.check_stamp()?;
        within("--timeout", self.timeout_ms, &Self::TIMEOUT_MS)?;
        within("-b", self.burst, &Self::BURST)?;
        within("-T", self.interval_ms, &Self::INTERVAL_MS)?;
        within("-w", self.wait_s, &Self::WAIT_S)
    }

    /// Makes frames of a default size as long as what they hold, if that is longer.
    pub(crate) fn stretch(&mut self) {
        if let (true, Size::Fixed(len)) = (self.makes_frames(), self.frames.size) {
            let stamped = self.function == Function::Ping || self.stamp;
            let least = self.frames.least(self.function.is_sequenced(), stamped);
            self.frames.size = Size::Fixed(len.max(least));
        }
    }

    /// Checks that what is to be stamped has room for it.
    fn check_stamp(&self) -> Result<(), Error> {
        match self.function {
            Function::Ping => self.frames.check_one_size().and_then(|()| self.frames.check_stamp()),
            Function::Tx if self.stamp => self.frames.check_stamp(),
            Function::Pong | Function::Txseq | Function::Rxseq if self.stamp => {
                Err(Error::NoLatency("--stamp", "-f tx and -f rx"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it makes frames, as `frames` says.
    pub(crate) const fn makes_frames(&self) -> bool {
        self.function.sends() && self.replay.is_none()
    }

    /// Whether it sends what stands in the slots, whose addresses nobody knows.
    pub(crate) const fn sends_rubbish(&self) -> bool {
        self.frames.rubbish && self.function.sends_series() && self.replay.is_none()
    }

    /// Checks that the port takes the frames to be made.
    ///
    /// # Errors
    /// [`Error::Long`] if they exceed its MTU.
    pub fn check_port(&self, port: Capabilities) -> Result<(), Error> {
        if self.makes_frames() { self.frames.check_port(&self.port, port) } else { Ok(()) }
    }
}

/// Checks a number of one flag.
fn within(flag: &'static str, value: u32, range: &RangeInclusive<u32>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Range { flag, value: value.into(), least: *range.start(), most: *range.end() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Mac;

    #[test]
    fn json_round_trips_and_what_is_missing_is_netmaps_default() {
        let config = Config {
            frames: Frames {
                src: "10.0.0.1:5-10.0.0.2:6".parse().unwrap(),
                src_mac: Some(Mac::local("a")),
                ..Frames::default()
            },
            threads: Threads { count: 2, pins: vec![1, 0] },
            ..Config::new("vale0:1", Function::Tx)
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        let short = r#"{"port": "vale0:1", "function": "tx"}"#;
        assert_eq!(serde_json::from_str::<Config>(short).unwrap(), Config::new("vale0:1", Function::Tx));
        for bad in [
            r#"{"prot": ""}"#,
            r#"{"frames": {"size": {"fixed": -1}}}"#,
            r#"{"frames": {"src": "x"}}"#,
            r#"{"function": "pang"}"#,
        ] {
            assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_range() {
        type Edit = fn(&mut Config);
        let edits: [(Edit, &str); 6] = [
            (|c| c.frames.size = Size::Fixed(15), "-l 15: out of range (16 to 65536)"),
            (|c| c.frames.size = Size::Fixed(65_537), "-l 65537: out of range (16 to 65536)"),
            (|c| c.frames.size = Size::Fixed(41), "headers take 42 bytes (try: -l 42)"),
            (|c| c.burst = 0, "-b 0: out of range (1 to 65536)"),
            (|c| c.interval_ms = 9, "-T 9: out of range (10 to 3600000)"),
            (|c| c.wait_s = 3601, "-w 3601: out of range (0 to 3600)"),
        ];
        for (edit, expected) in edits {
            let mut config = Config::new("p", Function::Tx);
            assert_eq!(config.check(), Ok(()));
            edit(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let small = Config { frames: Frames { size: 16.into(), ..Frames::default() }, ..Config::default() };
        assert_eq!(small.check(), Ok(()), "a receiver does not mind");
    }

    #[test]
    fn frames_over_the_mtu_are_refused() {
        let mut config = Config::new("vale0:1", Function::Tx);
        config.frames.size = Size::Fixed(1514);
        assert_eq!(config.check_port(Capabilities::wire(1500)), Ok(()));
        config.frames.size = Size::Fixed(1515);
        let error = config.check_port(Capabilities::all(1500)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vale0:1: -l 1515: the port takes frames of up to 1514 bytes at MTU 1500 (try: -l 1514)"
        );
    }
}
