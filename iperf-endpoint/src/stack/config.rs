//! What a stack is given, and what it cannot be given.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::Mac;

/// What a stack is given.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of its network's prefix, 0..=32.
    pub prefix_len: u8,
    /// Whom to send to what is for no neighbour.
    pub gateway: Option<Ipv4Addr>,
    /// Our station.
    pub mac: Mac,
    /// What sequence numbers and ports are drawn from: different each time.
    pub seed: u64,
    /// Bytes of send and of receive buffer of a connection that does not ask for others; fewer when there
    /// are many connections.
    pub window: usize,
    /// How long to try to connect.
    pub connect_timeout: Duration,
    /// A connection whose peer was not heard for so long, in spite of keep-alives, is over.
    pub dead_after: Duration,
    /// How long a connection may idle before the peer is asked for a sign of life.
    pub keep_alive: Duration,
    /// Handshakes under way, and connections not accepted, that a listening port holds.
    pub backlog: usize,
}

impl Config {
    /// The defaults for a host of this address.
    #[must_use]
    pub const fn new(address: Ipv4Addr, prefix_len: u8, mac: Mac, seed: u64) -> Self {
        Self {
            address,
            prefix_len,
            gateway: None,
            mac,
            seed,
            window: 1 << 20,
            connect_timeout: Duration::from_secs(5),
            dead_after: Duration::from_secs(30),
            keep_alive: Duration::from_secs(10),
            backlog: 256,
        }
    }
}

/// The stack cannot have this address or station.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// The address is none of a host.
    #[error("{0}/{1}: no host's address (try: 10.0.0.2/24)")]
    Address(Ipv4Addr, u8),
    /// The gateway is none of a host.
    #[error("gateway {0}: no host's address")]
    Gateway(Ipv4Addr),
    /// The station is none of a host.
    #[error("{0}: no station's own address (try: 02:00:00:00:00:01)")]
    Mac(Mac),
    /// IPv4 asks for 68 bytes at least; a device for 576.
    #[error("MTU {0}: below 576")]
    Mtu(u32),
}

/// Whether a host can have the address.
pub(super) const fn is_host(a: Ipv4Addr) -> bool {
    !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback()
}
