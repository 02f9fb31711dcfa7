//! One machine of the network, as its applications see it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::{End, HostId, MSS, Network, Packet, WINDOW};
use crate::transport::{Connection, Exhausted, SocketOptions, State, TcpInfo, Transport};

/// A machine's TCP.
#[derive(Debug)]
pub struct Host<'a> {
    pub(super) network: &'a mut Network,
    pub(super) id: HostId,
}

impl Host<'_> {
    fn state_of(&self, end: &End) -> State {
        let peer_closed = end.fin_came && end.inbox.is_empty();
        if end.released || end.reset || (peer_closed && end.fin_sent) {
            State::Closed
        } else if !end.open {
            State::Connecting
        } else if peer_closed {
            State::PeerClosed
        } else {
            State::Open
        }
    }

    fn new_end(&self, host: HostId, address: SocketAddrV4, options: SocketOptions) -> End {
        End {
            host,
            address,
            options,
            open: false,
            fin_sent: false,
            fin_came: false,
            reset: false,
            released: false,
            unread: 0,
            inbox: VecDeque::new(),
        }
    }
}

impl Transport for Host<'_> {
    fn listen(&mut self, port: u16, options: SocketOptions) {
        self.network.machines[self.id.0].listeners.entry(port).or_default().0 = options;
    }

    fn accept(&mut self, port: u16) -> Option<Connection> {
        self.network.machines[self.id.0].listeners.get_mut(&port)?.1.pop_front()
    }

    fn connect(&mut self, to: SocketAddrV4, options: SocketOptions) -> Result<Connection, Exhausted> {
        let machine = &mut self.network.machines[self.id.0];
        let local = SocketAddrV4::new(machine.address, machine.next_port);
        machine.next_port = machine.next_port.checked_add(1).ok_or(Exhausted)?;
        let connection = Connection(u32::try_from(self.network.ends.len()).map_err(|_| Exhausted)?);
        let peer = self.network.machines.iter().position(|m| m.address == *to.ip());
        let ours = self.new_end(self.id, local, options);
        // A host that does not exist takes packets as an unplugged one does.
        let theirs = self.new_end(HostId(peer.unwrap_or(self.id.0)), to, SocketOptions::default());
        self.network.ends.extend([ours, theirs]);
        if peer.is_some() {
            self.network.send_packet(connection, Packet::Syn { port: to.port() });
        }
        Ok(connection)
    }

    fn state(&self, c: Connection) -> State {
        self.state_of(self.network.end(c))
    }

    fn send(&mut self, c: Connection, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.network.room(c));
        if n > 0 {
            self.network.end_mut(c).unread += n;
            self.network.send_packet(c, Packet::Data(bytes[..n].to_vec()));
        }
        n
    }

    fn send_pattern(&mut self, c: Connection, max: usize) -> usize {
        let n = max.min(self.network.room(c));
        if n > 0 {
            self.network.end_mut(c).unread += n;
            self.network.send_packet(c, Packet::Pattern(n));
        }
        n
    }

    fn receive(&mut self, c: Connection, into: &mut [u8]) -> usize {
        self.network.take(c, into.len(), Some(into))
    }

    fn discard(&mut self, c: Connection, max: usize) -> usize {
        self.network.take(c, max, None)
    }

    fn unacknowledged(&self, c: Connection) -> usize {
        self.network.end(c).unread
    }

    fn close(&mut self, c: Connection) {
        let end = self.network.end_mut(c);
        if !end.fin_sent && !end.reset && end.open {
            end.fin_sent = true;
            self.network.send_packet(c, Packet::Fin);
        }
    }

    fn abort(&mut self, c: Connection) {
        if !std::mem::replace(&mut self.network.end_mut(c).reset, true) {
            self.network.end_mut(c).inbox.clear();
            self.network.send_packet(c, Packet::Rst);
        }
    }

    fn release(&mut self, c: Connection) {
        let end = self.network.end(c);
        if !end.fin_sent || !end.inbox.is_empty() {
            self.abort(c);
        }
        self.network.end_mut(c).released = true;
    }

    fn info(&self, c: Connection) -> TcpInfo {
        let window = self.network.end(c).options.window.unwrap_or(WINDOW) as u64;
        let rtt = self.network.latency * 2;
        TcpInfo { cwnd: window, send_window: window, rtt, mss: MSS, path_mtu: 1500, ..TcpInfo::default() }
    }

    fn local(&self, c: Connection) -> SocketAddrV4 {
        self.network.end(c).address
    }

    fn remote(&self, c: Connection) -> SocketAddrV4 {
        self.network.end(Connection(c.0 ^ 1)).address
    }

    fn address(&self) -> Ipv4Addr {
        self.network.machines[self.id.0].address
    }
}
