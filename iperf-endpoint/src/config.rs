//! What an endpoint is told to do. It crosses the control socket, so it is checked where it arrives.

use ports::Mac;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

/// The port of iperf3.
pub const PORT: u16 = 5201;
/// The IP MTU of an endpoint that is not told otherwise: Ethernet's.
pub const MTU: u16 = 1500;

/// An IPv4 address with its prefix length, `10.0.0.2/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
}

/// The text is not an address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IPv4 address with prefix length (try: 10.0.0.2/24)")]
pub struct BadCidr(String);

impl Cidr {
    /// Whether `other` is on the same network.
    #[must_use]
    pub fn contains(self, other: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        self.address.to_bits() & mask == other.to_bits() & mask
    }

    /// Whether `other` is the network's own address or its broadcast address. Networks of two stations or one have
    /// neither (RFC 3021).
    fn is_everybody(self, other: Ipv4Addr) -> bool {
        let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let bits = other.to_bits() & host;
        self.prefix < 31 && self.contains(other) && (bits == 0 || bits == host)
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;
    fn from_str(s: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(s.to_owned());
        let (address, prefix) = s.split_once('/').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|&p: &u8| digits && p <= 32).ok_or_else(bad)?;
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An endpoint: an address on a network, and what to do there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Our address (`--ip`).
    pub address: Cidr,
    /// Where packets for other networks go (`--gateway`).
    pub gateway: Option<Ipv4Addr>,
    /// Our station address (`--mac`); the host of the endpoint chooses one if it is `None`.
    pub mac: Option<Mac>,
    /// IP MTU (`--mtu`), 576..=65535: the longest packet that is no super-frame, if the port takes as much.
    pub mtu: u16,
    /// Server or client.
    pub mode: Mode,
}

/// Server or client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Waits for tests (`-s`).
    Server(ServerConfig),
    /// Runs one test (`-c`).
    Client(ClientConfig),
}

/// A server's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerConfig {
    /// TCP port to listen on (`-p`).
    pub port: u16,
    /// Serve one test, then end (`-1`).
    pub one_off: bool,
    /// Time between interval reports (`-i`); zero for none.
    pub interval: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { port: PORT, one_off: false, interval: Duration::from_secs(1) }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The client.
    Forward,
    /// The server (`-R`).
    Reverse,
    /// Both at once, each on connections of its own (`--bidir`).
    Both,
}

/// When a test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// After this time (`-t`), whole seconds; zero means when somebody stops it.
    Time(Duration),
    /// After this many bytes in either direction (`-n`), all streams together.
    Bytes(u64),
    /// After this many blocks of [`ClientConfig::length`] (`-k`).
    Blocks(u64),
}

/// A client's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientConfig {
    /// The server as the user named it, for the report.
    pub host: String,
    /// The server's address.
    pub server: Ipv4Addr,
    /// The server's TCP port (`-p`).
    pub port: u16,
    /// Who sends.
    pub direction: Direction,
    /// When the test ends.
    pub until: Until,
    /// Time before the test that does not count (`-O`), whole seconds.
    pub omit: Duration,
    /// Streams of each direction (`-P`).
    pub parallel: u16,
    /// Time between interval reports (`-i`); zero for none.
    pub interval: Duration,
    /// Bits per second of each stream (`-b`); zero is unlimited.
    pub bitrate: u64,
    /// Blocks sent back to back (`-b RATE/BURST`); zero paces every send from the clock.
    pub burst: u32,
    /// Bytes of a block (`-l`).
    pub length: usize,
    /// Socket buffers, bytes (`-w`).
    pub window: Option<usize>,
    /// Largest segment to send, payload bytes (`-M`).
    pub mss: Option<u16>,
    /// Send small segments at once (`-N`).
    pub no_delay: bool,
    /// How long to wait for the server to accept the connection (`--connect-timeout`).
    pub connect_timeout: Duration,
}

impl ClientConfig {
    /// A ten-second test of one stream towards `server`, as `iperf3 -c` runs it.
    #[must_use]
    pub fn new(server: Ipv4Addr) -> Self {
        Self {
            host: server.to_string(),
            server,
            port: PORT,
            direction: Direction::Forward,
            until: Until::Time(Duration::from_secs(10)),
            omit: Duration::ZERO,
            parallel: 1,
            interval: Duration::from_secs(1),
            bitrate: 0,
            burst: 0,
            length: 128 << 10,
            window: None,
            mss: None,
            no_delay: false,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// The ranges of the numbers, both ends included.
#[derive(Debug)]
pub struct Bounds;

impl Bounds {
    /// `-t`, seconds.
    pub const TIME_S: (u64, u64) = (0, 86_400);
    /// `-O`, seconds.
    pub const OMIT_S: (u64, u64) = (0, 600);
    /// `-P`
    pub const PARALLEL: (u64, u64) = (1, 128);
    /// `-l`, bytes.
    pub const LENGTH: (u64, u64) = (1, 1 << 20);
    /// `-w`, bytes: at most.
    pub const WINDOW: u64 = 512 << 20;
    /// `-M`, bytes. Below 88 a segment would not hold the longest TCP options.
    pub const MSS: (u64, u64) = (88, 32_767);
    /// `-b RATE/BURST`, blocks.
    pub const BURST: (u64, u64) = (0, 1000);
    /// `-i`, milliseconds, if not zero.
    pub const INTERVAL_MS: (u64, u64) = (100, 60_000);
    /// `--connect-timeout`, milliseconds.
    pub const CONNECT_MS: (u64, u64) = (1, 600_000);
}

/// A number that is out of range, or an address that cannot be ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {what}")]
pub struct Invalid {
    /// The flag, as the user writes it.
    pub flag: &'static str,
    /// What is wrong, with the range.
    pub what: String,
}

fn within(flag: &'static str, value: u128, (low, high): (u64, u64), unit: &str) -> Result<(), Invalid> {
    if (u128::from(low)..=u128::from(high)).contains(&value) {
        return Ok(());
    }
    Err(Invalid { flag, what: format!("{value} is out of range (try: {low} to {high}{unit})") })
}

impl Config {
    /// Checks every number and address.
    ///
    /// # Errors
    /// The first one that is wrong, by its flag and with its range.
    pub fn validate(&self) -> Result<(), Invalid> {
        let invalid = |flag, what: String| Err(Invalid { flag, what });
        let Cidr { address, prefix } = self.address;
        within("--ip", prefix.into(), (1, 32), " bits of prefix")?;
        if address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback()
            || self.address.is_everybody(address)
        {
            return invalid("--ip", format!("{address} is no address of a station (try: 10.0.0.2/24)"));
        }
        if let Some(mac) = self.mac.filter(|m| !m.is_unicast()) {
            return invalid("--mac", format!("{mac} is no address of a station (try: 02:00:00:00:00:01)"));
        }
        if let Some(gateway) = self.gateway.filter(|&g| !self.address.contains(g)) {
            return invalid("--gateway", format!("{gateway} is not on {}", self.address));
        }
        let peer = match &self.mode {
            Mode::Server(_) => None,
            Mode::Client(client) => Some(("-c", client.server)),
        };
        for (flag, address) in self.gateway.map(|g| ("--gateway", g)).into_iter().chain(peer) {
            if self.address.is_everybody(address) {
                return invalid(flag, format!("{address} is no station of {}", self.address));
            }
        }
        match &self.mode {
            Mode::Server(server) => server.validate(),
            Mode::Client(client) => {
                client.validate()?;
                if client.server == address {
                    return invalid("-c", format!("{address} is our own address (see --ip)"));
                }
                if self.gateway.is_none() && !self.address.contains(client.server) {
                    return invalid(
                        "-c",
                        format!("{} is not on {} (try: --gateway)", client.server, self.address),
                    );
                }
                Ok(())
            }
        }
    }
}

fn interval_within(interval: Duration) -> Result<(), Invalid> {
    if interval.is_zero() {
        return Ok(());
    }
    within("-i", interval.as_millis(), Bounds::INTERVAL_MS, " milliseconds, or 0 for none")
}

impl ServerConfig {
    fn validate(&self) -> Result<(), Invalid> {
        within("-p", self.port.into(), (1, 65_535), "")?;
        interval_within(self.interval)
    }
}

impl ClientConfig {
    fn validate(&self) -> Result<(), Invalid> {
        within("-p", self.port.into(), (1, 65_535), "")?;
        match self.until {
            Until::Time(t) => within("-t", t.as_secs().into(), Bounds::TIME_S, " seconds")?,
            Until::Bytes(n) => within("-n", n.into(), (1, i64::MAX as u64), " bytes")?,
            Until::Blocks(n) => within("-k", n.into(), (1, i64::MAX as u64), " blocks")?,
        }
        within("-O", self.omit.as_secs().into(), Bounds::OMIT_S, " seconds")?;
        within("-P", self.parallel.into(), Bounds::PARALLEL, " streams")?;
        within("-l", self.length as u128, Bounds::LENGTH, " bytes")?;
        within("-w", self.window.unwrap_or(1) as u128, (1, Bounds::WINDOW), " bytes")?;
        within("-M", self.mss.unwrap_or(1460).into(), Bounds::MSS, " bytes")?;
        within("-b", self.bitrate.into(), (0, i64::MAX as u64), " bits per second")?;
        within("-b", self.burst.into(), Bounds::BURST, " blocks of burst")?;
        within("--connect-timeout", self.connect_timeout.as_millis(), Bounds::CONNECT_MS, " milliseconds")?;
        interval_within(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> (Config, ClientConfig) {
        let client = ClientConfig::new(Ipv4Addr::new(10, 0, 0, 1));
        let address = "10.0.0.2/24".parse().unwrap();
        (Config { address, gateway: None, mac: None, mtu: MTU, mode: Mode::Client(client.clone()) }, client)
    }

    #[test]
    fn cidr_text() {
        assert_eq!("10.0.0.2/24".parse::<Cidr>().unwrap().to_string(), "10.0.0.2/24");
        for bad in ["10.0.0.2", "10.0.0.2/33", "10.0.0.2/", "10.0.0.2/+8", "x/8", "10.0.0/8", "::1/64"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        let net: Cidr = "10.0.0.2/24".parse().unwrap();
        assert!(net.contains(Ipv4Addr::new(10, 0, 0, 77)));
        assert!(!net.contains(Ipv4Addr::new(10, 0, 1, 2)));
        assert!("10.0.0.2/0".parse::<Cidr>().unwrap().contains(Ipv4Addr::new(1, 2, 3, 4)));
    }

    #[test]
    fn an_address_of_everybody_is_nobodys() {
        let (config, _) = client();
        for (text, ok) in [
            ("10.0.0.255/24", false),
            ("10.0.0.0/24", false),
            ("10.0.0.3/30", false),
            ("10.0.0.2/30", true),
            ("10.0.0.0/31", true),
            ("10.0.0.255/32", true),
            ("10.0.0.255/16", true),
        ] {
            let mode = Mode::Server(ServerConfig::default());
            let config = Config { address: text.parse().unwrap(), mode, ..config.clone() };
            assert_eq!(config.validate().is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn the_defaults_are_valid_and_cross_the_socket() {
        let (config, _) = client();
        assert_eq!(config.validate(), Ok(()));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        let server = Config { mode: Mode::Server(ServerConfig::default()), ..config };
        assert_eq!(server.validate(), Ok(()));
    }

    #[test]
    fn each_range_is_checked_by_its_flag() {
        let (config, c) = client();
        let ms = Duration::from_millis;
        for (flag, bad) in [
            ("-p", ClientConfig { port: 0, ..c.clone() }),
            ("-t", ClientConfig { until: Until::Time(Duration::from_secs(86_401)), ..c.clone() }),
            ("-n", ClientConfig { until: Until::Bytes(0), ..c.clone() }),
            ("-k", ClientConfig { until: Until::Blocks(0), ..c.clone() }),
            ("-O", ClientConfig { omit: Duration::from_secs(601), ..c.clone() }),
            ("-P", ClientConfig { parallel: 129, ..c.clone() }),
            ("-P", ClientConfig { parallel: 0, ..c.clone() }),
            ("-l", ClientConfig { length: 0, ..c.clone() }),
            ("-l", ClientConfig { length: (1 << 20) + 1, ..c.clone() }),
            ("-w", ClientConfig { window: Some((512 << 20) + 1), ..c.clone() }),
            ("-M", ClientConfig { mss: Some(40), ..c.clone() }),
            ("-b", ClientConfig { burst: 1001, ..c.clone() }),
            ("-i", ClientConfig { interval: ms(99), ..c.clone() }),
            ("-i", ClientConfig { interval: ms(60_001), ..c.clone() }),
            ("-c", ClientConfig { server: Ipv4Addr::new(10, 0, 0, 2), ..c.clone() }),
            ("-c", ClientConfig { server: Ipv4Addr::new(10, 9, 0, 1), ..c.clone() }),
            ("--connect-timeout", ClientConfig { connect_timeout: ms(0), ..c.clone() }),
        ] {
            let config = Config { mode: Mode::Client(bad), ..config.clone() };
            assert_eq!(config.validate().map_err(|e| e.flag), Err(flag), "{config:?}");
        }
    }

    #[test]
    fn addresses_that_no_station_has_are_refused() {
        let (config, _) = client();
        for ip in ["0.0.0.0/8", "127.0.0.1/8", "224.0.0.1/24", "255.255.255.255/24", "10.0.0.2/0"] {
            let bad = Config { address: ip.parse().unwrap(), ..config.clone() };
            assert_eq!(bad.validate().map_err(|e| e.flag), Err("--ip"), "{ip}");
        }
        let bad = Config { mac: Some(Mac::BROADCAST), ..config.clone() };
        assert_eq!(bad.validate().map_err(|e| e.flag), Err("--mac"));
        let bad = Config { gateway: Some(Ipv4Addr::new(10, 0, 1, 1)), ..config };
        assert_eq!(bad.validate().map_err(|e| e.flag), Err("--gateway"));
    }
}
