//! Noticing that the server is gone, or silent for too long.

use super::{BROKEN_WAIT, Client, Phase};
use crate::iperf3::wire::{Control, state};
use crate::iperf3::{IDLE, Turn};
use crate::transport::{State, Transport};

impl Client {
    /// Notices that the server is gone, or silent for too long.
    pub(super) fn watch<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let late = self.deadline <= turn.now;
        let gone = self.control.as_ref().is_none_or(|c| c.gone(turn.transport));
        let server = self.server();
        match self.phase {
            Phase::Ended => {}
            Phase::Parting => self.leave(late, turn),
            Phase::Connecting if gone => {
                self.fail(
                    &format!("unable to connect to server {server}: connection refused (is it running?)"),
                    turn,
                );
            }
            Phase::Connecting if late => {
                let why = self.no_answer(turn.transport);
                self.fail(&format!("unable to connect to server {server}: {why}"), turn);
            }
            Phase::Opening if late && !gone => {
                let wait = self.config.connect_timeout.as_secs_f64();
                self.fail_opening(&format!("timed out (no answer in {wait} s)"), turn);
            }
            _ if gone || late => {
                self.summarize(turn);
                let what =
                    if gone { "control socket has closed unexpectedly" } else { "no answer from the server" };
                self.fail(&format!("{what} ({server}, {})", self.doing()), turn);
            }
            Phase::Opening => self.watch_opening(turn),
            Phase::Running => self.watch_running(turn),
            _ => {}
        }
    }

    /// How far the silence reaches: ARP tells a wrong address or gateway from a server that a firewall hides.
    fn no_answer<T: Transport>(&self, transport: &T) -> String {
        let (server, wait) = (self.config.server, self.config.connect_timeout.as_secs_f64());
        let reach = match transport.missing_hop(server) {
            None => " (try: ping)".to_owned(),
            Some(hop) if hop == server => {
                format!(", not even by ARP from {hop} (is it on this network?)")
            }
            Some(hop) => format!(", not even by ARP from the gateway {hop} (see --gateway)"),
        };
        format!("no answer in {wait} s{reach}")
    }

    pub(super) fn watch_opening<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        // The stack waits for longer than we do, so it has not given up by itself.
        let refused = |o: &Control| turn.transport.state(o.connection) == State::Closed;
        if self.opening.as_ref().is_some_and(refused) {
            self.fail_opening("connection refused", turn);
        }
    }

    fn fail_opening<T: Transport>(&mut self, why: &str, turn: &mut Turn<'_, T>) {
        self.fail(&format!("unable to connect stream {}: {why}", self.opened.len() + 1), turn);
    }

    pub(super) fn watch_running<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let Some(test) = &self.test else { return };
        let idle = test.idle(turn.now) >= IDLE;
        // What the server says of it on the control connection may be a moment behind.
        let broken = test.is_broken(turn.transport);
        self.broken = if broken { self.broken.or(Some(turn.now)) } else { None };
        let given_up = self.broken.is_some_and(|t| turn.now.since(t) >= BROKEN_WAIT);
        if !(idle || given_up) {
            return;
        }
        self.summarize(turn);
        self.queue_state(state::CLIENT_TERMINATE);
        if given_up {
            self.fail("stream socket has closed unexpectedly", turn);
        } else {
            self.fail(&format!("no data moved for {} s", IDLE.as_secs()), turn);
        }
    }

    /// What the user should know we were at.
    pub(super) fn doing(&self) -> &'static str {
        match self.phase {
            Phase::Params => "while the parameters were exchanged",
            Phase::Opening | Phase::Starting => "while the data connections were opened",
            Phase::Running => "while the test was running",
            Phase::Refused => "while it gave its reason to refuse",
            _ => "while the results were exchanged",
        }
    }
}
