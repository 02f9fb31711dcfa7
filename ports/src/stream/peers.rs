//! Conversations, one after the other: control has little to say in them but when they end.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::TAKES;
use crate::error::way_out;
use crate::peer::{self, End, Host, Told, Waiting};
use crate::presence::takes;
use crate::{Peer, Presence};

/// What control and the two halves of a port share.
pub(super) type Shared = peer::Shared<Session, Parting>;
/// A conversation, while a half works with it.
pub(super) type Held = Arc<peer::Held<Session>>;

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// The other side has hung up.
    HungUp,
    /// It announced a frame of a length that makes no sense: what follows could be anything.
    Length(u32),
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HungUp => f.write_str("it has hung up"),
            Self::Length(len) => write!(f, "it announced a frame of {len} bytes"),
        }
    }
}

impl From<Parting> for Peer {
    fn from(parting: Parting) -> Self {
        match parting {
            Parting::HungUp => Self::Nobody,
            Parting::Length(_) => Self::Ended(format!("the other side broke the rules: {parting}")),
        }
    }
}

/// A conversation with one peer.
#[derive(Debug)]
pub(super) struct Session {
    /// Never waits.
    pub(super) socket: OwnedFd,
    /// Of this one, among all of the port.
    pub(super) number: u64,
    /// One of the halves has ended it.
    over: AtomicBool,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&takes(&TAKES))
    }
}

/// Ends a conversation. Both halves may notice, and the second must not end the next one.
#[cold]
pub(super) fn part(shared: &Shared, session: &Held, why: Parting) {
    if !session.over.swap(true, Ordering::AcqRel) {
        shared.fail(session, why);
    }
}

/// Hands whoever comes to the halves.
pub(super) struct Peers {
    shared: Arc<Shared>,
    told: Told,
    /// Conversations so far.
    number: u64,
}

impl Peers {
    pub(super) fn new(name: &str, shared: Arc<Shared>) -> Self {
        Self { shared, told: Told::new(name), number: 0 }
    }
}

impl Host for Peers {
    fn serve(&mut self, peer: &OwnedFd, waiting: &Waiting) -> End {
        self.number += 1;
        let (number, over) = (self.number, AtomicBool::new(false));
        let watched = peer.try_clone().and_then(|socket| {
            self.shared.wakes(0).watch(socket.as_fd())?;
            Ok(socket)
        });
        let socket = match watched {
            Ok(socket) => socket,
            Err(e) => {
                self.told.warn(&format!("a second descriptor: {e}{}", way_out(&e)));
                return End::Refused;
            }
        };
        self.shared.begin(Session { socket, number, over });
        let end = loop {
            let news = self.told.look(self.shared.presence(), Instant::now());
            waiting.wait(None, news);
            if waiting.is_over() {
                self.told.gone("the port is detached", Instant::now());
                break End::Stopped;
            }
            let Some(why) = self.shared.broken() else { continue };
            self.told.gone(&why.to_string(), Instant::now());
            if why == Parting::HungUp {
                self.told.forget();
                break End::Lost;
            }
            self.told.warn(&format!("the conversation ends: {why}"));
            break End::Refused;
        };
        self.shared.end();
        end
    }

    fn presence(&self) -> &Presence {
        self.shared.presence()
    }
}
