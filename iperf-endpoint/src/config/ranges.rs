//! What the numbers and addresses of an endpoint may be.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Cidr, ClientConfig, Config, Mode, ServerConfig, Until};

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
    /// `-i`, if not zero.
    pub const INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
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

/// Whether no station on a wire has the address.
fn is_nobody(address: Ipv4Addr) -> bool {
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast()
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
        if is_nobody(address) || self.address.is_everybody(address) {
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
            if is_nobody(address) {
                return invalid(
                    flag,
                    format!("{address} is no address of another station (try: ip addr there)"),
                );
            }
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
    let (low, high) = Bounds::INTERVAL;
    if interval.is_zero() || (low..=high).contains(&interval) {
        return Ok(());
    }
    let [given, low, high] = [interval, low, high].map(|d| d.as_secs_f64());
    let what = format!("{given} is out of range (try: {low} to {high} seconds, or 0 for none)");
    Err(Invalid { flag: "-i", what })
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
    use ports::Mac;

    use super::*;
    use crate::config::MTU;

    fn client() -> (Config, ClientConfig) {
        let client = ClientConfig::new(Ipv4Addr::new(10, 0, 0, 1));
        let address = "10.0.0.2/24".parse().unwrap();
        (Config { address, gateway: None, mac: None, mtu: MTU, mode: Mode::Client(client.clone()) }, client)
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
