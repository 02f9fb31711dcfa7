//! Conversations with front-ends, one after the other.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::control::{Control, Refusal};
use super::session::Shared;
use super::{Options, socket};
use crate::peer::{self, End, Host, Waiting};

/// Listens to what a front-end says.
pub(super) struct FrontEnds {
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
}

impl Host for FrontEnds {
    fn serve(&mut self, front_end: &OwnedFd, waiting: &Waiting) -> End {
        if peer::socket::open(front_end).is_err() {
            return End::Lost;
        }
        let mut control = Control::new(&self.name, self.options.clone(), self.shared.clone());
        loop {
            let said = waiting.wait(Some(front_end.as_fd()), None);
            if waiting.is_over() {
                return End::Stopped;
            }
            if let Some(broken) = self.shared.broken() {
                tracing::warn!("{}: the guest lost its port: {broken}", self.name);
                return End::Broken;
            }
            match if said { hear(front_end, &mut control) } else { Ok(true) } {
                Ok(true) => {}
                Ok(false) => return End::Lost,
                Err(e) => {
                    tracing::warn!("{}: {e}", self.name);
                    return End::Lost;
                }
            }
        }
    }
}

/// Carries out one request; false when the front-end has hung up.
pub(super) fn hear(front_end: &OwnedFd, control: &mut Control) -> Result<bool, Box<dyn std::error::Error>> {
    let Some(letter) = socket::read(front_end)? else { return Ok(false) };
    let request = letter.header.request;
    let reply = control.request(request, letter.header.needs_reply(), &letter.payload, letter.fds);
    if let Some(reply) = reply.map_err(|e: Refusal| format!("request {request}: {e}"))? {
        socket::reply(front_end, request, reply)?;
    }
    Ok(true)
}
