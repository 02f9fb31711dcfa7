//! The stack as a [`Transport`].

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::socket::tcp::State as TcpState;
use smoltcp::wire::IpEndpoint;

use super::slot::{Slot, Stage};
use super::{LINGER, Stack, Tuple, ephemeral};
use crate::transport::{Connection, Exhausted, SocketOptions, State, TcpInfo, Transport};

const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

impl Stack {
    fn slot(&self, c: Connection) -> Option<&Slot> {
        self.table.index(c).and_then(|index| self.table.at(index))
    }

    /// Moves bytes in or out of a connection. If any moved, it may have something to send: them, or news of a
    /// larger window.
    fn moving(&mut self, c: Connection, f: impl FnOnce(&mut Slot) -> usize) -> usize {
        let Some(index) = self.table.index(c) else { return 0 };
        let n = self.table.at_mut(index).map_or(0, f);
        if n > 0 {
            self.activate_unless_delayed(index);
        }
        n
    }

    /// Changes where a connection stands.
    fn change(&mut self, c: Connection, f: impl FnOnce(&mut Slot)) {
        let Some(index) = self.table.index(c) else { return };
        if let Some(slot) = self.table.at_mut(index) {
            f(slot);
        }
        self.activate(index);
    }

    /// A port of ours that no connection to `to` uses or has just used.
    fn free_port(&mut self, to: SocketAddrV4) -> Option<u16> {
        for _ in 0..=u16::MAX >> 2 {
            let local_port = self.next_port;
            self.next_port = ephemeral(u64::from(local_port.wrapping_add(1)) & 0x3fff);
            let tuple = Tuple { remote: *to.ip(), remote_port: to.port(), local_port };
            if self.table.find(tuple).is_none() && !self.time_wait.holds(tuple) {
                return Some(local_port);
            }
        }
        None
    }
}

impl Transport for Stack {
    fn listen(&mut self, port: u16, options: SocketOptions) {
        self.listeners.listen(port, options);
    }

    fn accept(&mut self, port: u16) -> Option<Connection> {
        loop {
            let c = self.listeners.at(port)?.queue.pop_front()?;
            let Some(index) = self.table.index(c) else { continue };
            let slot = self.table.at_mut(index)?;
            if slot.state() != State::Closed {
                slot.stage = Stage::Held;
                return Some(c);
            }
            slot.stage = Stage::Released;
            self.activate(index);
        }
    }

    fn connect(&mut self, to: SocketAddrV4, options: SocketOptions) -> Result<Connection, Exhausted> {
        let local_port = self.free_port(to).ok_or(Exhausted)?;
        let tuple = Tuple { remote: *to.ip(), remote_port: to.port(), local_port };
        let timeout = Some(self.config.connect_timeout);
        let mut slot = self.new_slot(tuple, Stage::Held, options, timeout).ok_or(Exhausted)?;
        let remote = IpEndpoint::new((*to.ip()).into(), to.port());
        // An address that cannot be connected to leaves the socket, and so the connection, closed.
        let _ = slot.socket_mut().connect(self.iface.context(), remote, local_port);
        let index = self.table.insert(slot).ok_or(Exhausted)?;
        self.activate(index);
        Ok(self.table.name(index))
    }

    fn state(&self, c: Connection) -> State {
        self.slot(c).filter(|slot| slot.stage != Stage::Released).map_or(State::Closed, Slot::state)
    }

    fn send(&mut self, c: Connection, bytes: &[u8]) -> usize {
        self.moving(c, |slot| {
            slot.lay_pattern();
            slot.socket_mut().send_slice(bytes).unwrap_or(0)
        })
    }

    fn send_pattern(&mut self, c: Connection, max: usize) -> usize {
        self.moving(c, |slot| slot.send_pattern(max))
    }

    fn receive(&mut self, c: Connection, into: &mut [u8]) -> usize {
        self.moving(c, |slot| slot.socket_mut().recv_slice(into).unwrap_or(0))
    }

    fn discard(&mut self, c: Connection, max: usize) -> usize {
        self.moving(c, |slot| slot.discard(max))
    }

    fn unacknowledged(&self, c: Connection) -> usize {
        self.slot(c).map_or(0, |slot| slot.socket().send_queue())
    }

    fn close(&mut self, c: Connection) {
        self.change(c, |slot| slot.socket_mut().close());
    }

    fn abort(&mut self, c: Connection) {
        self.change(c, |slot| {
            slot.graceful = false;
            slot.socket_mut().abort();
        });
    }

    fn release(&mut self, c: Connection) {
        let expires = self.now + LINGER;
        self.change(c, |slot| {
            slot.stage = Stage::Released;
            slot.expires = expires;
            slot.discard(usize::MAX);
            let closing = !matches!(
                slot.socket().state(),
                TcpState::Listen
                    | TcpState::SynSent
                    | TcpState::SynReceived
                    | TcpState::Established
                    | TcpState::CloseWait
            );
            if !closing {
                slot.socket_mut().abort();
            }
        });
    }

    fn info(&self, c: Connection) -> TcpInfo {
        let path_mtu = u32::try_from(self.shape.mtu()).unwrap_or(u32::MAX);
        self.slot(c).map_or_else(TcpInfo::default, |slot| TcpInfo { path_mtu, ..slot.flow.info() })
    }

    fn missing_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        self.neighbours.missing(to)
    }

    fn local(&self, c: Connection) -> SocketAddrV4 {
        self.slot(c).map_or(NOWHERE, |slot| SocketAddrV4::new(slot.local, slot.tuple.local_port))
    }

    fn remote(&self, c: Connection) -> SocketAddrV4 {
        self.slot(c).map_or(NOWHERE, |slot| SocketAddrV4::new(slot.tuple.remote, slot.tuple.remote_port))
    }

    fn address(&self) -> Ipv4Addr {
        self.config.address
    }
}
