//! The server's part: a client says where its memory is, and we look whether it is so.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Options;
use super::conversation::{Conversation, Part, Refusal, Said, hung_up, program};
use super::memory::{Memory, REGIONS};
use super::message::{ETHERNET, Message, S2M, SECRET, VERSION, padded};
use super::ring::{MAX_LOG2, Place, Ring, Side, Way};
use super::session::{Session, Shared};
use crate::peer::event;

/// A ring that the client announced.
struct Announced {
    place: Place,
    event: Arc<OwnedFd>,
}

/// One client's conversation with a port.
pub(super) struct Server {
    part: Part,
    /// It said which port it wants, and may have it.
    welcome: bool,
    memory: Memory,
    /// Rings from the client, and to it.
    s2m: Vec<Announced>,
    m2s: Vec<Announced>,
}

impl Server {
    pub(super) fn new(name: &str, options: &Options, shared: Arc<Shared>) -> Self {
        let part = Part::new(name, options, shared);
        Self { part, welcome: false, memory: Memory::default(), s2m: Vec::new(), m2s: Vec::new() }
    }

    /// Whether this client may have this port.
    fn admit(&self, version: u16, id: u32, mode: u8, secret: [u8; SECRET]) -> Result<(), Refusal> {
        let Options { id: ours, secret: wanted, .. } = &self.part.options;
        if version != VERSION {
            return Err(Refusal::Version);
        }
        if id != *ours {
            return Err(Refusal::Id(id));
        }
        if mode != ETHERNET {
            return Err(Refusal::Mode);
        }
        let wanted_bytes: [u8; SECRET] = padded(wanted);
        // All of it, wherever it differs: how long that takes says nothing.
        let differ = wanted_bytes.iter().zip(secret).fold(0, |differ, (a, b)| differ | (a ^ b));
        if differ != 0 && !wanted.is_empty() { Err(Refusal::Secret) } else { Ok(()) }
    }

    fn add_region(&mut self, index: u16, size: u64, fd: Option<OwnedFd>) -> Result<(), Refusal> {
        if index != self.memory.regions() || index >= REGIONS {
            return Err(Refusal::Region(index));
        }
        Ok(self.memory.add(fd.ok_or(Refusal::NoDescriptor)?, size)?)
    }

    fn add_ring(&mut self, flags: u16, index: u16, place: Place, fd: Option<OwnedFd>) -> Result<(), Refusal> {
        let rings = if flags & S2M != 0 { &mut self.s2m } else { &mut self.m2s };
        if usize::from(index) != rings.len() || index >= self.part.options.queues.into() {
            return Err(Refusal::Ring(index));
        }
        if !(1..=MAX_LOG2).contains(&place.log2) {
            return Err(Refusal::Slots(place.log2));
        }
        let event = event(fd.ok_or(Refusal::NoDescriptor)?).ok_or(Refusal::NoEvent)?;
        rings.push(Announced { place, event: Arc::new(event) });
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Refusal> {
        if self.s2m.is_empty() || self.m2s.is_empty() {
            return Err(Refusal::NoRing);
        }
        let memory = Arc::new(std::mem::take(&mut self.memory));
        let rings = |announced: &mut Vec<Announced>, way| {
            let ring =
                |Announced { place, event }| Ring::new(memory.clone(), place, Side::Server, way, event);
            announced.drain(..).map(ring).collect::<Option<Vec<_>>>().ok_or(Refusal::Place)
        };
        let (receive, transmit) = (rings(&mut self.s2m, Way::In)?, rings(&mut self.m2s, Way::Out)?);
        self.part.begin(Session::new(receive, transmit))
    }
}

impl Conversation for Server {
    fn greeting(&self) -> Option<Message> {
        let last_ring = u16::from(self.part.options.queues) - 1;
        Some(Message::Hello {
            name: program(),
            min_version: VERSION,
            max_version: VERSION,
            max_region: REGIONS - 1,
            max_m2s_ring: last_ring,
            max_s2m_ring: last_ring,
            max_log2_ring_size: MAX_LOG2,
        })
    }

    fn hear(&mut self, message: Message, fd: Option<OwnedFd>) -> Result<Option<Said>, Refusal> {
        let mut reply = Message::Ack;
        if fd.is_some() && !message.brings_descriptor() {
            return Err(Refusal::Descriptors);
        }
        match message {
            Message::Disconnect { reason, .. } => return Err(hung_up(&reason)),
            Message::Init { version, id, mode, secret, .. } if !self.welcome => {
                self.admit(version, id, mode, secret)?;
                self.welcome = true;
            }
            _ if !self.welcome || self.part.connected => return Err(Refusal::Order),
            Message::AddRegion { index, size } => self.add_region(index, size, fd)?,
            Message::AddRing { private_hdr_size: 1.., .. } => return Err(Refusal::PrivateHeader),
            Message::AddRing { flags, index, region, offset, log2_ring_size, .. } => {
                self.add_ring(flags, index, Place { region, offset, log2: log2_ring_size }, fd)?;
            }
            Message::Connect { .. } => {
                self.connect()?;
                reply = Message::Connected { name: self.part.port() };
            }
            _ => return Err(Refusal::Order),
        }
        Ok(Some((reply, None)))
    }

    fn is_connected(&self) -> bool {
        self.part.connected
    }
}
