//! One connection: its socket, and what the stack knows of it beside.

use std::net::Ipv4Addr;
use std::time::Duration;

use ports::Time;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::Socket as AnySocket;
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State as TcpState};

use super::flow::Flow;
use super::neighbours::Lease;
use super::segment::Tuple;
use crate::transport::{SocketOptions, State};

/// Who has the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A peer knocked; the handshake is not complete.
    HalfOpen,
    /// Established, in its listener's queue.
    Waiting,
    /// The caller of the transport.
    Held,
    /// Nobody: it is closing down.
    Released,
}

/// A connection in a socket set of its own. smoltcp looks through all sockets of a set for every segment, and
/// serves them from the first on when the port runs short; with one set a connection, the stack finds it in a
/// map and serves them in turn.
pub(super) struct Slot {
    set: SocketSet<'static>,
    handle: SocketHandle,
    pub(super) tuple: Tuple,
    /// Our address.
    pub(super) local: Ipv4Addr,
    pub(super) stage: Stage,
    pub(super) options: SocketOptions,
    pub(super) flow: Flow,
    /// The peer's station, once it was heard.
    pub(super) mac: Option<[u8; 6]>,
    /// Until when smoltcp knows that station.
    pub(super) lease: Lease,
    /// When the stage itself ends the connection: a half-open one, one that lingers after its release.
    pub(super) expires: Time,
    /// When the socket or the flow wants to be served again, but for an acknowledgement that waits.
    pub(super) due: Time,
    /// In the queue of connections to serve.
    pub(super) active: bool,
    /// The peer ended the connection with its FIN and an acknowledgement of ours, so what has arrived counts.
    pub(super) graceful: bool,
    /// The send buffer holds the pattern all over.
    patterned: bool,
}

impl Slot {
    pub(super) fn new(buffers: Buffers, tuple: Tuple, local: Ipv4Addr, stage: Stage, flow: Flow) -> Self {
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(buffers.socket);
        Self {
            set,
            handle,
            tuple,
            local,
            stage,
            options: SocketOptions::default(),
            flow,
            mac: None,
            lease: Lease::default(),
            expires: Time::NEVER,
            due: Time::NEVER,
            active: false,
            graceful: false,
            patterned: buffers.patterned,
        }
    }

    /// The socket's buffers, for the next connection.
    pub(super) fn into_buffers(mut self) -> Option<Buffers> {
        let AnySocket::Tcp(mut socket) = self.set.remove(self.handle) else { return None };
        socket.abort();
        Some(Buffers { socket, patterned: self.patterned })
    }

    pub(super) fn socket(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }

    pub(super) fn socket_mut(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The set that smoltcp is called with, and the flow that watches.
    pub(super) fn parts(&mut self) -> (&mut SocketSet<'static>, &mut Flow) {
        (&mut self.set, &mut self.flow)
    }

    pub(super) fn set(&self) -> &SocketSet<'static> {
        &self.set
    }

    /// When to serve it, if nothing arrives before.
    pub(super) fn wakes_at(&self) -> Time {
        self.due.min(self.flow.acknowledges_at().unwrap_or(Time::NEVER))
    }

    /// Whether nothing of the connection is left but perhaps bytes to read.
    pub(super) fn is_over(&self) -> bool {
        let socket = self.socket();
        match socket.state() {
            TcpState::TimeWait => true,
            // An aborted socket has its RST still to send for as long as it knows whom to.
            TcpState::Closed => socket.remote_endpoint().is_none(),
            _ => false,
        }
    }

    /// The state as the transport's callers know it. A connection that ended in good order lasts until the
    /// caller has read what came.
    pub(super) fn state(&self) -> State {
        let socket = self.socket();
        let unread = socket.can_recv();
        match socket.state() {
            TcpState::SynSent | TcpState::SynReceived | TcpState::Listen => State::Connecting,
            TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2 => State::Open,
            TcpState::CloseWait | TcpState::LastAck | TcpState::Closing if unread => State::Open,
            TcpState::CloseWait | TcpState::LastAck | TcpState::Closing => State::PeerClosed,
            TcpState::TimeWait if unread => State::Open,
            TcpState::Closed if unread && self.graceful => State::Open,
            TcpState::TimeWait | TcpState::Closed => State::Closed,
        }
    }

    /// Queues up to `max` bytes of pattern: nothing is written once the buffer holds it.
    pub(super) fn send_pattern(&mut self, max: usize) -> usize {
        self.lay_pattern();
        let patterned = self.patterned;
        let mut sent = 0;
        for _ in 0..2 {
            // up to the end of the ring, and from its start
            let left = max - sent;
            let queued = self.socket_mut().send(|room| {
                let n = room.len().min(left);
                if !patterned {
                    fill(&mut room[..n]);
                }
                (n, n)
            });
            sent += queued.unwrap_or(0);
        }
        sent
    }

    /// Fills the send buffer with the pattern as soon as it lies open in full, which is before anything was
    /// sent. Not when the buffer is made: half-open connections then cost no memory but addresses.
    pub(super) fn lay_pattern(&mut self) {
        if self.patterned {
            return;
        }
        let capacity = self.socket().send_capacity();
        let laid = self.socket_mut().send(|room| {
            let whole = room.len() == capacity;
            if whole {
                fill(room);
            }
            (0, whole)
        });
        self.patterned = laid.unwrap_or(false);
    }

    /// Takes up to `max` bytes that have arrived, and throws them away.
    pub(super) fn discard(&mut self, max: usize) -> usize {
        let mut taken = 0;
        for _ in 0..2 {
            let left = max - taken;
            let n = self.socket_mut().recv(|bytes| {
                let n = bytes.len().min(left);
                (n, n)
            });
            taken += n.unwrap_or(0);
        }
        taken
    }
}

fn fill(bytes: &mut [u8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = b'0' + (i % 10) as u8; // what stock iperf sends
    }
}

/// A socket between two connections.
pub(super) struct Buffers {
    socket: Socket<'static>,
    patterned: bool,
}

impl Buffers {
    /// A socket with buffers for windows of at least `window` bytes.
    pub(super) fn new(window: usize) -> Self {
        let capacity = capacity(window);
        let buffer = || SocketBuffer::new(vec![0; capacity]);
        Self { socket: Socket::new(buffer(), buffer()), patterned: false }
    }

    /// Whether [`Buffers::new`] would make the same.
    pub(super) fn suit(&self, window: usize) -> bool {
        self.socket.recv_capacity() == capacity(window)
    }

    /// Bytes of each buffer.
    pub(super) fn capacity(&self) -> usize {
        self.socket.recv_capacity()
    }

    /// Makes the socket as new, for the caller to open.
    pub(super) fn prepare(&mut self, no_delay: bool, keep_alive: Duration, timeout: Option<Duration>) {
        let socket = &mut self.socket;
        socket.set_congestion_control(CongestionControl::Cubic);
        // An acknowledgement a pass: the pass is what gathers segments. A timer of smoltcp's would hold back every
        // sender of a lone super-frame for its whole length; ours learns whom not to (`flow::delay`).
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(!no_delay);
        socket.set_keep_alive(Some(duration(keep_alive)));
        socket.set_timeout(timeout.map(duration));
    }
}

pub(super) fn duration(d: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// Bytes of a buffer for a window of `window` bytes: one less than a power of two from 64 KiB on.
///
/// smoltcp takes the unscaled 65535 of its own SYN for a scaled number until it has sent something else. With
/// any other size the window it then believes to have offered is larger than the buffer, and a peer that
/// used it would trip an assertion.
fn capacity(window: usize) -> usize {
    match window.clamp(MIN_WINDOW, MAX_WINDOW) {
        small if small <= 0xffff => small,
        large => large.next_power_of_two() - 1,
    }
}

/// Smallest and largest buffer, bytes.
const MIN_WINDOW: usize = 4096;
const MAX_WINDOW: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_syn_window_never_exceeds_the_buffer() {
        for window in [0, 4096, 65_535, 65_536, 65_537, 1 << 20, 1_000_000, 5 << 20, usize::MAX] {
            let c = capacity(window);
            let bits = usize::BITS - c.leading_zeros();
            assert!(0xffff_usize.min(c) << bits.saturating_sub(16) <= c, "{window} -> {c}");
            assert!(c >= window.clamp(MIN_WINDOW, MAX_WINDOW) - 1);
        }
    }
}
