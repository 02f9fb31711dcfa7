//! What to generate or receive, how fast, and for how long.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ports::{Capabilities, Mac};
use serde::{Deserialize, Serialize};

use crate::AddressRange;
use crate::packet::Template;

/// What the generator does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Receives and counts.
    #[default]
    Rx,
    /// Sends.
    Tx,
}

/// Everything about one run. Crosses the control socket when the generator is hosted in the dataplane, so
/// [`check`](Self::check) is for whoever receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the port, for messages (`-i`).
    pub port: String,
    /// What to do (`-f`).
    pub function: Function,
    /// Bytes of a frame without FCS (`-l`), in [`Self::FRAME_LEN`].
    pub frame_len: u32,
    /// Frames to send or receive (`-n`); zero for no end.
    pub count: u64,
    /// Most frames in one go (`-b`), in [`Self::BURST`].
    pub burst: u32,
    /// Frames a second (`-R`); zero for as many as there is room for.
    pub rate_pps: u32,
    /// Source station (`-S`); the interface's own if not given.
    pub src_mac: Option<Mac>,
    /// Destination station (`-D`).
    pub dst_mac: Mac,
    /// Source addresses and UDP ports (`-s`).
    pub src: AddressRange,
    /// Destination addresses and UDP ports (`-d`).
    pub dst: AddressRange,
    /// CPUs of the report's first line (`-c`). One thread serves a port for now, whatever this says.
    pub cpus: u32,
    /// CPU that the generator is to run on (`-a`); any if not given.
    pub pin: Option<u32>,
    /// Milliseconds from report to report (`-T`), in [`Self::INTERVAL_MS`].
    pub interval_ms: u32,
    /// Seconds to wait before sending (`-w`), in [`Self::WAIT_S`]. A receiver need not wait: it begins with the
    /// first frame anyway.
    pub wait_s: u32,
    /// A receiver ends when nothing has come for a second after the first frame (`-W`).
    pub until_idle: bool,
    /// Reports in K, M, G and T (`-N` turns it off).
    pub normalize: bool,
    /// More messages (`-v`).
    pub verbose: u8,
}

impl Default for Config {
    /// netmap's defaults: receive, 60 bytes, bursts of 512, 10.0.0.1 to 10.1.0.1, broadcast, a report a second.
    fn default() -> Self {
        Self {
            port: String::new(),
            function: Function::Rx,
            frame_len: 60,
            count: 0,
            burst: 512,
            rate_pps: 0,
            src_mac: None,
            dst_mac: Mac::BROADCAST,
            src: AddressRange::single(Ipv4Addr::new(10, 0, 0, 1)),
            dst: AddressRange::single(Ipv4Addr::new(10, 1, 0, 1)),
            cpus: 1,
            pin: None,
            interval_ms: 1000,
            wait_s: 0,
            until_idle: false,
            normalize: true,
            verbose: 0,
        }
    }
}

impl Config {
    /// Bytes of a frame, as netmap has it; a sender's frame also has to hold its headers.
    pub const FRAME_LEN: RangeInclusive<u32> = 16..=65_536;
    /// Frames in one go.
    pub const BURST: RangeInclusive<u32> = 1..=65_536;
    /// Milliseconds from report to report.
    pub const INTERVAL_MS: RangeInclusive<u32> = 10..=3_600_000;
    /// Seconds to wait before sending.
    pub const WAIT_S: RangeInclusive<u32> = 0..=3600;

    /// netmap's defaults on this port.
    #[must_use]
    pub fn new(port: &str, function: Function) -> Self {
        Self { port: port.to_owned(), function, ..Self::default() }
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first that is out of it, by its flag.
    pub fn check(&self) -> Result<(), Error> {
        let headers = u32::try_from(Template::MIN).unwrap_or(u32::MAX);
        if self.function == Function::Tx
            && Self::FRAME_LEN.contains(&self.frame_len)
            && self.frame_len < headers
        {
            return Err(Error::Short { frame_len: self.frame_len, headers });
        }
        for (flag, value, range) in [
            ("-l", self.frame_len, Self::FRAME_LEN),
            ("-b", self.burst, Self::BURST),
            ("-T", self.interval_ms, Self::INTERVAL_MS),
            ("-w", self.wait_s, Self::WAIT_S),
        ] {
            if !range.contains(&value) {
                return Err(Error::Range {
                    flag,
                    value: value.into(),
                    least: *range.start(),
                    most: *range.end(),
                });
            }
        }
        Ok(())
    }

    /// Checks that the port takes the frames to be sent.
    ///
    /// # Errors
    /// [`Error::Long`] if they exceed its MTU.
    pub fn check_port(&self, port: Capabilities) -> Result<(), Error> {
        if self.function == Function::Tx && self.frame_len > port.frame {
            let mtu = port.frame.saturating_sub(14);
            return Err(Error::Long {
                port: self.port.clone(),
                frame_len: self.frame_len,
                most: port.frame,
                mtu,
            });
        }
        Ok(())
    }
}

/// The generator cannot do what was asked. A program that says so exits with status 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A flag of netmap's pkt-gen that this one does not have yet.
    #[error("{0}: not available yet (pkt-gen -h lists what is)")]
    Unavailable(String),
    /// A number is out of range.
    #[error("{flag} {value}: out of range ({least} to {most})")]
    Range {
        /// The flag, as on the command line.
        flag: &'static str,
        /// What was asked.
        value: i64,
        /// Least value allowed.
        least: u32,
        /// Greatest value allowed.
        most: u32,
    },
    /// A frame to send has no room for its headers.
    #[error("-l {frame_len}: too short to send: Ethernet, IPv4 and UDP headers take {headers} bytes")]
    Short {
        /// What was asked, bytes.
        frame_len: u32,
        /// Bytes of the headers.
        headers: u32,
    },
    /// A frame to send is longer than the port takes.
    #[error("{port}: -l {frame_len}: the port takes frames of up to {most} bytes (MTU {mtu})")]
    Long {
        /// The port.
        port: String,
        /// What was asked, bytes.
        frame_len: u32,
        /// What the port takes, bytes.
        most: u32,
        /// IP MTU of the port, bytes.
        mtu: u32,
    },
    /// `-a` names a CPU that is not there.
    #[error("-a {value}: no such CPU (this machine has 0 to {})", have.saturating_sub(1))]
    NoCpu {
        /// What was asked.
        value: u32,
        /// CPUs of the machine.
        have: u32,
    },
    /// `-c` asks for more CPUs than there are.
    #[error("-c {value}: more CPUs than this machine has (0 to {have})")]
    TooManyCpus {
        /// What was asked.
        value: u32,
        /// CPUs of the machine.
        have: u32,
    },
    /// `-f` names no function.
    #[error("-f {0}: no such function (tx, rx)")]
    UnknownFunction(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips_and_what_is_missing_is_netmaps_default() {
        let config = Config {
            src: "10.0.0.1:5-10.0.0.2:6".parse().unwrap(),
            src_mac: Some(Mac::local("a")),
            pin: Some(1),
            ..Config::new("vale0:1", Function::Tx)
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        let short = r#"{"port": "vale0:1", "function": "tx"}"#;
        assert_eq!(serde_json::from_str::<Config>(short).unwrap(), Config::new("vale0:1", Function::Tx));
        for bad in [r#"{"prot": ""}"#, r#"{"frame_len": -1}"#, r#"{"src": "x"}"#, r#"{"function": "ping"}"#] {
            assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_range() {
        type Edit = fn(&mut Config);
        let edits: [(Edit, &str); 6] = [
            (|c| c.frame_len = 15, "-l 15: out of range (16 to 65536)"),
            (|c| c.frame_len = 65_537, "-l 65537: out of range (16 to 65536)"),
            (|c| c.frame_len = 41, "headers take 42 bytes"),
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
        let small = Config { frame_len: 16, ..Config::default() };
        assert_eq!(small.check(), Ok(()), "a receiver does not mind");
    }

    #[test]
    fn frames_over_the_mtu_are_refused() {
        let mut config = Config::new("vale0:1", Function::Tx);
        config.frame_len = 1514;
        assert_eq!(config.check_port(Capabilities::wire(1500)), Ok(()));
        config.frame_len = 1515;
        let error = config.check_port(Capabilities::all(1500)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vale0:1: -l 1515: the port takes frames of up to 1514 bytes (MTU 1500)"
        );
    }
}
