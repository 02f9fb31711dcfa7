//! The TCP stack: smoltcp on a port, with what it lacks made up for around it.
//!
//! ```text
//!  iperf3 ... ── Transport ──┐
//!                            ▼
//!            ┌── Stack: Table of Slots (socket + Flow), Listeners, TimeWait
//!  ingress:  │   frame → checksum → Segment → Slot → smoltcp → (reply) → port slot
//!  egress:   │   Slot in turn → smoltcp → Wire::finish: checksum, offload metadata → port slot
//!            └── Port
//! ```
//!
//! smoltcp owns the protocol. Around it, without a patch of it:
//!
//! * every socket lives in a set of its own and is found by a map, instead of a walk over all of them a segment;
//!   connections are served in turn instead of always from the first;
//! * a SYN makes its listening socket on arrival: any number of peers may knock in one burst, up to a backlog;
//! * checksums and super-frames are left to the port where it takes them, and checked here where they come;
//! * losses, round trips and windows are observed ([`flow`]), partial acknowledgements and lost tails are mended;
//! * connections that are over leave a few words in [`time_wait`] instead of their buffers.

mod device;
mod flow;
mod listener;
mod segment;
mod slot;
mod table;
mod time_wait;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use ports::wire::TCP;
use ports::{Burst, Capabilities, Counters, Frame, Mac, Offload, Port, Reason, Time, Tx};
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::socket::tcp::State as TcpState;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Cidr};

use device::{Shape, Tally, Wire};
use flow::{Flow, Nudge};
use listener::Listeners;
use segment::{BareAck, Segment, Tuple, announcement, flag};
use slot::{Slot, Stage, duration};
use table::Table;
use time_wait::{Answer, TimeWait};

use crate::transport::SocketOptions;

/// Frames and bytes that one pass sends at most, so that a worker's other ports get their turn.
const PASS_FRAMES: u64 = 256;
const PASS_BYTES: u64 = 4 << 20;
/// Frames and bytes that one connection sends before the next has its turn.
const TURN_FRAMES: u64 = 64;
const TURN_BYTES: u64 = 256 << 10;
/// A handshake that is not complete by then is forgotten.
const HALF_OPEN: Duration = Duration::from_secs(5);
/// A released connection that has not closed by then is reset.
const LINGER: Duration = Duration::from_secs(60);

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

/// A TCP/IPv4 host on a port.
pub struct Stack {
    config: Config,
    shape: Shape,
    iface: Interface,
    /// For what belongs to no connection: ARP, ICMP, segments to be answered with RST.
    nobody: SocketSet<'static>,
    table: Table,
    listeners: Listeners,
    time_wait: TimeWait,
    /// Connections that may have something to send.
    active: VecDeque<usize>,
    /// No connection is due earlier.
    next_due: Time,
    next_port: u16,
    tally: Tally,
    scratch: Vec<u8>,
    announced: bool,
    /// The time of the last pass, for the calls between passes.
    now: Time,
}

const fn is_host(a: Ipv4Addr) -> bool {
    !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback()
}

impl Stack {
    /// A stack for a port with these capabilities. [`Capabilities::wire`] makes it compute every checksum and
    /// send no super-frames, whatever the port takes.
    ///
    /// # Errors
    /// [`BadConfig`] names the part that cannot be.
    pub fn new(config: Config, capabilities: Capabilities) -> Result<Self, BadConfig> {
        let cidr = (config.prefix_len <= 32 && is_host(config.address))
            .then(|| Ipv4Cidr::new(config.address, config.prefix_len))
            .ok_or(BadConfig::Address(config.address, config.prefix_len))?;
        if !config.mac.is_unicast() {
            return Err(BadConfig::Mac(config.mac));
        }
        if capabilities.frame < 576 + 14 {
            return Err(BadConfig::Mtu(capabilities.frame.saturating_sub(14)));
        }
        let shape = Shape::new(capabilities);
        let mut hardware = smoltcp::iface::Config::new(EthernetAddress(config.mac.octets()).into());
        hardware.random_seed = config.seed;
        let mut tally = Tally::default();
        let mut null = ports::null::open();
        let mut wire = Wire::idle(&shape, null.tx.as_mut(), &mut tally);
        let mut iface = Interface::new(hardware, &mut wire, Instant::ZERO);
        iface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::Ipv4(cidr)).unwrap_or_default(); // room for two
        });
        if let Some(gateway) = config.gateway {
            let known = is_host(gateway) && iface.routes_mut().add_default_ipv4_route(gateway).is_ok();
            known.then_some(()).ok_or(BadConfig::Gateway(gateway))?;
        }
        Ok(Self {
            shape,
            iface,
            nobody: SocketSet::new(Vec::new()),
            table: Table::new(config.seed),
            listeners: Listeners::default(),
            time_wait: TimeWait::default(),
            active: VecDeque::new(),
            next_due: Time::NEVER,
            next_port: ephemeral(config.seed),
            tally,
            scratch: Vec::new(),
            announced: false,
            now: Time::ZERO,
            config,
        })
    }

    /// One pass: [`ingress`](Self::ingress), then [`egress`](Self::egress). Says whether anything moved.
    ///
    /// A caller that answers what it receives does better to call the two itself and to read and write in
    /// between: acknowledgements then travel with the answer, and tell of the room that reading made.
    pub fn poll(&mut self, port: &mut Port, now: Time) -> bool {
        let received = self.ingress(port, now);
        let sent = self.egress(port, now);
        received || sent
    }

    /// Takes one burst from the port. Says whether there was one.
    pub fn ingress(&mut self, port: &mut Port, now: Time) -> bool {
        self.now = now;
        self.tally.clear();
        let Port { rx, tx, counters, .. } = port;
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        let n = burst.len();
        for frame in &burst {
            self.frame(frame, tx.as_mut(), counters);
        }
        drop(burst);
        if n > 0 {
            rx.release(n);
        }
        if self.tally.lost > 0 {
            counters.add_drops(Reason::Full, self.tally.lost);
        }
        n > 0
    }

    /// Sends what is due and finds room, a bounded amount. Says whether anything was sent.
    pub fn egress(&mut self, port: &mut Port, now: Time) -> bool {
        self.now = now;
        self.tally.clear();
        self.announce(port.tx.as_mut());
        self.wake_due();
        while self.tally.frames < PASS_FRAMES && self.tally.bytes < PASS_BYTES {
            let Some(index) = self.active.pop_front() else { break };
            let frames = self.tally.frames;
            match self.serve(index, port.tx.as_mut()) {
                Served::Idle => {}
                Served::More => self.active.push_back(index),
                // Whoever sent anything has had its turn; the ring may be smaller than one.
                Served::Full if self.tally.frames > frames => {
                    self.active.push_back(index);
                    break;
                }
                Served::Full => {
                    self.active.push_front(index);
                    break;
                }
            }
        }
        self.tally.frames > 0
    }

    /// When the stack wants to be polled again if no frame arrives: `now` while there is more to send.
    pub fn deadline(&mut self, now: Time) -> Time {
        if self.active.is_empty() && self.announced { self.next_due } else { now }
    }

    fn instant(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.now.0 / 1000).unwrap_or(i64::MAX))
    }

    fn announce(&mut self, tx: &mut dyn Tx) {
        if self.announced {
            return;
        }
        let frame = announcement(self.config.mac.octets(), self.config.address);
        if let Some(slot) = tx.reserve(frame.len()) {
            slot.copy_from_slice(&frame);
            tx.commit(frame.len(), Offload::NONE);
            self.announced = true;
        }
    }

    /// Puts a connection into the queue of those to serve.
    fn activate(&mut self, index: usize) {
        if let Some(slot) = self.table.at_mut(index)
            && !slot.active
        {
            slot.active = true;
            self.active.push_back(index);
        }
    }

    fn wake_due(&mut self) {
        if self.now < self.next_due {
            return;
        }
        self.next_due = Time::NEVER;
        for index in self.table.indices() {
            let Some(due) = self.table.at(index).filter(|s| !s.active).map(|s| s.due) else { continue };
            if due <= self.now {
                self.activate(index);
            } else {
                self.next_due = self.next_due.min(due);
            }
        }
    }
}

/// Receiving.
impl Stack {
    fn frame(&mut self, frame: &Frame<'_>, tx: &mut dyn Tx, counters: &Counters) {
        let bytes = frame.bytes();
        let Some((to, _)) = frame.stations() else {
            return counters.add_drops(Reason::Runt, 1);
        };
        // What the switch floods for others is no loss of ours.
        if to != self.config.mac && to.octets()[0] & 1 == 0 {
            return;
        }
        match bytes.get(12..14) {
            Some([0x08, 0x06]) => {
                self.deliver(None, bytes, tx);
                // Perhaps what some have waited for.
                self.table.indices().for_each(|index| self.activate(index));
            }
            Some([0x08, 0x00]) if self.is_welcome(bytes) => {
                if bytes.get(23) != Some(&TCP) {
                    return self.deliver(None, bytes, tx);
                }
                let Some(segment) = Segment::parse(bytes) else {
                    return counters.add_drops(Reason::Error, 1);
                };
                if !segment.is_intact(frame) {
                    return counters.add_drops(Reason::BadChecksum, 1);
                }
                if segment.to == self.config.address {
                    self.segment(&segment, bytes, tx, counters);
                }
            }
            _ => {}
        }
    }

    /// Whether the source can be answered. smoltcp asserts as much only when it writes the answer.
    fn is_welcome(&self, bytes: &[u8]) -> bool {
        let source = bytes.get(26..30).and_then(|b| b.first_chunk::<4>());
        source.is_some_and(|s| {
            let source = Ipv4Addr::from(*s);
            is_host(source) && source != self.config.address
        })
    }

    fn segment(&mut self, s: &Segment, bytes: &[u8], tx: &mut dyn Tx, counters: &Counters) {
        if let Some(index) = self.table.find(s.tuple) {
            return self.to_slot(index, s, bytes, tx);
        }
        match self.time_wait.answer(s, self.now) {
            Answer::Unknown => {}
            Answer::Ignore => return,
            Answer::Again(seq, ack) => return self.last_ack(s, seq, ack, tx),
        }
        let knocks = s.flags & (flag::SYN | flag::ACK | flag::RST | flag::FIN) == flag::SYN;
        let listener = if knocks { self.listeners.at(s.tuple.local_port) } else { None };
        let Some(listener) = listener else {
            return self.deliver(None, bytes, tx); // which answers with RST
        };
        let options = listener.options;
        if !listener.has_room(self.config.backlog) {
            return counters.add_drops(Reason::Full, 1);
        }
        match self.admit(s, options) {
            Some(index) => self.to_slot(index, s, bytes, tx),
            None => counters.add_drops(Reason::Full, 1),
        }
    }

    /// A socket that listens for this one peer.
    fn admit(&mut self, s: &Segment, options: SocketOptions) -> Option<usize> {
        let port = s.tuple.local_port;
        let mut slot = self.new_slot(s.tuple, Stage::HalfOpen, options, None)?;
        slot.expires = self.now + HALF_OPEN;
        slot.socket_mut().listen(port).ok()?;
        let index = self.table.insert(slot)?;
        self.listeners.at(port)?.half_open += 1;
        Some(index)
    }

    fn new_slot(
        &mut self,
        tuple: Tuple,
        stage: Stage,
        options: SocketOptions,
        timeout: Option<Duration>,
    ) -> Option<Slot> {
        if self.table.len() >= table::MOST {
            return None;
        }
        let window = options.window.unwrap_or_else(|| self.default_window());
        let mut buffers = self.table.buffers(window);
        buffers.prepare(self.config.keep_alive, timeout);
        let mss = (self.shape.mtu() - 40).min(options.mss.map_or(usize::MAX, usize::from));
        let flow = Flow::new(u32::try_from(mss).unwrap_or(536));
        let mut slot = Slot::new(buffers, tuple, self.config.address, stage, flow);
        slot.options = options;
        Some(slot)
    }

    /// Many connections share what cache there is: buffers that together exceed it gain nothing.
    fn default_window(&self) -> usize {
        let share = match self.table.len() {
            0..16 => 1,
            16..64 => 2,
            _ => 4,
        };
        (self.config.window / share).max(64 << 10)
    }

    /// Hands a segment to its connection.
    fn to_slot(&mut self, index: usize, s: &Segment, bytes: &[u8], tx: &mut dyn Tx) {
        let Some(slot) = self.table.at_mut(index) else { return };
        slot.mac = Some(s.mac);
        slot.flow.received(s, bytes, self.now);
        let before = slot.socket().state();
        match slot.options.mss.zip(s.mss(bytes).filter(|_| s.has(flag::SYN))) {
            Some((ours, (at, theirs))) if ours < theirs => self.with_smaller_mss(index, bytes, at, ours, tx),
            _ => self.deliver(Some(index), bytes, tx),
        }
        let Some(slot) = self.table.at_mut(index) else { return };
        if slot.stage == Stage::Released {
            slot.discard(usize::MAX);
        }
        if slot.socket().state() != before {
            self.changed(index, before, s);
        }
        self.activate(index);
    }

    /// smoltcp knows no bound on the segments of one socket, but believes what the peer asks for.
    fn with_smaller_mss(&mut self, index: usize, bytes: &[u8], at: usize, mss: u16, tx: &mut dyn Tx) {
        let mut copy = std::mem::take(&mut self.scratch);
        copy.clear();
        copy.extend_from_slice(bytes);
        if let Some(field) = copy.get_mut(at..at + 2) {
            field.copy_from_slice(&mss.to_be_bytes());
        }
        self.deliver(Some(index), &copy, tx);
        self.scratch = copy;
    }

    /// A socket changed its state on receiving `s`.
    fn changed(&mut self, index: usize, before: TcpState, s: &Segment) {
        let name = self.table.name(index);
        let Some(slot) = self.table.at_mut(index) else { return };
        let after = slot.socket().state();
        slot.graceful |= before == TcpState::LastAck && !s.has(flag::RST);
        if matches!(after, TcpState::Established | TcpState::CloseWait)
            && matches!(before, TcpState::SynSent | TcpState::SynReceived)
        {
            slot.socket_mut().set_timeout(Some(duration(self.config.dead_after)));
            if slot.stage == Stage::HalfOpen {
                slot.stage = Stage::Waiting;
                slot.expires = Time::NEVER;
                if let Some(listener) = self.listeners.at(s.tuple.local_port) {
                    listener.half_open -= 1;
                    listener.queue.push_back(name);
                }
            }
        } else if slot.stage == Stage::HalfOpen && matches!(after, TcpState::Listen | TcpState::Closed) {
            self.forget(index); // the peer thought better of it
        }
    }

    /// Calls smoltcp with a frame for a connection, or for nobody.
    fn deliver(&mut self, index: Option<usize>, bytes: &[u8], tx: &mut dyn Tx) {
        let instant = self.instant();
        let mut wire =
            Wire { frame: Some(bytes), now: self.now, ..Wire::idle(&self.shape, tx, &mut self.tally) };
        let set = match index.and_then(|index| self.table.at_mut(index)) {
            Some(slot) => {
                let (set, flow) = slot.parts();
                wire.flow = Some(flow);
                set
            }
            None => &mut self.nobody,
        };
        let _: PollIngressSingleResult = self.iface.poll_ingress_single(instant, &mut wire, set);
    }

    fn last_ack(&mut self, s: &Segment, seq: u32, ack: u32, tx: &mut dyn Tx) {
        let frame = BareAck {
            to_mac: s.mac,
            from_mac: self.config.mac.octets(),
            from: self.config.address,
            to: s.tuple.remote,
            from_port: s.tuple.local_port,
            to_port: s.tuple.remote_port,
            seq,
            ack,
            window: 0,
        }
        .frame();
        if let Some(slot) = tx.reserve(frame.len()) {
            slot.copy_from_slice(&frame);
            tx.commit(frame.len(), Offload::NONE);
        }
    }
}

/// What came of serving one connection.
enum Served {
    /// It has nothing more to send for now, or is gone.
    Idle,
    /// Its turn is over, but it has more.
    More,
    /// The port is full.
    Full,
}

/// Sending.
impl Stack {
    /// Lets one connection send for one turn.
    fn serve(&mut self, index: usize, tx: &mut dyn Tx) -> Served {
        if self.table.at(index).is_none_or(|slot| !slot.active) {
            return Served::Idle;
        }
        self.expire(index, tx);
        self.nudge(index, tx);
        let (frames, bytes) = (self.tally.frames + TURN_FRAMES, self.tally.bytes + TURN_BYTES);
        while self.tally.frames < frames && self.tally.bytes < bytes {
            if self.emit(index, tx) {
                continue;
            }
            if self.tally.full {
                return Served::Full;
            }
            self.rest(index);
            return Served::Idle;
        }
        Served::More
    }

    /// Sends one segment of a connection, if it has one and there is room.
    fn emit(&mut self, index: usize, tx: &mut dyn Tx) -> bool {
        let instant = self.instant();
        let Some(slot) = self.table.at_mut(index) else { return false };
        slot.avoid_silly_pieces();
        let (set, flow) = slot.parts();
        let mut wire = Wire { now: self.now, ..Wire::idle(&self.shape, tx, &mut self.tally) };
        wire.flow = Some(flow);
        self.iface.poll_egress(instant, &mut wire, set) == PollResult::SocketStateChanged
    }

    /// Ends what the stage itself ends.
    fn expire(&mut self, index: usize, tx: &mut dyn Tx) {
        let Some(slot) = self.table.at_mut(index).filter(|s| s.expires <= self.now) else { return };
        if slot.stage != Stage::HalfOpen {
            slot.socket_mut().abort();
            self.emit(index, tx);
        }
        self.forget(index);
    }

    /// Makes the socket send its oldest segment again, by showing it three duplicate acknowledgements.
    fn nudge(&mut self, index: usize, tx: &mut dyn Tx) {
        let now = self.now;
        let Some(slot) = self.table.at_mut(index) else { return };
        let Some((Nudge { seq, ack, window }, mac)) = slot.flow.take_nudge(now).zip(slot.mac) else { return };
        let frame = BareAck {
            to_mac: self.config.mac.octets(),
            from_mac: mac,
            from: slot.tuple.remote,
            to: self.config.address,
            from_port: slot.tuple.remote_port,
            to_port: slot.tuple.local_port,
            seq,
            ack,
            window,
        }
        .frame();
        for _ in 0..4 {
            self.deliver(Some(index), &frame, tx);
        }
    }

    /// Notes when a connection that has nothing to send wants to be served again, or lets it go.
    fn rest(&mut self, index: usize) {
        let instant = self.instant();
        let Some(slot) = self.table.at_mut(index) else { return };
        slot.active = false;
        if slot.stage == Stage::Released && slot.is_over() {
            return self.forget(index);
        }
        let due = match self.iface.poll_at(instant, slot.set()) {
            // It says it has something to send and sends nothing: not a reason to spin.
            Some(at) if at <= instant => self.now + Duration::from_millis(1),
            Some(at) => Time(u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000)),
            None => Time::NEVER,
        };
        slot.due = due.min(slot.flow.deadline()).min(slot.expires);
        self.next_due = self.next_due.min(slot.due);
    }

    /// Lets a connection go, and with it its buffers.
    fn forget(&mut self, index: usize) {
        let Some(slot) = self.table.at(index) else { return };
        if slot.socket().state() == TcpState::TimeWait {
            self.time_wait.insert(slot.tuple, slot.flow.numbers(), self.now);
        }
        if slot.stage == Stage::HalfOpen
            && let Some(listener) = self.listeners.at(slot.tuple.local_port)
        {
            listener.half_open -= 1;
        }
        self.table.remove(index);
    }
}

/// The first port to connect from: 49152..=65535 (RFC 6335, 6).
const fn ephemeral(seed: u64) -> u16 {
    49_152 | (seed ^ seed >> 16) as u16 & 0x3fff
}
