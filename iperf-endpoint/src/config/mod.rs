//! What an endpoint is told to do. It crosses the control socket, so it is checked where it arrives.

mod cidr;
mod ranges;

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::Mac;
use serde::{Deserialize, Serialize};

pub use cidr::{BadCidr, Cidr};
pub use ranges::{Bounds, Invalid};

/// The port of iperf3.
pub const PORT: u16 = 5201;
/// The IP MTU of an endpoint that is not told otherwise: Ethernet's.
pub const MTU: u16 = 1500;

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
