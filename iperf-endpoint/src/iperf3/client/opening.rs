//! From the first SYN to the last data connection.

use super::{ANSWER_WAIT, Client, Phase, TEST};
use crate::event::Event;
use crate::iperf3::Turn;
use crate::iperf3::wire::Control;
use crate::transport::{SocketOptions, State, Transport};

impl Client {
    pub(super) fn connect<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        match turn.transport.connect(self.server(), SocketOptions::default()) {
            Ok(connection) => {
                let mut control = Control::new(connection);
                control.queue_cookie(&self.cookie);
                self.control = Some(control);
                self.enter(Phase::Connecting, turn.now + self.config.connect_timeout);
            }
            Err(e) => self.fail(&format!("unable to connect to server: {e}"), turn),
        }
    }

    pub(super) fn send_params<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let Some(control) = &mut self.control else { return };
        control.queue_message(&self.params.to_json());
        let mss = turn.transport.info(control.connection).mss;
        self.enter(Phase::Params, turn.now + ANSWER_WAIT);
        turn.say(Event::Connecting {
            test: TEST,
            host: self.config.host.clone(),
            port: self.config.port,
            reverse: self.config.direction == crate::config::Direction::Reverse,
            cookie: self.cookie.text(),
            mss,
        });
    }

    /// Goes on with the data connection that is being opened, or begins the next; whether there was anything to
    /// do.
    pub(super) fn open_next<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        if let Some(opening) = &mut self.opening {
            if turn.transport.state(opening.connection) != State::Open {
                return false;
            }
            opening.flush(turn.transport);
            // The next may not overtake this one's cookie.
            let whole = opening.is_flushed();
            if whole {
                self.opened.extend(self.opening.take().map(|o| o.connection));
            }
            return whole;
        }
        if self.opened.len() == self.params.connections() {
            self.enter(Phase::Starting, turn.now + ANSWER_WAIT);
            return true;
        }
        let c = &self.config;
        let options = SocketOptions { window: c.window, no_delay: c.no_delay, mss: c.mss };
        match turn.transport.connect(self.server(), options) {
            Ok(connection) => {
                let mut opening = Control::new(connection);
                opening.queue_cookie(&self.cookie);
                self.opening = Some(opening);
                self.enter(Phase::Opening, turn.now + self.config.connect_timeout);
                true
            }
            Err(e) => {
                self.fail(&format!("unable to connect stream: {e}"), turn);
                true
            }
        }
    }
}
