//! The app: a stack, and a protocol on top of it.

use crate::config::{Config, Invalid, Mode};
use crate::cpu::CpuTime;
use crate::event::EventSink;
use crate::iperf3::{Client, Server};
use crate::stack::{self, BadConfig, Stack};
use crate::transport::Transport;
use ports::{App, Capabilities, Mac, Port, Progress, Time};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// An endpoint cannot be what its configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The stack cannot have the address or the port.
    #[error(transparent)]
    Stack(#[from] BadConfig),
}

enum Protocol {
    Server(Box<Server>),
    Client(Box<Client>),
}

impl Protocol {
    fn poll(&mut self, stack: &mut Stack, now: Time) -> bool {
        match self {
            Self::Server(server) => server.poll(stack, now),
            Self::Client(client) => client.poll(stack, now),
        }
    }

    fn deadline(&self, now: Time) -> Time {
        match self {
            Self::Server(server) => server.deadline(now),
            Self::Client(client) => client.deadline(now),
        }
    }

    fn give_up(&mut self, why: &str) {
        match self {
            Self::Server(server) => server.give_up(why),
            Self::Client(client) => client.give_up(why),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Server(server) => server.status().is_some(),
            Self::Client(client) => client.status().is_some(),
        }
    }
}

/// An iperf3 server or client with an address of its own, on any port.
///
/// What it has to say goes to its event sink; the last event is [`Done`](crate::Event::Done), with the exit
/// status.
pub struct Endpoint {
    stack: Stack,
    protocol: Protocol,
}

impl Endpoint {
    /// An endpoint for a port that takes what `capabilities` says. `mac` is its station address unless the
    /// configuration has one.
    ///
    /// # Errors
    /// The first value of the configuration that cannot be, by its flag and with its range.
    pub fn new(
        config: Config,
        mac: Mac,
        capabilities: Capabilities,
        events: EventSink,
    ) -> Result<Self, Error> {
        config.validate()?;
        let random = RandomState::new();
        let mac = config.mac.unwrap_or(mac);
        let mut host =
            stack::Config::new(config.address.address, config.address.prefix, mac, random.hash_one(0));
        host.gateway = config.gateway;
        if let Mode::Client(client) = &config.mode {
            // The client's own patience ends first: it knows what to say.
            host.connect_timeout = client.connect_timeout + Duration::from_secs(1);
        }
        let frame = capabilities.frame.min(u32::from(config.mtu) + 14);
        let stack = Stack::new(host, Capabilities { frame, ..capabilities })?;
        let cpu = CpuTime::of_thread;
        let protocol = match config.mode {
            Mode::Server(server) => Protocol::Server(Box::new(Server::new(server, cpu, events))),
            Mode::Client(client) => {
                Protocol::Client(Box::new(Client::new(client, random.hash_one(1), cpu, events)))
            }
        };
        Ok(Self { stack, protocol })
    }
}

impl App for Endpoint {
    /// The protocol runs between the stack's two halves, so that acknowledgements travel with its answers.
    fn poll(&mut self, port: &mut Port, now: Time) -> Progress {
        let received = self.stack.ingress(port, now);
        if let Some(mac) = self.stack.taken_by() {
            let address = self.stack.address();
            self.protocol.give_up(&format!("{address}: taken by {mac} (try another --ip)"));
        }
        let moved = self.protocol.poll(&mut self.stack, now);
        let sent = self.stack.egress(port, now);
        let deadline = self.stack.deadline(now).min(self.protocol.deadline(now));
        Progress { busy: received || moved || sent, deadline, done: self.protocol.is_done() }
    }

    fn stop(&mut self, _: Time) {
        match &mut self.protocol {
            Protocol::Server(server) => server.stop(),
            Protocol::Client(client) => client.stop(),
        }
    }
}
