//! What a measurement protocol needs of a TCP stack, and nothing else.
//!
//! iperf3 (and iperf2, netperf to come) are written against this trait, so that the stack can be extended or
//! replaced under them, and so that their tests run on an in-memory twin in virtual time.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// A connection of a [`Transport`]. Never reused within one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection(pub u32);

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The three-way handshake is under way.
    Connecting,
    /// Data may flow both ways.
    Open,
    /// The peer has sent its FIN and everything before it was read; we may still send.
    PeerClosed,
    /// Over: both sides closed, reset by either, or timed out. Nothing more will come.
    Closed,
}

/// How to set up a connection's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Bytes of send and of receive buffer (iperf's `-w`); `None` for the stack's default.
    pub window: Option<usize>,
    /// Send small segments at once (`TCP_NODELAY`).
    pub no_delay: bool,
    /// Upper bound on the segments we send, payload bytes; `None` for what the path takes.
    pub mss: Option<u16>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { window: None, no_delay: true, mss: None }
    }
}

/// What `TCP_INFO` would say of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments sent again so far.
    pub retransmits: u64,
    /// Congestion window, bytes; the flight size where the stack does not tell.
    pub cwnd: u64,
    /// The peer's advertised window, bytes.
    pub send_window: u64,
    /// Smoothed round-trip time; zero before the first sample.
    pub rtt: Duration,
    /// Its mean deviation.
    pub rtt_var: Duration,
    /// Payload bytes of a full segment.
    pub mss: u32,
    /// IP MTU of the path as far as known.
    pub path_mtu: u32,
}

/// There is no room for one more connection, or no port is left to connect from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for another connection")]
pub struct Exhausted;

/// A TCP stack, polled by its owner. No call blocks; each says how much it did.
pub trait Transport {
    /// Accepts connections on `port` from now on. A further call for the same port changes its options.
    fn listen(&mut self, port: u16, options: SocketOptions);
    /// The oldest connection that was established on `port` and not yet accepted.
    fn accept(&mut self, port: u16) -> Option<Connection>;
    /// Begins to connect. The result shows in [`state`](Self::state).
    ///
    /// # Errors
    /// [`Exhausted`] if no socket can be had.
    fn connect(&mut self, to: SocketAddrV4, options: SocketOptions) -> Result<Connection, Exhausted>;
    /// Where the connection stands; [`State::Closed`] for one that was released.
    fn state(&self, c: Connection) -> State;
    /// Queues a prefix of `bytes`; returns its length, zero when the send buffer is full.
    fn send(&mut self, c: Connection, bytes: &[u8]) -> usize;
    /// Queues up to `max` bytes of the endpoint's pattern without the caller making them.
    fn send_pattern(&mut self, c: Connection, max: usize) -> usize;
    /// Takes up to `into.len()` bytes that have arrived in order.
    fn receive(&mut self, c: Connection, into: &mut [u8]) -> usize;
    /// Takes up to `max` bytes and throws them away; returns how many there were.
    fn discard(&mut self, c: Connection, max: usize) -> usize;
    /// Bytes queued and not yet acknowledged.
    fn unacknowledged(&self, c: Connection) -> usize;
    /// Sends FIN after what is queued. Reading goes on.
    fn close(&mut self, c: Connection);
    /// Sends RST and forgets what is queued.
    fn abort(&mut self, c: Connection);
    /// The caller has no further use for the connection: it is aborted unless it is closed or closing, and
    /// its resources return once the peer and the timers are done with it.
    fn release(&mut self, c: Connection);
    /// What is known of the connection's path and losses.
    fn info(&self, c: Connection) -> TcpInfo;
    /// The neighbour that what is for `to` goes through, if it has never shown itself, not even by ARP. A stack that
    /// cannot tell says `None`.
    fn missing_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        let _ = to;
        None
    }
    /// Our end.
    fn local(&self, c: Connection) -> SocketAddrV4;
    /// The other end.
    fn remote(&self, c: Connection) -> SocketAddrV4;
    /// Our address.
    fn address(&self) -> Ipv4Addr;
}
