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
//! * whoever sends to us is made known as a [neighbour](neighbours), so that the answer need not wait for ARP;
//! * connections that are over leave a few words in [`time_wait`] instead of their buffers.

mod arp;
mod claim;
mod config;
mod device;
mod egress;
mod flow;
mod ingress;
mod listener;
mod neighbours;
mod segment;
mod slot;
mod table;
mod time_wait;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use ports::{Burst, Capabilities, Mac, Offload, Port, Reason, Time, Tx, prefetched};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Cidr};

use arp::announcement;
use claim::Claim;
use config::is_host;
pub use config::{BadConfig, Config};
use device::{Shape, Tally, Wire};
use egress::Served;
use listener::Listeners;
use neighbours::Neighbours;
use segment::Tuple;
use slot::Slot;
use table::Table;
use time_wait::TimeWait;

/// Frames and bytes that one pass sends at most, so that a worker's other ports get their turn.
const PASS_FRAMES: u64 = 256;
const PASS_BYTES: u64 = 4 << 20;
/// A released connection that has not closed by then is reset.
const LINGER: Duration = Duration::from_secs(60);

/// A TCP/IPv4 host on a port.
pub struct Stack {
    config: Config,
    shape: Shape,
    iface: Interface,
    /// For what belongs to no connection: ARP, ICMP, segments to be answered with RST.
    nobody: SocketSet<'static>,
    neighbours: Neighbours,
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
    claim: Claim,
    /// The time of the last pass, for the calls between passes.
    now: Time,
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
            neighbours: Neighbours::new(config.address, config.prefix_len, config.gateway),
            table: Table::new(config.seed),
            listeners: Listeners::default(),
            time_wait: TimeWait::default(),
            active: VecDeque::new(),
            next_due: Time::NEVER,
            next_port: ephemeral(config.seed),
            tally,
            scratch: Vec::new(),
            announced: false,
            claim: Claim::new(config.mac, config.address),
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
        for frame in prefetched(&burst) {
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
        let probe = self.claim.probe(self.now);
        let announcement = announcement(self.config.mac.octets(), self.config.address);
        self.announced = put(&probe, tx) && put(&announcement, tx);
    }

    /// The station that answered for our address when the stack came up, if one did.
    #[must_use]
    pub const fn taken_by(&self) -> Option<Mac> {
        self.claim.taken_by()
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

    /// The same, unless all that it may have to send is an acknowledgement that waits.
    fn activate_unless_delayed(&mut self, index: usize) {
        let Some(slot) = self.table.at_mut(index) else { return };
        match slot.flow.acknowledges_at().filter(|_| slot.socket().send_queue() == 0) {
            Some(until) => self.next_due = self.next_due.min(until),
            None => self.activate(index),
        }
    }

    fn wake_due(&mut self) {
        if self.now < self.next_due {
            return;
        }
        self.next_due = Time::NEVER;
        for index in self.table.indices() {
            let Some(due) = self.table.at(index).filter(|s| !s.active).map(Slot::wakes_at) else { continue };
            if due <= self.now {
                self.activate(index);
            } else {
                self.next_due = self.next_due.min(due);
            }
        }
    }
}

/// Sends a frame that the stack wrote itself, if there is room.
fn put(frame: &[u8], tx: &mut dyn Tx) -> bool {
    let Some(slot) = tx.reserve(frame.len()).and_then(|slot| slot.get_mut(..frame.len())) else {
        return false;
    };
    slot.copy_from_slice(frame);
    tx.commit(frame.len(), Offload::NONE);
    true
}

/// The first port to connect from: 49152..=65535 (RFC 6335, 6).
const fn ephemeral(seed: u64) -> u16 {
    49_152 | (seed ^ seed >> 16) as u16 & 0x3fff
}
