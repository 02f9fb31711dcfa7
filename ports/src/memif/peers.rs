//! Conversations with peers, one after the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use super::client::Client;
use super::conversation::{Conversation, Refusal, Said};
use super::message::{LEN, Message};
use super::server::Server;
use super::session::Shared;
use crate::peer::socket::{open, receive, send};
use crate::peer::{End, HANDSHAKE, Host, Over, Talk, Waiting, talk};

/// Until a peer that was refused, or lost its session, is listened to again. It begins anew, with memory of its own, so
/// that it may; but not so often that it keeps us or fills the log.
const PAUSE: Duration = Duration::from_millis(500);

/// Speaks with whoever comes, or with whom we go to.
pub(super) struct Peers {
    name: String,
    options: Options,
    shared: Arc<Shared>,
    /// What was said of a peer last: a peer that does the same again is not worth another line.
    told: String,
}

impl Peers {
    pub(super) fn new(name: &str, options: Options, shared: Arc<Shared>) -> Self {
        Self { name: name.to_owned(), options, shared, told: String::new() }
    }

    fn conversation(&self) -> Box<dyn Conversation> {
        let (name, options, shared) = (&self.name, &self.options, self.shared.clone());
        if options.client {
            Box::new(Client::new(name, options, shared))
        } else {
            Box::new(Server::new(name, options, shared))
        }
    }

    /// Tells of a peer that is not listened to any longer.
    fn tell(&mut self, why: &Refusal, was_connected: bool) {
        let line = match why {
            Refusal::HungUp(_) if was_connected => return, // it went in peace
            Refusal::Broken(broken) => format!("the other side lost its session: {broken}"),
            why => why.to_string(),
        };
        if line != self.told {
            tracing::warn!("{}: {line}", self.name);
            self.told = line;
        }
    }
}

impl Host for Peers {
    fn serve(&mut self, peer: &OwnedFd, waiting: &Waiting) -> End {
        self.shared.broken(); // by the peer before
        let mut conversation = self.conversation();
        let greeting = conversation.greeting().map(|greeting| (greeting, None));
        if open(peer).is_err() || greeting.is_some_and(|greeting| say(peer, &greeting).is_err()) {
            return End::Lost;
        }
        let why = match talk(peer, waiting, &self.shared, Some(HANDSHAKE), &mut conversation) {
            Over::Stopped => {
                let _ = say(peer, &(Message::disconnect("the port is detached"), None));
                return End::Stopped;
            }
            Over::HungUp => return End::Lost,
            Over::Silent => Refusal::Silent,
            Over::Broken(broken) => Refusal::Broken(broken),
            Over::Refused(why) => why,
        };
        self.tell(&why, conversation.is_connected());
        if matches!(why, Refusal::HungUp(_)) {
            return End::Lost;
        }
        let _ = say(peer, &(Message::disconnect(&why.to_string()), None));
        drop(conversation);
        waiting.wait(None, Some(PAUSE));
        if waiting.is_over() { End::Stopped } else { End::Lost }
    }
}

impl Talk for Box<dyn Conversation> {
    type Refusal = Refusal;

    fn exchange(&mut self, peer: &OwnedFd) -> Result<bool, Refusal> {
        exchange(peer, &mut **self)
    }

    fn is_settled(&self) -> bool {
        self.is_connected()
    }
}

/// Hears one message and answers it; false when the peer has gone without a word.
pub(super) fn exchange(peer: &OwnedFd, conversation: &mut dyn Conversation) -> Result<bool, Refusal> {
    let mut bytes = [0; LEN + 1]; // one more than there may be
    let mut fds = Vec::new();
    let len = match receive(peer, &mut bytes, &mut fds) {
        Ok(0) => return Ok(false),
        Ok(len) => len,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(Refusal::Descriptors),
        Err(_) => return Ok(false),
    };
    let message = bytes.first_chunk().filter(|_| len == LEN).and_then(Message::parse);
    if fds.len() > 1 {
        return Err(Refusal::Descriptors);
    }
    let answer = conversation.hear(message.ok_or(Refusal::Message)?, fds.pop())?;
    Ok(answer.is_none_or(|answer| say(peer, &answer).is_ok()))
}

fn say(peer: &OwnedFd, (message, fd): &Said) -> io::Result<()> {
    let fd = fd.as_ref().map(AsFd::as_fd);
    send(peer, &message.to_bytes(), fd.as_slice())
}
