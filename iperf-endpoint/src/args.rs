//! The program's command line: iperf3's flags, and where the endpoint lives.

use crate::config::{Bounds, Cidr, ClientConfig, Config, Direction, MTU, Mode, PORT, ServerConfig, Until};
use crate::report::{Format, Unit};
use crate::stock::Stock;
use clap::{ArgAction, ArgGroup, Parser};
use ports::Mac;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

// A paragraph is one line here: clap wraps it to the terminal.
const EXAMPLES: &str = "\
Examples:
  iperf-endpoint --on vale0:ep --ip 10.0.0.2/24 -s
        serve any stock iperf3 client, on a port of switch vale0 (several clients at once)
  iperf-endpoint --on eth1 --ip 10.0.0.2/24 -s -1
        the same straight on a network card, without a switch; leave after one test
  iperf-endpoint --on vale0:ep2 --ip 10.0.0.3/24 -c 10.0.0.1 -t 10 -P 4 -R
        let the server at 10.0.0.1 send on four streams for ten seconds
  iperf-endpoint --on vale0:ep2 --ip 10.0.0.3/24 -c 10.0.0.1 -b 100M --bidir -J
        100 Mbit/s each way, reported as JSON

[KMG] stands for a number with an optional suffix: powers of 1024 for bytes, of 1000 for bits per second. \
The address is the endpoint's own: the kernel does not have it. Errors exit with a status that is not 0.";

/// Measures TCP throughput with any stock iperf3, from a TCP stack of its own on a port of a switch or a card.
#[derive(Clone, Debug, Parser)]
#[command(name = "iperf-endpoint", version, disable_version_flag = true, after_help = EXAMPLES, max_term_width = 110)]
#[command(override_usage = "iperf-endpoint --on <PORT> --ip <ADDR/LEN> <-s|-c <HOST>> [OPTIONS]")]
#[command(group(ArgGroup::new("role").args(["server", "client"]).required(true)))]
#[expect(rustdoc::broken_intra_doc_links, reason = "[KMG] is iperf3's notation, for --help")]
pub struct Args {
    /// Where to live: a port of a switch (vale0:ep) or an interface (eth1)
    #[arg(long, value_name = "PORT")]
    pub on: String,
    /// The endpoint's address and the length of its network's prefix
    #[arg(long, value_name = "ADDR/LEN")]
    pub ip: Cidr,
    /// Where to send what is for other networks
    #[arg(long, value_name = "ADDR")]
    pub gateway: Option<Ipv4Addr>,
    /// Station address [default: made from the port's name]
    #[arg(long, value_name = "MAC")]
    pub mac: Option<Mac>,
    /// IP MTU, 576 to 65535, up to what the port takes
    #[arg(long, value_name = "BYTES", default_value_t = MTU, value_parser = clap::value_parser!(u16).range(576..))]
    pub mtu: u16,

    /// Run as server
    #[arg(short = 's', long, help_heading = "Role")]
    pub server: bool,
    /// Run as client of this server
    #[arg(short = 'c', long, value_name = "HOST", help_heading = "Role")]
    pub client: Option<String>,

    /// TCP port to listen on or to connect to
    #[arg(short, long, value_name = "N", default_value_t = PORT)]
    pub port: u16,
    /// Seconds between reports, 0.1 to 60; 0 for none
    #[arg(short, long, value_name = "SECS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// Unit of rates: k m g t for bits per second, K M G T for bytes per second
    #[arg(short, long, value_name = "UNIT", default_value = "a", hide_default_value = true)]
    pub format: Unit,
    /// Report as JSON, one document a test, with iperf3's keys
    #[arg(short = 'J', long)]
    pub json: bool,
    /// Server: leave after one test
    #[arg(short = '1', long, conflicts_with = "client")]
    pub one_off: bool,

    /// Seconds to send; 0 until interrupted [default: 10]
    #[arg(short, long, value_name = "SECS", help_heading = CLIENT, conflicts_with_all = ["server", "bytes", "blockcount"])]
    pub time: Option<u64>,
    /// Bytes to send instead [KMG]
    #[arg(short = 'n', long, value_name = "BYTES", value_parser = bytes, help_heading = CLIENT,
        conflicts_with_all = ["server", "blockcount"])]
    pub bytes: Option<u64>,
    /// Blocks to send instead [KMG]
    #[arg(short = 'k', long, value_name = "BLOCKS", value_parser = bytes, help_heading = CLIENT, conflicts_with = "server")]
    pub blockcount: Option<u64>,
    /// Parallel streams, 1 to 128
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, help_heading = CLIENT, conflicts_with = "server")]
    pub parallel: u16,
    /// Let the server send
    #[arg(short = 'R', long, help_heading = CLIENT, conflicts_with_all = ["server", "bidir"])]
    pub reverse: bool,
    /// Let both send at once
    #[arg(long, help_heading = CLIENT, conflicts_with = "server")]
    pub bidir: bool,
    /// Seconds at the start that do not count, up to 600
    #[arg(short = 'O', long, value_name = "SECS", default_value_t = 0, help_heading = CLIENT, conflicts_with = "server")]
    pub omit: u64,
    /// Bits per second of each stream [KMG], 0 for no limit; with /N, N blocks go back to back
    #[arg(short, long, visible_alias = "bandwidth", value_name = "RATE[/N]", default_value = "0", value_parser = rate,
        help_heading = CLIENT, conflicts_with = "server")]
    pub bitrate: (u64, u32),
    /// Bytes of a block, up to 1M [KMG]
    #[arg(short, long, value_name = "BYTES", default_value = "128K", value_parser = bytes, help_heading = CLIENT,
        conflicts_with = "server")]
    pub length: u64,
    /// Socket buffers on both sides [KMG]
    #[arg(short, long, value_name = "BYTES", value_parser = bytes, help_heading = CLIENT, conflicts_with = "server")]
    pub window: Option<u64>,
    /// Largest segment, bytes of payload
    #[arg(short = 'M', long, value_name = "BYTES", help_heading = CLIENT, conflicts_with = "server")]
    pub set_mss: Option<u16>,
    /// Send small segments at once (no Nagle)
    #[arg(short = 'N', long, help_heading = CLIENT, conflicts_with = "server")]
    pub no_delay: bool,
    /// Milliseconds to wait for the server to answer
    #[arg(long, value_name = "MS", default_value_t = 10_000, help_heading = CLIENT, conflicts_with = "server")]
    pub connect_timeout: u64,

    /// Print version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,

    /// For whoever comes from iperf3.
    #[command(flatten)]
    pub stock: Stock,
}

const CLIENT: &str = "Client";

fn seconds(s: &str) -> Result<Duration, String> {
    s.parse()
        .ok()
        .and_then(|v| Duration::try_from_secs_f64(v).ok())
        .ok_or_else(|| "no number of seconds".into())
}

/// A number with a suffix, by powers of `base`.
fn suffixed(s: &str, base: f64) -> Result<u64, String> {
    let (digits, power) = match s.find(|c: char| c.is_ascii_alphabetic()).map(|at| s.split_at(at)) {
        None => (s, 0),
        Some((digits, suffix)) => {
            let power = ["k", "m", "g", "t"].iter().position(|p| suffix.eq_ignore_ascii_case(p));
            (digits, power.ok_or_else(|| format!("{suffix:?} is no suffix (try: K, M, G or T)"))? + 1)
        }
    };
    let bad = || format!("{s:?} is no number (try: 64K)");
    let value: f64 = digits.parse().map_err(|_| bad())?;
    let value = (0..power).fold(value, |v, _| v * base);
    // Every whole number below 2^53 is itself as a float; beyond 2^63 nothing is in range anyway.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by the line before")]
    let whole = |v: f64| v as u64;
    (value.is_finite() && (0.0..9.2e18).contains(&value)).then(|| whole(value)).ok_or_else(bad)
}

fn bytes(s: &str) -> Result<u64, String> {
    suffixed(s, 1024.0)
}

/// `RATE[/BURST]`
fn rate(s: &str) -> Result<(u64, u32), String> {
    let (rate, burst) = s.split_once('/').unwrap_or((s, "0"));
    let burst = burst.parse().map_err(|_| format!("{burst:?} is no number of blocks (try: 100M/10)"))?;
    Ok((suffixed(rate, 1000.0)?, burst))
}

/// The address of `host`, which is one or has one.
fn resolve(host: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found =
        (host, 0).to_socket_addrs().map_err(|e| format!("-c {host}: {e} (try: an address, as 10.0.0.1)"))?;
    let v4 = |a| if let SocketAddr::V4(a) = a { Some(*a.ip()) } else { None };
    found.into_iter().find_map(v4).ok_or_else(|| format!("-c {host}: has no IPv4 address"))
}

impl Args {
    /// What the report looks like.
    #[must_use]
    pub fn report_format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text(self.format) }
    }

    /// The configuration. Resolves the server's name, which may take a while.
    ///
    /// # Errors
    /// A text for the user, naming the flag and its range.
    pub fn into_config(self) -> Result<Config, String> {
        if let Some(why) = self.stock.refusal() {
            return Err(why.to_owned());
        }
        let mode = match &self.client {
            Some(host) => Mode::Client(self.client_config(host)?),
            None => {
                Mode::Server(ServerConfig { port: self.port, one_off: self.one_off, interval: self.interval })
            }
        };
        let config = Config { address: self.ip, gateway: self.gateway, mac: self.mac, mtu: self.mtu, mode };
        config.validate().map_err(|e| e.to_string())?;
        Ok(config)
    }

    fn client_config(&self, host: &str) -> Result<ClientConfig, String> {
        let time = |s: u64| Until::Time(Duration::from_secs(s));
        let direction = match (self.reverse, self.bidir) {
            (false, false) => Direction::Forward,
            (true, _) => Direction::Reverse,
            (_, true) => Direction::Both,
        };
        let size = |flag, n: u64| usize::try_from(n).map_err(|_| format!("{flag}: {n} is out of range"));
        if self.set_mss.is_some_and(|m| u64::from(m) < Bounds::MSS.0) {
            let (low, high) = Bounds::MSS;
            return Err(format!("-M: out of range (try: {low} to {high} bytes)"));
        }
        Ok(ClientConfig {
            host: host.to_owned(),
            server: resolve(host)?,
            port: self.port,
            direction,
            until: match (self.bytes, self.blockcount) {
                (Some(n), _) => Until::Bytes(n),
                (_, Some(n)) => Until::Blocks(n),
                _ => time(self.time.unwrap_or(10)),
            },
            omit: Duration::from_secs(self.omit),
            parallel: self.parallel,
            interval: self.interval,
            bitrate: self.bitrate.0,
            burst: self.bitrate.1,
            length: size("-l", self.length)?,
            window: self.window.map(|n| size("-w", n)).transpose()?,
            mss: self.set_mss,
            no_delay: self.no_delay,
            connect_timeout: Duration::from_millis(self.connect_timeout),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Config, String> {
        let words = ["iperf-endpoint", "--on", "vale0:ep", "--ip", "10.0.0.2/24"];
        let args = Args::try_parse_from(words.into_iter().chain(line.split_whitespace()));
        args.map_err(|e| e.to_string())?.into_config()
    }

    fn client(line: &str) -> ClientConfig {
        match parse(line).unwrap().mode {
            Mode::Client(client) => client,
            Mode::Server(_) => panic!("{line} is a client's"),
        }
    }

    #[test]
    fn the_command_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn servers() {
        let server = ServerConfig { port: 5001, one_off: true, interval: Duration::from_millis(500) };
        assert_eq!(parse("-s -p 5001 -1 -i 0.5").unwrap().mode, Mode::Server(server));
        assert_eq!(parse("-s").unwrap().mode, Mode::Server(ServerConfig::default()));
    }

    #[test]
    fn clients_have_stock_defaults_and_suffixes() {
        assert_eq!(client("-c 10.0.0.1"), ClientConfig::new(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(client("-c 10.0.0.1 -4 -Z --forceflush -C cubic"), client("-c 10.0.0.1"));
        let c = client("-c 10.0.0.1 -n 1.5M -b 10M/5 -l 64K -w 1m -P 128 --bidir -O 2 -M 1400 -N -i 0");
        assert_eq!(c.until, Until::Bytes(1_572_864));
        assert_eq!((c.bitrate, c.burst, c.length, c.window), (10_000_000, 5, 65_536, Some(1 << 20)));
        assert_eq!((c.parallel, c.direction, c.omit), (128, Direction::Both, Duration::from_secs(2)));
        assert_eq!((c.mss, c.no_delay, c.interval), (Some(1400), true, Duration::ZERO));
        assert_eq!(client("-c 10.0.0.1 -k 2K -R").until, Until::Blocks(2048));
    }

    #[test]
    fn nonsense_is_refused_by_its_flag() {
        for (line, word) in [
            ("", "--server"),
            ("-s -c 10.0.0.1", "cannot be used"),
            ("-s -t 5", "cannot be used"),
            ("-c 10.0.0.1 -1", "cannot be used"),
            ("-c 10.0.0.1 -t 5 -n 5", "cannot be used"),
            ("-c 10.0.0.1 -R --bidir", "cannot be used"),
            ("-c 10.0.0.1 -P 129", "-P: 129 is out of range (try: 1 to 128 streams)"),
            ("-c 10.0.0.1 -P 0", "-P"),
            ("-c 10.0.0.1 -t 86401", "-t"),
            ("-c 10.0.0.1 -l 2M", "-l"),
            ("-c 10.0.0.1 -l 0", "-l"),
            ("-c 10.0.0.1 -M 1", "-M"),
            ("-c 10.0.0.1 -b 10X", "suffix"),
            ("-c 10.0.0.1 -b 1M/x", "blocks"),
            ("-c 10.0.0.1 -n -5", "-5"),
            ("-c 10.0.0.1 -i 61", "-i: 61 is out of range (try: 0.1 to 60 seconds, or 0 for none)"),
            ("-c 10.0.0.1 -i 0.05", "-i: 0.05 is out of range"),
            ("-c 10.0.0.1 -i nan", "seconds"),
            ("-c 10.0.0.1 -f x", "no unit"),
            ("-c 10.0.0.1 -p 0", "-p"),
            ("-c 10.0.0.1 -u -b 1M", "-u: only TCP"),
            ("-c 10.0.0.1 -C bbr", "-C cubic"),
            ("-s -D --logfile x", "-D: the endpoint stays in the foreground"),
            ("-s --logfile x", "> FILE"),
            ("-c 10.0.0.1 -B 10.0.0.2", "--ip"),
            ("-c 10.0.0.2", "our own address"),
            ("-c 10.1.0.1", "--gateway"),
            ("-c no.such.host.invalid", "no.such.host.invalid"),
            ("-s --gateway 10.9.0.1", "--gateway"),
            ("-s --gateway 10.0.0.255", "--gateway: 10.0.0.255 is no station of 10.0.0.2/24"),
            ("-c 10.0.0.0", "-c: 10.0.0.0 is no station of 10.0.0.2/24"),
            ("-c 127.0.0.1", "-c: 127.0.0.1 is no address of another station"),
            ("-c 224.0.0.1 --gateway 10.0.0.9", "-c: 224.0.0.1 is no address of another station"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
