//! One port of a switch, as its fellow members see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ports::ring::Landing;
use ports::{Counters, Reason, Sent, Time, Tx};

use crate::PortIndex;
use crate::backlog::Backlog;
use crate::load::{Delivered, Load};
use crate::offload::{self, Scratch};

/// How long frames of a [`WhenFull::Wait`] port wait for a destination that accepts nothing at all. From then on
/// frames to it are dropped, as [`Reason::Full`], until it accepts one again.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// What becomes of a member's frames when their destination has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They are dropped and counted: for NICs and guests, whose frames must not pile up here.
    Drop,
    /// They stay in the port and are tried again, for at most [`PATIENCE`]: for apps, which see their ring fill up
    /// and send slower. Flooded frames do not wait.
    Wait,
}

/// What a port brings to its switch.
pub struct Joining {
    /// Name of the port, without the switch's: `tap7`.
    pub name: String,
    /// Where its frames go.
    pub tx: Box<dyn Tx>,
    /// What is counted of it.
    pub counters: Arc<Counters>,
    /// What becomes of its own frames when their destination has no room.
    pub when_full: WhenFull,
}

/// A port on a switch.
pub struct Member {
    index: PortIndex,
    name: String,
    when_full: WhenFull,
    gone: AtomicBool,
    /// Used by the one worker that receives from the port; a lock, since ports move between workers. Only frames of
    /// [`WhenFull::Wait`] ports are ever in it, and those have one.
    backlog: Mutex<Backlog>,
    /// There is something in it: the lock is taken only then.
    waiting: AtomicBool,
    counters: Arc<Counters>,
    egress: Egress,
}

/// The half that every worker uses to send to the port. What the worker that receives from it looks at is
/// on other lines, or the two would wait for each other with every frame.
#[repr(align(128))]
struct Egress {
    /// As the member's.
    counters: Arc<Counters>,
    tx: Mutex<Option<Box<dyn Tx>>>,
    /// Since when the port accepted nothing, ns; `Time::NEVER` while it does.
    full_since: AtomicU64,
    /// What can be done to `tx` without the lock.
    landing: Option<Landing>,
}

impl Member {
    pub(crate) fn new(index: PortIndex, joining: Joining) -> Self {
        let Joining { name, tx, counters, when_full } = joining;
        Self {
            index,
            name,
            when_full,
            gone: AtomicBool::new(false),
            backlog: Mutex::default(),
            waiting: AtomicBool::new(false),
            counters: counters.clone(),
            egress: Egress {
                counters,
                landing: tx.landing(),
                tx: Mutex::new(Some(tx)),
                full_since: AtomicU64::new(Time::NEVER.0),
            },
        }
    }

    /// The port's place on its switch.
    #[must_use]
    pub const fn index(&self) -> PortIndex {
        self.index
    }

    /// The port's name, without the switch's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is counted of the port.
    #[must_use]
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What becomes of the port's own frames when their destination has no room.
    #[must_use]
    pub const fn when_full(&self) -> WhenFull {
        self.when_full
    }

    pub(crate) fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backlog, if frames wait in it.
    pub(crate) fn waiting(&self) -> Option<MutexGuard<'_, Backlog>> {
        self.waiting.load(Ordering::Relaxed).then(|| self.backlog())
    }

    /// Says whether frames wait in the backlog.
    pub(crate) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Makes the member one that left: it takes no more frames. What it sent them with is the caller's to drop.
    pub(crate) fn close(&self) -> Option<Box<dyn Tx>> {
        self.gone.store(true, Ordering::SeqCst);
        self.tx().take()
    }

    /// Whether the member left. In one order with the MAC table's writes; see `Switch::leave`.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Copies a load into the port, as much as it takes, and counts what became of it.
    pub(crate) fn deliver(&self, load: &Load<'_, '_>, scratch: &mut Scratch, now: Time) -> Delivered {
        let mut tx = self.tx();
        let Some(tx) = tx.as_deref_mut() else { return self.miss(load) };
        let takes = tx.capabilities();
        if !load.fits(&takes) {
            return self.delivered(&offload::transmit(tx, &takes, load, scratch), load, now);
        }
        let Sent { taken, frames, bytes } = tx.transmit(load.frames);
        if taken == load.frames.len() && frames == taken as u64 {
            self.egress.counters.add_tx(frames, bytes); // all went well, as nearly always
            self.accepts();
            return Delivered { done: taken, outcomes: frames, ..Delivered::default() };
        }
        let sent = Sent { taken, frames, bytes };
        let done = taken.min(load.frames.len());
        self.delivered(&offload::Transmitted { done, sent, ..Default::default() }, load, now)
    }

    /// Asks the processor for what a delivery of so many frames will write to.
    #[inline]
    pub(crate) fn prefetch(&self, frames: usize) {
        if let Some(landing) = &self.egress.landing {
            landing.prefetch(frames);
        }
    }

    /// Makes what was delivered visible to the other side. Says whether all of it is on its way. Between the
    /// deliveries and this belongs a full fence.
    #[inline]
    pub(crate) fn flush(&self) -> bool {
        match &self.egress.landing {
            Some(landing) => {
                landing.kick();
                true
            }
            None => self.tx().as_mut().is_none_or(|tx| tx.flush()),
        }
    }

    fn tx(&self) -> MutexGuard<'_, Option<Box<dyn Tx>>> {
        self.egress.tx.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn miss(&self, load: &Load<'_, '_>) -> Delivered {
        let outcomes = load.frames.len() as u64;
        self.egress.counters.add_drops(Reason::PortGone, outcomes);
        Delivered { done: load.frames.len(), outcomes, ..Delivered::default() }
    }

    /// Counts what became of a load.
    #[inline(never)]
    fn delivered(&self, transmitted: &offload::Transmitted, load: &Load<'_, '_>, now: Time) -> Delivered {
        let sent = transmitted.sent;
        self.egress.counters.add_tx(sent.frames, sent.bytes);
        let failed = (sent.taken as u64).saturating_sub(sent.frames);
        let drops = [
            (Reason::Error, failed),
            (Reason::NoOffload, transmitted.no_offload),
            (Reason::Oversize, transmitted.oversize),
        ];
        for (reason, n) in drops.into_iter().filter(|(_, n)| *n > 0) {
            self.egress.counters.add_drops(reason, n);
        }
        if sent.taken > 0 {
            self.accepts();
        }
        Delivered {
            done: transmitted.done,
            pieces: transmitted.pieces,
            outcomes: sent.taken as u64 + transmitted.refused(),
            stopped: transmitted.done < load.frames.len() && self.is_stopped(sent, now),
        }
    }

    /// Notes that the port accepted frames.
    #[inline]
    fn accepts(&self) {
        if self.egress.full_since.load(Ordering::Relaxed) != Time::NEVER.0 {
            self.egress.full_since.store(Time::NEVER.0, Ordering::Relaxed);
        }
    }

    /// Whether the port, which just had no room, has had none for too long.
    fn is_stopped(&self, sent: Sent, now: Time) -> bool {
        if sent.taken > 0 {
            return false;
        }
        let full_since = Time(self.egress.full_since.load(Ordering::Relaxed));
        if full_since == Time::NEVER {
            self.egress.full_since.store(now.0, Ordering::Relaxed);
        }
        now.since(full_since) >= PATIENCE
    }
}
