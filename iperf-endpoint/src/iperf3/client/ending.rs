//! The end of a test, however it comes: results, refusals, interrupts, partings.

use super::{ANSWER_WAIT, Client, Phase, TEST};
use crate::event::{Event, FailureKind};
use crate::iperf3::refusal::Refusal;
use crate::iperf3::results::Results;
use crate::iperf3::wire::{Control, MAX_RESULTS, state};
use crate::iperf3::{PARTING, Turn};
use crate::transport::{State, Transport};
use ports::Time;
use std::time::Duration;

impl Client {
    /// The end condition is met.
    pub(super) fn end<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &mut self.test {
            test.finish(turn);
        }
        self.queue_state(state::TEST_END);
        self.enter(Phase::Ending, turn.now + ANSWER_WAIT);
    }

    pub(super) fn send_results<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let (Some(test), Some(control)) = (&self.test, &mut self.control) {
            control.queue_message(&test.results_json());
        }
        self.enter(Phase::Results, turn.now + ANSWER_WAIT);
    }

    pub(super) fn take_results<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let message = self.control.as_mut().map_or(Ok(None), |c| c.take_message(MAX_RESULTS));
        if message == Ok(None) {
            return false;
        }
        self.results = message.ok().flatten().and_then(|json| Results::parse(&json));
        if self.results.is_none() {
            self.report(turn);
            self.fail("the server's results could not be read", turn);
        } else {
            self.enter(Phase::Display, turn.now + ANSWER_WAIT);
        }
        true
    }

    /// The server's reason is two words; 3.12 sends one if it did not like the credentials.
    pub(super) fn take_refusal<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let Some(word) = self.control.as_mut().and_then(Control::take_word) else { return false };
        self.summarize(turn);
        let text = Refusal(word).text();
        self.fail(&format!("the server {} refused the test: {text}", self.server()), turn);
        true
    }

    pub(super) fn report<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &self.test {
            turn.say(Event::TestEnd(test.end(self.results.as_ref())));
        }
    }

    pub(super) fn display<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        self.report(turn);
        self.queue_state(state::IPERF_DONE);
        self.part(turn);
    }

    /// Reports a running test as far as it came.
    pub(super) fn summarize<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &mut self.test {
            match self.phase {
                Phase::Running => test.finish(turn),
                Phase::Ending | Phase::Results | Phase::Display => {}
                _ => return,
            }
            self.report(turn);
        }
    }

    pub(super) fn interrupt<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if matches!(self.phase, Phase::Parting | Phase::Ended) {
            return;
        }
        self.summarize(turn);
        self.queue_state(state::CLIENT_TERMINATE);
        self.status = 1;
        turn.complain(Some(TEST), FailureKind::Interrupt, "the client has terminated");
        self.part(turn);
    }

    pub(super) fn fail<T: Transport>(&mut self, message: &str, turn: &mut Turn<'_, T>) {
        self.fail_as(FailureKind::Error, message, turn);
    }

    pub(super) fn fail_as<T: Transport>(&mut self, kind: FailureKind, message: &str, turn: &mut Turn<'_, T>) {
        self.status = 1;
        turn.complain(Some(TEST), kind, message);
        self.part(turn);
    }

    pub(super) fn part<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let opening = self.opening.take().map(|o| o.connection);
        self.opened.drain(..).chain(opening).for_each(|c| turn.transport.release(c));
        // A server that has not answered our SYN will not hear our last words.
        let unheard = |c: &Control| turn.transport.state(c.connection) == State::Connecting;
        let wait = if self.control.as_ref().is_some_and(unheard) { Duration::ZERO } else { PARTING };
        self.enter(Phase::Parting, turn.now + wait);
    }

    pub(super) fn leave<T: Transport>(&mut self, late: bool, turn: &mut Turn<'_, T>) {
        if !late && self.control.as_ref().is_some_and(|c| !c.delivered(turn.transport)) {
            return;
        }
        if let Some(test) = &mut self.test {
            test.release(&mut self.numbers, turn.transport);
        }
        if let Some(control) = &self.control {
            turn.transport.close(control.connection);
            turn.transport.release(control.connection);
        }
        self.enter(Phase::Ended, Time::NEVER);
        turn.say(Event::Finished { test: TEST });
        turn.say(Event::Done { status: self.status });
    }
}
