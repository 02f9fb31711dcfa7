//! Conversations with peers, one after the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::Options;
use super::client::Client;
use super::conversation::{Conversation, Refusal, Said};
use super::message::{LEN, Message};
use super::server::Server;
use super::session::Shared;
use crate::Presence;
use crate::peer::socket::{open, receive, send};
use crate::peer::{End, HANDSHAKE, Host, Over, Talk, Told, Waiting, talk};

/// Speaks with whoever comes, or with whom we go to.
pub(super) struct Peers {
    name: String,
    options: Options,
    shared: Arc<Shared>,
    told: Told,
}

impl Peers {
    pub(super) fn new(name: &str, options: Options, shared: Arc<Shared>) -> Self {
        Self { name: name.to_owned(), options, shared, told: Told::new(name) }
    }

    fn conversation(&self) -> Box<dyn Conversation> {
        let (name, options, shared) = (&self.name, &self.options, self.shared.clone());
        if options.client {
            Box::new(Client::new(name, options, shared))
        } else {
            Box::new(Server::new(name, options, shared))
        }
    }

    /// Says why a peer is not listened to any longer, to the log and to the peer.
    fn refuse(&mut self, peer: &OwnedFd, why: &Refusal) -> End {
        self.told.warn(&match why {
            Refusal::Broken(broken) => format!("the other side lost its session: {broken}"),
            why => why.to_string(),
        });
        if !matches!(why, Refusal::HungUp(_)) {
            let _ = say(peer, &(Message::disconnect(&why.to_string()), None), &self.told);
        }
        End::Refused
    }
}

impl Host for Peers {
    fn serve(&mut self, peer: &OwnedFd, waiting: &Waiting) -> End {
        let mut conversation = self.conversation();
        let greeting = conversation.greeting().map(|greeting| (greeting, None));
        if open(peer).is_err() || greeting.is_some_and(|greeting| say(peer, &greeting, &self.told).is_err()) {
            return End::Lost;
        }
        let (shared, told) = (&self.shared, &mut self.told);
        let over = talk(peer, waiting, shared, Some(HANDSHAKE), &mut conversation, told);
        let was_connected = conversation.is_connected();
        drop(conversation); // waits for the halves, which may see only now what the peer broke
        let over = self.shared.broken().map_or(over, Over::Broken);
        self.told.gone(&over.to_string(), Instant::now());
        let refusal = match over {
            Over::Stopped => {
                let _ = say(peer, &(Message::disconnect("the port is detached"), None), &self.told);
                return End::Stopped;
            }
            Over::HungUp => None,
            Over::Silent => Some(Refusal::Silent),
            Over::Broken(broken) => Some(Refusal::Broken(broken)),
            Over::Refused(why) => Some(why),
        };
        match refusal {
            None | Some(Refusal::HungUp(_)) if was_connected => {
                self.told.forget(); // it went in peace
                End::Lost
            }
            None => End::Lost,
            Some(why) => self.refuse(peer, &why),
        }
    }

    fn presence(&self) -> &Presence {
        self.shared.presence()
    }
}

impl Talk for Box<dyn Conversation> {
    type Refusal = Refusal;

    fn exchange(&mut self, peer: &OwnedFd, told: &mut Told) -> Result<bool, Refusal> {
        exchange(peer, &mut **self, told)
    }

    fn is_settled(&self) -> bool {
        self.is_connected()
    }
}

/// Hears one message and answers it; false when the peer has gone without a word.
pub(super) fn exchange(
    peer: &OwnedFd,
    conversation: &mut dyn Conversation,
    told: &Told,
) -> Result<bool, Refusal> {
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
    let message = message.ok_or(Refusal::Message)?;
    told.debug(|| format!("hears {message}"));
    let answer = conversation.hear(message, fds.pop())?;
    Ok(answer.is_none_or(|answer| say(peer, &answer, told).is_ok()))
}

fn say(peer: &OwnedFd, (message, fd): &Said, told: &Told) -> io::Result<()> {
    told.debug(|| format!("says {message}"));
    let fd = fd.as_ref().map(AsFd::as_fd);
    send(peer, &message.to_bytes(), fd.as_slice())
}
