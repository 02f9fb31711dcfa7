//! The client's part: the memory is ours, and we say where in it everything is.
//!
//! ```text
//!  region 0: | S2M rings | M2S rings | buffers of the S2M rings | buffers of the M2S rings |
//! ```

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use super::conversation::{Conversation, Part, Refusal, Said, hung_up, program};
use super::memory::{Memory, file};
use super::message::{ETHERNET, Message, S2M, VERSION, padded};
use super::ring::{Place, Ring, Side, Way, lay_out};
use super::session::{Session, Shared};
use super::{LOG2_SLOTS, Options, memory_bytes};
use crate::ring::SLOT;

/// Our conversation with a server.
pub(super) struct Client {
    part: Part,
    /// What is to be said next, each when the server has carried out the one before.
    next: VecDeque<Said>,
    /// The session, until both are ready.
    ready: Option<Session>,
}

impl Client {
    pub(super) fn new(name: &str, options: &Options, shared: Arc<Shared>) -> Self {
        Self { part: Part::new(name, options, shared), next: VecDeque::new(), ready: None }
    }

    /// Makes memory and rings, as many and as long as the server takes, and notes what is to be said of them.
    fn prepare(&mut self, s2m: u16, m2s: u16, log2: u8) -> Result<(), Refusal> {
        let size = memory_bytes(s2m + m2s, log2);
        let failed = |e: crate::Error| Refusal::NoMemory(e.to_string());
        let file = Arc::new(file(&self.part.name, size).map_err(failed)?);
        let mut memory = Memory::default();
        memory.add(&file, size)?;
        let memory = Arc::new(memory);
        let Options { id, secret, .. } = &self.part.options;
        let (secret, name) = (padded(secret), program());
        self.next
            .push_back((Message::Init { version: VERSION, id: *id, mode: ETHERNET, secret, name }, None));
        self.next.push_back((Message::AddRegion { index: 0, size }, Some(file)));
        let ways = (0..s2m).map(|i| (Way::Out, i)).chain((0..m2s).map(|i| (Way::In, i)));
        let (mut receive, mut transmit) = (Vec::new(), Vec::new());
        for (number, (way, index)) in (0..).zip(ways) {
            let ring = self.ring(&memory, number, s2m + m2s, log2, (way, index))?;
            if way == Way::In { receive.push(ring) } else { transmit.push(ring) }
        }
        self.next.push_back((Message::Connect { name: self.part.port() }, None));
        self.ready = Some(Session::new(receive, transmit));
        Ok(())
    }

    /// Makes the ring of this number, of so many, and notes what is to be said of it.
    fn ring(
        &mut self,
        memory: &Arc<Memory>,
        number: u32,
        rings: u16,
        log2: u8,
        (way, index): (Way, u16),
    ) -> Result<Ring, Refusal> {
        #[expect(clippy::cast_possible_truncation, reason = "a few rings of a few hundred kilobytes")]
        let offset = number * Place::bytes(log2) as u32;
        let place = Place { region: 0, offset, log2 };
        let buffers = u64::from(rings) * Place::bytes(log2) + (u64::from(number) << log2) * SLOT as u64;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = Arc::new(event.map_err(|e| Refusal::NoMemory(e.to_string()))?);
        self.next.push_back((
            Message::AddRing {
                flags: if way == Way::Out { S2M } else { 0 },
                index,
                region: place.region,
                offset,
                log2_ring_size: log2,
                private_hdr_size: 0,
            },
            Some(event.clone()),
        ));
        let ring = lay_out(memory, place, buffers)
            .and_then(|()| Ring::new(memory.clone(), place, Side::Client { buffers }, way, event));
        ring.ok_or(Refusal::Place)
    }
}

impl Conversation for Client {
    fn greeting(&self) -> Option<Message> {
        None
    }

    fn hear(&mut self, message: Message, fd: Option<OwnedFd>) -> Result<Option<Said>, Refusal> {
        if fd.is_some() {
            return Err(Refusal::Descriptors);
        }
        match message {
            Message::Disconnect { reason, .. } => Err(hung_up(&reason)),
            Message::Hello {
                min_version,
                max_version,
                max_m2s_ring,
                max_s2m_ring,
                max_log2_ring_size,
                ..
            } if self.ready.is_none() && !self.part.connected => {
                if !(min_version..=max_version).contains(&VERSION) {
                    return Err(Refusal::Version);
                }
                let log2 = LOG2_SLOTS.min(max_log2_ring_size);
                if log2 == 0 {
                    return Err(Refusal::Slots(log2));
                }
                let rings = |last: u16| last.saturating_add(1).min(self.part.options.queues.into());
                self.prepare(rings(max_s2m_ring), rings(max_m2s_ring), log2)?;
                Ok(self.next.pop_front())
            }
            Message::Ack if !self.next.is_empty() => Ok(self.next.pop_front()),
            Message::Connected { .. } if self.next.is_empty() => {
                let session = self.ready.take().ok_or(Refusal::Order)?;
                self.part.begin(session)?;
                Ok(None)
            }
            _ => Err(Refusal::Order),
        }
    }

    fn is_connected(&self) -> bool {
        self.part.connected
    }
}
