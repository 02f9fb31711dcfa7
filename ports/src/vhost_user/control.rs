//! The protocol, without its socket: what the front-end says, and what becomes of the session.
//!
//! A change takes the session away from the two halves first, and gives them another one afterwards. The order in which
//! front-ends say things differs: QEMU enables rings when its device is made, long before it says which features it
//! wants or where the rings are, and DPDK at the very end. So a ring starts whenever it has all that it needs:
//! addresses, a size and a kick; and it is worked on while it is enabled.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::memory::{self, Memory, SLOTS};
use super::message::{Addresses, Reply, Request, protocol};
use super::queue::{Agreed, MAX_SLOTS, Queue};
use super::session::{Ring, Session, Shared, pair};
use super::{
    EVENT_IDX, INDIRECT_DESC, MTU_UNSAID, Options, PROTOCOL_FEATURES, VERSION_1, capabilities, features,
};
use crate::peer::{event, lock};

/// Why a front-end is not listened to any longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Memory(#[from] memory::Refusal),
    #[error("request {0} is too short")]
    Short(u32),
    #[error("request {0} was never offered")]
    Unknown(u32),
    #[error("features {0:#x} were not offered")]
    Features(u64),
    #[error("ring {0} does not exist")]
    NoRing(u32),
    #[error("a ring of {0} slots: a power of two up to {MAX_SLOTS}")]
    Slots(u32),
    #[error("an MTU of {0}: {MIN_MTU} to {MAX_MTU}")]
    Mtu(u64),
    #[error("too many descriptors: {0}, of at most {1}")]
    Descriptors(usize, usize),
    #[error("a descriptor is missing")]
    NoDescriptor,
    #[error("a descriptor to kick or call by is no eventfd")]
    NoEvent,
}

/// Least and most MTU of a device (virtio 1.2, 5.1.4.1).
const MIN_MTU: u64 = 68;
const MAX_MTU: u64 = 65_535;

/// What is known of a ring.
#[derive(Default)]
struct Known {
    slots: u16,
    addresses: Option<Addresses>,
    base: u16,
    /// It may be started: its kick has come, or it is said that none will.
    kicked: bool,
    kick: Option<OwnedFd>,
    call: Arc<Mutex<Option<OwnedFd>>>,
    enabled: Arc<AtomicBool>,
    /// It was disabled after that.
    retired: bool,
}

/// One front-end's conversation with a port.
pub(super) struct Control {
    shared: Arc<Shared>,
    options: Options,
    features: u64,
    protocol: u64,
    /// What the guest is told, and so takes; 1500 unless the front-end says so.
    mtu: u32,
    memory: Memory,
    rings: Vec<Known>,
    /// A ring that could start was nowhere in the shared memory when one was asked for last: a region may be gone for the
    /// moment in which it is replaced.
    pub(super) lacks_memory: bool,
    /// A session has begun.
    pub(super) has_begun: bool,
}

impl Control {
    pub(super) fn new(options: Options, shared: Arc<Shared>) -> Self {
        let rings = std::iter::repeat_with(Known::default).take(2 * usize::from(options.queues)).collect();
        Self {
            shared,
            options,
            features: 0,
            protocol: 0,
            mtu: MTU_UNSAID,
            memory: Memory::default(),
            rings,
            lacks_memory: false,
            has_begun: false,
        }
    }

    /// Carries out a request, with the descriptors that came beside it. Says what to answer, if anything.
    pub(super) fn request(
        &mut self,
        request: u32,
        needs_reply: bool,
        payload: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<Option<Reply>, Refusal> {
        let parsed = Request::parse(request, payload).ok_or(Refusal::Short(request))?;
        if let Request::Unknown(_) = parsed {
            return Err(Refusal::Unknown(request));
        }
        if fds.len() > parsed.descriptors() {
            return Err(Refusal::Descriptors(fds.len(), parsed.descriptors()));
        }
        let offered = features(self.options.offloads);
        let reply = match parsed {
            Request::GetFeatures => Some(Reply::Number(offered)),
            Request::GetProtocolFeatures => Some(Reply::Number(Self::PROTOCOL)),
            Request::GetQueueNum => Some(Reply::Number(self.options.queues.into())),
            Request::GetMaxMemSlots => Some(Reply::Number(SLOTS as u64)),
            Request::GetVringBase { ring } => Some(self.stop(ring)?),
            other => {
                self.change(other, fds)?;
                None
            }
        };
        let acknowledge = needs_reply && self.protocol & protocol::REPLY_ACK != 0;
        Ok(reply.or_else(|| acknowledge.then_some(Reply::Number(0))))
    }

    /// What is offered beside the device's features.
    const PROTOCOL: u64 = protocol::MQ | protocol::REPLY_ACK | protocol::MTU | protocol::CONFIGURE_MEM_SLOTS;

    /// Requests that change something and have no answer of their own.
    fn change(&mut self, request: Request, fds: Vec<OwnedFd>) -> Result<(), Refusal> {
        match request {
            Request::SetVringCall { ring, fd } => return self.set_call(ring, fd, fds),
            Request::SetVringErr { .. } | Request::SetOwner => return Ok(()),
            _ => {}
        }
        let in_pieces = matches!(request, Request::AddMemReg(_) | Request::RemMemReg(_));
        self.pause();
        let changed = self.change_paused(request, fds);
        self.shared.presence().share(self.memory.bytes());
        let lacking = self.resume();
        self.lacks_memory = lacking && (self.lacks_memory || !in_pieces);
        changed
    }

    fn change_paused(&mut self, request: Request, fds: Vec<OwnedFd>) -> Result<(), Refusal> {
        match request {
            Request::SetFeatures(wanted) => {
                self.features = Self::among(wanted, features(self.options.offloads))?;
            }
            Request::SetProtocolFeatures(wanted) => self.protocol = Self::among(wanted, Self::PROTOCOL)?,
            Request::SetMtu(mtu) => {
                let valid = u32::try_from(mtu).ok().filter(|_| (MIN_MTU..=MAX_MTU).contains(&mtu));
                self.mtu = valid.ok_or(Refusal::Mtu(mtu))?;
            }
            Request::ResetOwner => self.forget_rings(),
            Request::SetMemTable(table) => self.memory = Memory::of(&table, &fds)?,
            Request::AddMemReg(region) => {
                self.memory = self.memory.with(region, fds.first().ok_or(Refusal::NoDescriptor)?)?;
            }
            Request::RemMemReg(region) => self.memory = self.memory.without(&region),
            Request::SetVringNum { ring, slots } => {
                let valid = u16::try_from(slots).ok().filter(|n| n.is_power_of_two() && *n <= MAX_SLOTS);
                self.ring(ring)?.slots = valid.ok_or(Refusal::Slots(slots))?;
            }
            Request::SetVringAddr { ring, addresses } => self.ring(ring)?.addresses = Some(addresses),
            #[expect(clippy::cast_possible_truncation, reason = "the other half belongs to packed rings")]
            Request::SetVringBase { ring, base } => self.ring(ring)?.base = base as u16,
            Request::SetVringKick { ring, fd } => self.set_kick(ring, fd, fds)?,
            Request::SetVringEnable { ring, on } => {
                let known = self.ring(ring)?;
                let was_on = known.enabled.swap(on, Ordering::AcqRel);
                known.retired = !on && (was_on || known.retired);
            }
            _ => {}
        }
        Ok(())
    }

    fn among(wanted: u64, offered: u64) -> Result<u64, Refusal> {
        if wanted & !offered == 0 { Ok(wanted) } else { Err(Refusal::Features(wanted & !offered)) }
    }

    fn ring(&mut self, ring: u32) -> Result<&mut Known, Refusal> {
        self.rings.get_mut(ring as usize).ok_or(Refusal::NoRing(ring))
    }

    fn set_kick(&mut self, ring: u32, fd: bool, fds: Vec<OwnedFd>) -> Result<(), Refusal> {
        let fd = described(fd, fds)?;
        if fd.is_none() && ring % 2 == 1 {
            return Err(Refusal::NoDescriptor); // a worker that sleeps could not be woken
        }
        // Without protocol features there is no SET_VRING_ENABLE, and rings are enabled when they are kicked.
        let enables = self.features & PROTOCOL_FEATURES == 0;
        let shared = self.shared.clone();
        let wakes = shared.wakes(pair(ring as usize));
        let known = self.ring(ring)?;
        let before = std::mem::replace(&mut known.kick, fd);
        before.iter().for_each(|kick| wakes.unwatch(kick.as_fd()));
        known.kicked = true;
        if enables {
            known.enabled.store(true, Ordering::Release);
        }
        // Only what the guest transmits is waited for.
        if let (Some(kick), true) = (&known.kick, ring % 2 == 1) {
            wakes.watch(kick.as_fd()).map_err(|_| Refusal::NoDescriptor)?;
        }
        Ok(())
    }

    /// The guest masks and unmasks its interrupts by this; the session goes on.
    fn set_call(&mut self, ring: u32, fd: bool, fds: Vec<OwnedFd>) -> Result<(), Refusal> {
        let fd = described(fd, fds)?;
        *lock(&self.ring(ring)?.call) = fd;
        // What was published before may have been told to nobody.
        if let Some(session) = self.shared.session() {
            session.ring(ring as usize).iter().for_each(|ring| ring.call());
        }
        Ok(())
    }

    fn forget_rings(&mut self) {
        for (number, known) in self.rings.iter_mut().enumerate() {
            let wakes = self.shared.wakes(pair(number));
            known.kick.iter().for_each(|kick| wakes.unwatch(kick.as_fd()));
            *known = Known::default();
        }
    }

    /// `GET_VRING_BASE`: the ring stops, and says how far it came.
    fn stop(&mut self, ring: u32) -> Result<Reply, Refusal> {
        self.pause();
        let shared = self.shared.clone();
        let stopped = self.ring(ring).map(|known| {
            let wakes = shared.wakes(pair(ring as usize));
            known.kick.take().iter().for_each(|kick| wakes.unwatch(kick.as_fd()));
            (known.kicked, known.retired) = (false, false);
            Reply::VringBase { ring, base: known.base.into() }
        });
        self.resume();
        stopped
    }

    /// Takes the session away from the halves, and notes how far it came.
    fn pause(&mut self) {
        let Some(session) = self.shared.end() else { return };
        for (number, known) in self.rings.iter_mut().enumerate() {
            if let Some(queue) = session.ring(number).and_then(|ring| ring.queue.as_ref()) {
                known.base = queue.base();
            }
        }
    }

    /// Gives the halves a session of all rings that can start. Says whether one could but for its memory.
    fn resume(&mut self) -> bool {
        let agreed = Agreed {
            indirect: self.features & INDIRECT_DESC != 0,
            event_idx: self.features & EVENT_IDX != 0,
        };
        let (mut started, mut lacking) = (false, false);
        let mut rings = Vec::with_capacity(self.rings.len());
        for known in &self.rings {
            let (call, enabled) = (known.call.clone(), known.enabled.clone());
            let mut ring = Ring { queue: None, call, enabled, retired: known.retired };
            let modern = self.features & VERSION_1 != 0; // else headers may have ten bytes
            if let (Some(addresses), true, true) = (known.addresses, known.kicked && modern, known.slots > 0)
            {
                ring.queue = Queue::new(self.memory.clone(), known.slots, addresses, agreed);
                lacking |= ring.queue.is_none();
            }
            ring.queue.iter().for_each(Queue::disarm);
            if ring.queue.is_some() {
                ring.call(); // what the session before published may have been told to nobody
                started = true;
            }
            rings.push(ring);
        }
        self.has_begun |= started;
        if started {
            let capabilities = capabilities(self.features, self.mtu);
            self.shared.begin(Session::new(
                rings,
                self.shared.shares(),
                self.features | VERSION_1,
                capabilities,
            ));
        }
        lacking
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.end();
        self.forget_rings();
    }
}

/// The descriptor that is to come with a request.
fn described(expected: bool, fds: Vec<OwnedFd>) -> Result<Option<OwnedFd>, Refusal> {
    let Some(fd) = fds.into_iter().next().filter(|_| expected) else {
        return if expected { Err(Refusal::NoDescriptor) } else { Ok(None) };
    };
    event(fd).map(Some).ok_or(Refusal::NoEvent)
}
