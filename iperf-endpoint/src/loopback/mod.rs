//! The twin of the stack: a network in memory and in virtual time, with latency and bandwidth.
//!
//! Nothing is lost or reordered; flow control, half-open and reset connections, refused ports and hosts that
//! vanish are there. It serves as documentation of [`Transport`](crate::transport::Transport) and carries the protocol's tests.

mod host;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ports::Time;

use crate::transport::{Connection, SocketOptions};
pub use host::Host;

/// Socket buffer without `-w`, bytes.
const WINDOW: usize = 256 << 10;
/// Payload bytes of a full segment.
const MSS: u32 = 1448;

/// A machine on a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(usize);

#[derive(Debug)]
enum Packet {
    Syn {
        port: u16,
    },
    SynAck,
    /// Ends the handshake.
    Open,
    Data(Vec<u8>),
    /// Pattern, by its length.
    Pattern(usize),
    /// This much was read.
    Ack(usize),
    Fin,
    Rst,
}

/// One end of a connection. The other is its neighbour: ends are made in pairs, 2n and 2n + 1.
#[derive(Debug)]
struct End {
    host: HostId,
    address: SocketAddrV4,
    options: SocketOptions,
    open: bool,
    fin_sent: bool,
    fin_came: bool,
    reset: bool,
    released: bool,
    /// Bytes sent and not yet read.
    unread: usize,
    inbox: VecDeque<Packet>,
}

#[derive(Debug)]
struct Machine {
    address: Ipv4Addr,
    next_port: u16,
    listeners: BTreeMap<u16, (SocketOptions, VecDeque<Connection>)>,
    /// When the last frame has left.
    egress_free: Time,
    unplugged: bool,
}

/// Machines and what is on the wire between them.
#[derive(Debug)]
pub struct Network {
    latency: Duration,
    bitrate: u64,
    now: Time,
    machines: Vec<Machine>,
    ends: Vec<End>,
    wire: BTreeMap<(Time, u64), (Connection, Packet)>,
    sequence: u64,
}

impl Network {
    /// A network whose machines each send at `bitrate` bits per second.
    #[must_use]
    pub fn new(latency: Duration, bitrate: u64) -> Self {
        Self {
            latency,
            bitrate: bitrate.max(1),
            now: Time::ZERO,
            machines: Vec::new(),
            ends: Vec::new(),
            wire: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// One more machine.
    pub fn add_host(&mut self, address: Ipv4Addr) -> HostId {
        self.machines.push(Machine {
            address,
            next_port: 32_768,
            listeners: BTreeMap::new(),
            egress_free: Time::ZERO,
            unplugged: false,
        });
        HostId(self.machines.len() - 1)
    }

    /// The TCP of a machine.
    pub fn host(&mut self, id: HostId) -> Host<'_> {
        Host { network: self, id }
    }

    /// From now on nothing leaves or reaches the machine.
    pub fn unplug(&mut self, id: HostId) {
        self.machines[id.0].unplugged = true;
    }

    /// Connections that nobody has released on either end.
    #[must_use]
    pub fn live_connections(&self) -> usize {
        self.ends.iter().filter(|e| !e.released && (e.open || !e.reset)).count()
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Time {
        self.wire.keys().next().map_or(Time::NEVER, |&(t, _)| t)
    }

    /// Lets everything arrive that is due; whether anything did.
    pub fn advance(&mut self, now: Time) -> bool {
        let mut any = false;
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= now) {
            // An answer leaves when its cause arrives, however late that is looked at.
            self.now = entry.key().0;
            let (to, packet) = entry.remove();
            if !self.machines[self.end(to).host.0].unplugged {
                self.arrive(to, packet);
            }
            any = true;
        }
        self.now = now;
        any
    }

    fn end(&self, c: Connection) -> &End {
        &self.ends[c.0 as usize]
    }

    fn end_mut(&mut self, c: Connection) -> &mut End {
        &mut self.ends[c.0 as usize]
    }

    fn send_packet(&mut self, from: Connection, packet: Packet) {
        let bytes = match &packet {
            Packet::Data(d) => d.len(),
            Packet::Pattern(n) => *n,
            _ => 0,
        };
        let machine = &mut self.machines[self.ends[from.0 as usize].host.0];
        if machine.unplugged {
            return;
        }
        let ns = u64::try_from(bytes as u128 * 8_000_000_000 / u128::from(self.bitrate)).unwrap_or(u64::MAX);
        machine.egress_free = machine.egress_free.max(self.now) + Duration::from_nanos(ns);
        let arrival = machine.egress_free + self.latency;
        self.wire.insert((arrival, self.sequence), (Connection(from.0 ^ 1), packet));
        self.sequence += 1;
    }

    fn arrive(&mut self, to: Connection, packet: Packet) {
        match packet {
            Packet::Syn { port } => {
                let host = self.end(to).host;
                match self.machines[host.0].listeners.get(&port) {
                    Some((options, _)) => {
                        self.ends[to.0 as usize].options = *options;
                        self.send_packet(to, Packet::SynAck);
                    }
                    None => self.send_packet(to, Packet::Rst),
                }
            }
            Packet::SynAck => {
                self.end_mut(to).open = true;
                self.send_packet(to, Packet::Open);
            }
            Packet::Open => {
                let (host, port) = (self.end(to).host, self.end(to).address.port());
                self.end_mut(to).open = true;
                if let Some((_, backlog)) = self.machines[host.0].listeners.get_mut(&port) {
                    backlog.push_back(to);
                }
            }
            Packet::Data(_) | Packet::Pattern(_) if self.end(to).released => {
                self.send_packet(to, Packet::Rst);
            }
            Packet::Data(_) | Packet::Pattern(_) => self.end_mut(to).inbox.push_back(packet),
            Packet::Ack(n) => self.end_mut(to).unread -= n,
            Packet::Fin => self.end_mut(to).fin_came = true,
            Packet::Rst => {
                self.end_mut(to).reset = true;
                self.end_mut(to).inbox.clear();
            }
        }
    }

    fn take(&mut self, c: Connection, max: usize, mut into: Option<&mut [u8]>) -> usize {
        let mut taken = 0;
        while taken < max {
            let Some(front) = self.ends[c.0 as usize].inbox.front_mut() else { break };
            let n = match front {
                Packet::Data(d) => {
                    let n = d.len().min(max - taken);
                    let head: Vec<u8> = d.drain(..n).collect();
                    if let Some(into) = &mut into {
                        into[taken..taken + n].copy_from_slice(&head);
                    }
                    n
                }
                Packet::Pattern(left) => {
                    let n = (*left).min(max - taken);
                    *left -= n;
                    n
                }
                _ => 0,
            };
            if matches!(front, Packet::Pattern(0)) || matches!(front, Packet::Data(d) if d.is_empty()) {
                self.ends[c.0 as usize].inbox.pop_front();
            }
            taken += n;
        }
        if taken > 0 {
            self.send_packet(c, Packet::Ack(taken));
        }
        taken
    }

    /// Bytes that the connection takes now.
    fn room(&self, c: Connection) -> usize {
        let (end, peer) = (self.end(c), self.end(Connection(c.0 ^ 1)));
        let window = end.options.window.unwrap_or(WINDOW).min(peer.options.window.unwrap_or(WINDOW));
        if end.open && !end.reset && !end.fin_sent { window.saturating_sub(end.unread) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{State, Transport};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn pair() -> (Network, HostId, HostId, Connection, Connection) {
        let mut net = Network::new(Duration::from_millis(1), 8_000_000);
        let (a, b) = (net.add_host(A), net.add_host(B));
        net.host(b).listen(7, SocketOptions::default());
        let client = net.host(a).connect(SocketAddrV4::new(B, 7), SocketOptions::default()).unwrap();
        assert_eq!(net.host(a).state(client), State::Connecting);
        net.advance(Time(10_000_000));
        let server = net.host(b).accept(7).unwrap();
        (net, a, b, client, server)
    }

    #[test]
    fn bytes_take_their_time_and_arrive_in_order() {
        let (mut net, a, b, client, server) = pair();
        assert_eq!(net.host(a).send(client, b"hello "), 6);
        assert_eq!(net.host(a).send(client, &[b'x'; 994]), 994);
        net.advance(Time(11_900_000));
        let mut got = [0; 2000];
        assert_eq!(net.host(b).receive(server, &mut got), 6);
        net.advance(Time(12_000_000));
        assert_eq!(net.host(b).receive(server, &mut got), 994);
        assert_eq!(net.host(a).unacknowledged(client), 1000);
        net.advance(Time(13_000_000));
        assert_eq!(net.host(a).unacknowledged(client), 0);
    }

    #[test]
    fn the_window_holds_a_sender_back() {
        let (mut net, a, b, client, server) = pair();
        assert_eq!(net.host(a).send_pattern(client, usize::MAX), WINDOW);
        assert_eq!(net.host(a).send_pattern(client, 1), 0);
        net.advance(Time::from_secs(1));
        assert_eq!(net.host(b).discard(server, 1000), 1000);
        net.advance(Time::from_secs(2));
        assert_eq!(net.host(a).send_pattern(client, usize::MAX), 1000);
    }

    #[test]
    fn ends_close_in_turn() {
        let (mut net, a, b, client, server) = pair();
        net.host(a).close(client);
        net.advance(Time::from_secs(1));
        assert_eq!(net.host(b).state(server), State::PeerClosed);
        net.host(b).close(server);
        net.advance(Time::from_secs(2));
        assert_eq!(net.host(a).state(client), State::Closed);
        assert_eq!(net.host(b).state(server), State::Closed);
    }

    #[test]
    fn nobody_there_and_nobody_listening_differ() {
        let (mut net, a, _, _, _) = pair();
        let closed = net.host(a).connect(SocketAddrV4::new(B, 8), SocketOptions::default()).unwrap();
        let nobody = Ipv4Addr::new(10, 0, 0, 9);
        let silent = net.host(a).connect(SocketAddrV4::new(nobody, 7), SocketOptions::default()).unwrap();
        net.advance(Time::from_secs(60));
        assert_eq!(net.host(a).state(closed), State::Closed);
        assert_eq!(net.host(a).state(silent), State::Connecting);
    }
}
