//! Ports that accept connections, and who waits to be accepted.

use std::collections::{HashMap, VecDeque};

use crate::transport::{Connection, SocketOptions};

/// One listening port.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) options: SocketOptions,
    /// Established and not accepted, oldest first.
    pub(super) queue: VecDeque<Connection>,
    /// Handshakes under way.
    pub(super) half_open: usize,
}

/// All listening ports.
#[derive(Default)]
pub(super) struct Listeners(HashMap<u16, Listener>);

impl Listeners {
    pub(super) fn listen(&mut self, port: u16, options: SocketOptions) {
        self.0.entry(port).or_default().options = options;
    }

    pub(super) fn at(&mut self, port: u16) -> Option<&mut Listener> {
        self.0.get_mut(&port)
    }
}

impl Listener {
    /// Whether one more peer may knock: at most `backlog` handshakes, and as many connections not accepted.
    /// Beyond, a SYN is not answered, and its sender tries again a second later.
    pub(super) fn has_room(&self, backlog: usize) -> bool {
        self.half_open < backlog && self.queue.len() < backlog
    }
}
