//! AF_XDP ports: an interface's receive and transmit queues, shared with the kernel as rings (kernel
//! Documentation/networking/af_xdp.rst).
//!
//! ```text
//!              XDP program: frames of a queue go to its socket; without a socket, to the stack
//!   queue 0 --> rx ring --> Rx --> fill ring        Tx --> tx ring --> queue 0
//!   queue 1 --> rx ring --> Rx --> fill ring        Tx <-- completion ring
//! ```
//!
//! Each queue has its own socket and frame memory. The chunks of that memory are divided once, at the start,
//! between the receiving half, the transmitting half and nobody else, so that the halves share no state. Frames
//! leave by queue 0 only, which keeps them in order; or each queue is a port by itself ([`open_queues`]).
//!
//! AF_XDP hands over bytes, and not what else the kernel knows of a frame. Checksums left to be filled in are
//! noticed and counted ([`Reason::BadChecksum`](crate::Reason::BadChecksum)); a VLAN tag that a driver took out
//! of the frame cannot be, so interfaces with tagged traffic want `ethtool -K NAME rxvlan off`, and the far end
//! of a veth `txvlan off`.
//!
//! A thin layer of our own, for reasons: docs/decisions/0002-own-af-xdp-layer.md.

mod program;
mod queue;
mod ring;
mod rx;
mod socket;
mod tx;
mod umem;
mod unfilled;

use std::sync::Arc;

use crate::interface::Interface;
use crate::{Capabilities, Counters, Error, Port, Rings};
use queue::Queue;
use rx::{AfXdpRx, Attachment};

/// Where the XDP program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In the driver where it has native XDP, otherwise as [`Mode::Generic`], with a note.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the stack, on any interface. On a veth not slower than native.
    Generic,
}

/// How a port is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the XDP program runs.
    pub mode: Mode,
    /// Whether to let the driver use the frame memory itself, where it can. Never with [`Mode::Generic`].
    pub zero_copy: bool,
    /// Receive queues to take, from queue 0 on; `None` for all. The others stay with the host's stack.
    pub queues: Option<u32>,
    /// Slots of each ring, a power of two in [`MIN_SLOTS`]..=[`MAX_SLOTS`]. Each takes 2 KiB, or 4 KiB from
    /// MTU 1775 on: 16 MiB for queue 0 with its two directions, 8 MiB for each queue beyond.
    pub slots: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { mode: Mode::Auto, zero_copy: true, queues: None, slots: 4096 }
    }
}

/// Fewest slots of a ring.
pub const MIN_SLOTS: u32 = 64;
/// Most slots of a ring.
pub const MAX_SLOTS: u32 = 1 << 14;

/// Opens an existing interface of the calling thread's network namespace, and takes its frames for as long as
/// the port lives, those for other stations too. Nothing stays behind, however the process ends.
///
/// # Errors
/// If there is no such interface, it is down, its MTU is over what a slot holds, another AF_XDP socket or XDP
/// program is on it, the caller lacks `CAP_NET_RAW`, `CAP_NET_ADMIN` or `CAP_BPF`, or the kernel has no AF_XDP.
/// Then the interface is as it was.
pub fn open(name: &str, options: &Options) -> Result<Port, Error> {
    let interface = Interface::find(name)?.require_up()?;
    let mut notes = Vec::new();
    let count = queue_count(&interface, options, &mut notes)?;
    let counters = Arc::<Counters>::default();
    let queue = |index| Queue::open(&interface, index, options.slots, index == 0, &counters);
    let mut queues = (0..count).map(queue).collect::<Result<Vec<_>, _>>()?;
    let attachment = attach(&interface, options, &mut queues, &mut notes)?;
    let rings = Rings {
        tx_slots: options.slots,
        rx_slots: options.slots,
        tx_rings: 1,
        rx_rings: count,
        memory_bytes: queues.iter().map(Queue::memory_bytes).sum(),
        ..Rings::default()
    };
    let capabilities = Capabilities::wire(interface.mtu);
    let (rx, tx): (Vec<_>, Vec<_>) =
        queues.into_iter().map(|queue| queue.split(capabilities, &counters)).unzip();
    let rx = AfXdpRx::new(name, Arc::new(attachment), rx, counters.clone())?;
    let tx = tx.into_iter().next().ok_or_else(|| invalid(name, "no queue to send by"))?;
    Ok(Port { mac: Some(interface.mac), counters, rings, notes, ..Port::new(rx, tx) })
}

/// As [`open`], with a port for each of the queues 0 to `count - 1`, to be used by threads of their own: each receives
/// what comes in by its queue and sends by it. What is to be said of the interface is said of the first.
///
/// # Errors
/// As [`open`], or if the interface has not as many queues each way. [`Options::queues`] does not count.
pub fn open_queues(name: &str, options: &Options, count: u32) -> Result<Vec<Port>, Error> {
    let interface = Interface::find(name)?.require_up()?;
    let there = interface.rx_queues.min(interface.tx_queues);
    if usize::try_from(count).is_ok_and(|count| count > there) {
        let what = format!("a queue for each of {count} threads: it has {there} (try: -p {there})");
        return Err(invalid(name, what));
    }
    let mut notes = Vec::new();
    let count = queue_count(&interface, &Options { queues: Some(count), ..*options }, &mut notes)?;
    let counters = (0..count).map(|_| Arc::<Counters>::default()).collect::<Vec<_>>();
    let queue = |(index, counters)| Queue::open(&interface, index, options.slots, true, counters);
    let mut queues = (0..count).zip(&counters).map(queue).collect::<Result<Vec<_>, _>>()?;
    let attachment = Arc::new(attach(&interface, options, &mut queues, &mut notes)?);
    let capabilities = Capabilities::wire(interface.mtu);
    let port = |(queue, counters): (Queue, Arc<Counters>)| {
        let rings = Rings {
            tx_slots: options.slots,
            rx_slots: options.slots,
            tx_rings: 1,
            rx_rings: 1,
            memory_bytes: queue.memory_bytes(),
            ..Rings::default()
        };
        let (rx, tx) = queue.split(capabilities, &counters);
        let rx = AfXdpRx::new(name, attachment.clone(), vec![rx], counters.clone())?;
        let notes = std::mem::take(&mut notes);
        Ok(Port { mac: Some(interface.mac), counters, rings, notes, ..Port::new(rx, tx) })
    };
    queues.into_iter().zip(counters).map(port).collect()
}

/// Has the frames of these queues from now on.
fn attach(
    interface: &Interface,
    options: &Options,
    queues: &mut [Queue],
    notes: &mut Vec<String>,
) -> Result<Attachment, Error> {
    let promiscuous = interface.hold_promiscuous()?;
    let (program, mode) = program::attach(interface, options.mode, notes)?;
    let copy = !options.zero_copy || mode == bpf::Mode::Generic;
    for queue in &mut *queues {
        queue.bind(interface, &program, copy)?;
    }
    if queues.iter().any(Queue::is_zero_copy) {
        notes.push(format!("{}: zero-copy", interface.name));
    }
    Ok(Attachment { _program: program, _promiscuous: promiscuous })
}

/// Checks the options against the interface, and says how many of its queues to take.
fn queue_count(interface: &Interface, options: &Options, notes: &mut Vec<String>) -> Result<u32, Error> {
    let name = &interface.name;
    if !options.slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&options.slots) {
        let what =
            format!("{} slots: a ring has a power of two of {MIN_SLOTS} to {MAX_SLOTS}", options.slots);
        return Err(invalid(name, what));
    }
    let there = u32::try_from(interface.rx_queues).unwrap_or(u32::MAX);
    let wanted = options.queues.unwrap_or_else(|| there.min(bpf::MAX_QUEUES));
    if !(1..=there.min(bpf::MAX_QUEUES)).contains(&wanted) {
        let what = format!("{wanted} queues: it has {there}, and a port takes 1 to {}", bpf::MAX_QUEUES);
        return Err(invalid(name, what));
    }
    if wanted < there {
        notes.push(format!("{name}: receive queues {wanted} to {} stay with the host's stack", there - 1));
    }
    Ok(wanted)
}

fn invalid(name: &str, what: impl Into<String>) -> Error {
    Error::Invalid { name: name.to_owned(), what: what.into() }
}
