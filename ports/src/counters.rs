//! What happened to frames: nothing is lost silently.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Why a frame was dropped. Each is counted on the port where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Egress: the destination's ring or queue had no room.
    Full,
    /// Ingress: shorter than an Ethernet header.
    Runt,
    /// Egress: longer than the destination takes, and not to be segmented.
    Oversize,
    /// Ingress: the destination station is behind the port the frame came from.
    Reflect,
    /// Ingress: nobody to flood to (the only port on its switch).
    NoDestination,
    /// Egress: the offload metadata cannot be honoured: malformed headers, or a kind nobody defined.
    NoOffload,
    /// Egress: the destination left while the frame was on its way.
    PortGone,
    /// Egress: the backend failed for good (an I/O error, interface down). Ingress: what a peer broke could not be read.
    Error,
    /// Ingress: arrived with a checksum left to be filled in and nobody to say so (AF_XDP on veth).
    BadChecksum,
    /// Dropped by the kernel: on ingress before we saw it (socket or ring overrun), on egress after it was
    /// handed over (no carrier).
    Kernel,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::Full,
        Self::Runt,
        Self::Oversize,
        Self::Reflect,
        Self::NoDestination,
        Self::NoOffload,
        Self::PortGone,
        Self::Error,
        Self::BadChecksum,
        Self::Kernel,
    ];

    /// The name that users see, in text and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Runt => "runt",
            Self::Oversize => "oversize",
            Self::Reflect => "reflect",
            Self::NoDestination => "no_destination",
            Self::NoOffload => "no_offload",
            Self::PortGone => "port_gone",
            Self::Error => "error",
            Self::BadChecksum => "bad_checksum",
            Self::Kernel => "kernel",
        }
    }
}

/// Counters of one port, from the port's point of view of the dataplane: `rx` is what came in by it, `tx`
/// what went out. Any thread may read them; whoever moves frames adds once per burst.
///
/// What comes in is counted by whoever has the port's [`Rx`](crate::Rx), what goes out by whoever has its
/// [`Tx`](crate::Tx): one thread at a time each, so that a plain sum does, which costs a sixth of an atomic one. Ports
/// that several workers receive from have counters [`for_several`](Self::for_several). Drops are counted from wherever
/// they happen.
#[derive(Debug, Default)]
pub struct Counters {
    rx: Ingress,
    tx: Egress,
    drops: Drops,
}

/// What the thread that has the [`Rx`](crate::Rx) counts.
#[derive(Debug, Default)]
#[repr(align(128))] // its own pair of cache lines, as of the next two: nobody slows the writer of another
struct Ingress {
    frames: AtomicU64,
    bytes: AtomicU64,
    /// Copies made of flooded frames beyond the first.
    copies: AtomicU64,
    /// There are several such threads.
    several: bool,
}

impl Ingress {
    #[inline]
    fn add(&self, counter: &AtomicU64, n: u64) {
        if self.several {
            counter.fetch_add(n, Ordering::Relaxed);
        } else {
            add(counter, n);
        }
    }
}

/// What the thread that has the [`Tx`](crate::Tx) counts.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Egress {
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// By reason.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Drops([AtomicU64; Reason::ALL.len()]);

impl Counters {
    /// Counters of a port that several threads receive from at once.
    #[must_use]
    pub fn for_several() -> Self {
        Self { rx: Ingress { several: true, ..Ingress::default() }, ..Self::default() }
    }

    /// Counts frames that came in. Of two threads that do so at once, one may be lost: see [`Counters`].
    #[inline]
    pub fn add_rx(&self, frames: u64, bytes: u64) {
        self.rx.add(&self.rx.frames, frames);
        self.rx.add(&self.rx.bytes, bytes);
    }

    /// Counts frames that went out. Of two threads that do so at once, one may be lost: see [`Counters`].
    #[inline]
    pub fn add_tx(&self, frames: u64, bytes: u64) {
        add(&self.tx.frames, frames);
        add(&self.tx.bytes, bytes);
    }

    /// Counts copies of flooded ingress frames beyond the first, so that
    /// `rx + copies = tx + drops`, summed over the ports of a switch, balances exactly. By whoever has the port's
    /// [`Rx`](crate::Rx), as [`Self::add_rx`].
    #[inline]
    pub fn add_copies(&self, n: u64) {
        self.rx.add(&self.rx.copies, n);
    }

    /// Counts dropped frames.
    pub fn add_drops(&self, reason: Reason, n: u64) {
        self.drops.0[reason as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// A reading of all counters. Each is exact; together they are as of slightly different moments.
    #[must_use]
    pub fn read(&self) -> Totals {
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Totals {
            rx_frames: read(&self.rx.frames),
            rx_bytes: read(&self.rx.bytes),
            tx_frames: read(&self.tx.frames),
            tx_bytes: read(&self.tx.bytes),
            copies: read(&self.rx.copies),
            drops: Reason::ALL.map(|r| read(&self.drops.0[r as usize])),
        }
    }

    /// Begins anew at zero; while nobody counts.
    pub fn reset(&self) {
        let all = [&self.rx.frames, &self.rx.bytes, &self.rx.copies, &self.tx.frames, &self.tx.bytes];
        all.into_iter().chain(&self.drops.0).for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
}

/// Adds to a counter that has one writer.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// One reading of [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that came in by the port.
    pub rx_frames: u64,
    /// Their bytes, Ethernet header included, FCS not.
    pub rx_bytes: u64,
    /// Frames that went out by the port.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Copies of flooded ingress frames beyond the first.
    pub copies: u64,
    drops: [u64; Reason::ALL.len()],
}

impl Totals {
    /// Frames dropped for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: Reason) -> u64 {
        self.drops[reason as usize]
    }

    /// Frames dropped for whatever reason.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|r| (r, self.dropped(r))).filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_threads_may_receive_from_a_port_whose_counters_know_it() {
        let counters = Counters::for_several();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100_000 {
                        counters.add_rx(1, 60);
                        counters.add_copies(2);
                    }
                });
            }
        });
        let totals = counters.read();
        assert_eq!((totals.rx_frames, totals.rx_bytes, totals.copies), (400_000, 24_000_000, 800_000));
        counters.add_tx(1, 60);
        counters.add_drops(Reason::Kernel, 1);
        counters.reset();
        assert_eq!(counters.read(), Totals::default());
    }
}
