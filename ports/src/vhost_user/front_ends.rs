//! Conversations with front-ends, one after the other.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::control::{Control, Refusal};
use super::session::Shared;
use super::{Options, socket};
use crate::peer::{self, End, HANDSHAKE, Host, Over, Talk, Waiting, talk};

/// Listens to what a front-end says.
pub(super) struct FrontEnds {
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
}

impl Host for FrontEnds {
    fn serve(&mut self, socket: &OwnedFd, waiting: &Waiting) -> End {
        if peer::socket::open(socket).is_err() {
            return End::Lost;
        }
        let control = Control::new(&self.name, self.options.clone(), self.shared.clone());
        let mut front_end = FrontEnd { control, heard: false };
        // One that listens keeps nobody away, and may take its time.
        let patience = Some(HANDSHAKE).filter(|_| !self.options.client);
        let name = &self.name;
        match talk(socket, waiting, &self.shared, patience, &mut front_end) {
            Over::Stopped => return End::Stopped,
            Over::HungUp => {}
            Over::Silent => tracing::warn!("{name}: who connected has said nothing within ten seconds"),
            Over::Broken(broken) => {
                tracing::warn!("{name}: the guest lost its port: {broken}");
                return End::Broken;
            }
            Over::Refused(why) => tracing::warn!("{name}: {why}"),
        }
        End::Lost
    }
}

/// Our conversation with one of them.
struct FrontEnd {
    control: Control,
    /// It has made a request: QEMU makes some at once, and then none until the guest's driver is there, and none while
    /// that is content.
    heard: bool,
}

impl Talk for FrontEnd {
    type Refusal = Box<dyn std::error::Error>;

    fn exchange(&mut self, socket: &OwnedFd) -> Result<bool, Self::Refusal> {
        self.heard = true;
        hear(socket, &mut self.control)
    }

    fn is_settled(&self) -> bool {
        self.heard
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
