//! The kernel's TCP behind [`Transport`], so that the protocol meets stock iperf3 without our stack.

use iperf_endpoint::transport::{Connection, Exhausted, SocketOptions, State, TcpInfo, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

struct Socket {
    stream: Option<TcpStream>,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    peer_closed: bool,
    closing: bool,
    dead: bool,
}

#[derive(Default)]
pub(crate) struct Kernel {
    listeners: BTreeMap<u16, (TcpListener, VecDeque<Connection>)>,
    sockets: Vec<Socket>,
    scratch: Vec<u8>,
}

impl Kernel {
    pub(crate) fn new() -> Self {
        Self { scratch: vec![b'0'; 1 << 20], ..Self::default() }
    }

    fn add(&mut self, stream: TcpStream) -> Connection {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let v4 = |a| if let Ok(std::net::SocketAddr::V4(a)) = a { a } else { NOWHERE };
        let (local, remote) = (v4(stream.local_addr()), v4(stream.peer_addr()));
        let stream = Some(stream);
        self.sockets.push(Socket { stream, local, remote, peer_closed: false, closing: false, dead: false });
        Connection(u32::try_from(self.sockets.len() - 1).unwrap())
    }

    fn socket(&mut self, c: Connection) -> &mut Socket {
        &mut self.sockets[c.0 as usize]
    }
}

impl Socket {
    fn write(&mut self, bytes: &[u8]) -> usize {
        match self.stream.as_mut().map(|s| s.write(bytes)) {
            Some(Ok(n)) => n,
            Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => 0,
            _ => {
                self.dead = true;
                0
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        match self.stream.as_mut().map(|s| s.read(into)) {
            Some(Ok(0)) => {
                self.peer_closed = true;
                0
            }
            Some(Ok(n)) => n,
            Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => 0,
            _ => {
                self.dead = true;
                0
            }
        }
    }
}

impl Transport for Kernel {
    fn listen(&mut self, port: u16, _: SocketOptions) {
        self.listeners.entry(port).or_insert_with(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            listener.set_nonblocking(true).unwrap();
            (listener, VecDeque::new())
        });
    }

    fn accept(&mut self, port: u16) -> Option<Connection> {
        let (stream, _) = self.listeners.get(&port)?.0.accept().ok()?;
        Some(self.add(stream))
    }

    fn connect(&mut self, to: SocketAddrV4, _: SocketOptions) -> Result<Connection, Exhausted> {
        match TcpStream::connect(to) {
            Ok(stream) => Ok(self.add(stream)),
            Err(_) => {
                let (local, remote) = (NOWHERE, to);
                self.sockets.push(Socket {
                    stream: None,
                    local,
                    remote,
                    peer_closed: true,
                    closing: true,
                    dead: true,
                });
                Ok(Connection(u32::try_from(self.sockets.len() - 1).unwrap()))
            }
        }
    }

    fn state(&self, c: Connection) -> State {
        let s = &self.sockets[c.0 as usize];
        if s.stream.is_none() || s.dead || (s.closing && s.peer_closed) {
            State::Closed
        } else if s.peer_closed {
            State::PeerClosed
        } else {
            State::Open
        }
    }

    fn send(&mut self, c: Connection, bytes: &[u8]) -> usize {
        self.socket(c).write(bytes)
    }

    fn send_pattern(&mut self, c: Connection, max: usize) -> usize {
        let n = max.min(self.scratch.len());
        self.sockets[c.0 as usize].write(&self.scratch[..n])
    }

    fn receive(&mut self, c: Connection, into: &mut [u8]) -> usize {
        self.socket(c).read(into)
    }

    fn discard(&mut self, c: Connection, max: usize) -> usize {
        let n = max.min(self.scratch.len());
        self.sockets[c.0 as usize].read(&mut self.scratch[..n])
    }

    /// The kernel keeps what it took, also when we leave.
    fn unacknowledged(&self, _: Connection) -> usize {
        0
    }

    fn close(&mut self, c: Connection) {
        let s = self.socket(c);
        s.closing = true;
        if let Some(stream) = &s.stream {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn abort(&mut self, c: Connection) {
        self.socket(c).stream = None;
    }

    fn release(&mut self, c: Connection) {
        self.socket(c).stream = None;
    }

    fn info(&self, _: Connection) -> TcpInfo {
        TcpInfo { cwnd: 1 << 20, mss: 32_768, path_mtu: 65_535, ..TcpInfo::default() }
    }

    fn local(&self, c: Connection) -> SocketAddrV4 {
        self.sockets[c.0 as usize].local
    }

    fn remote(&self, c: Connection) -> SocketAddrV4 {
        self.sockets[c.0 as usize].remote
    }

    fn address(&self) -> Ipv4Addr {
        Ipv4Addr::LOCALHOST
    }
}
