//! One client of a server, from its parameters to its farewell.
//!
//! Every phase has a deadline, so that a client that falls silent at any point is let go, and what it held
//! with it. Other clients never notice.

use super::params::Params;
use super::refusal::Refusal;
use super::results::Results;
use super::stream::SocketNumbers;
use super::test::Test;
use super::wire::{Control, Cookie, MAX_PARAMS, MAX_RESULTS, state};
use super::{IDLE, PARTING, Turn};
use crate::config::Until;
use crate::event::{Event, FailureKind, Role};
use crate::transport::{Connection, SocketOptions, Transport};
use ports::Time;
use std::time::Duration;

/// How long a client may take for its parameters.
const PARAMS_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to open its data connections.
const STREAMS_WAIT: Duration = Duration::from_secs(30);
/// How long it may take for its results.
const RESULTS_WAIT: Duration = Duration::from_secs(30);
/// How long it may take to say that it is done.
const FAREWELL_WAIT: Duration = Duration::from_secs(5);
/// How much longer than announced a test may last: stock iperf3's ten round trips of four seconds.
const GRACE: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for the parameters.
    Params,
    /// Waiting for data connections.
    Streams,
    /// Data flows.
    Running,
    /// Waiting for the client's results.
    Results,
    /// Waiting for the client to say that it is done.
    Farewell,
    /// Our last words are on their way.
    Parting,
    /// Over.
    Ended,
}

/// What the server provides to its sessions.
pub(crate) struct House<'a> {
    /// Number of the next test.
    pub(crate) next_test: &'a mut u32,
    pub(crate) numbers: &'a mut SocketNumbers,
    /// Whether another test may begin.
    pub(crate) open: bool,
    pub(crate) port: u16,
    pub(crate) interval: Duration,
}

#[derive(Debug)]
pub(crate) struct Session {
    cookie: Cookie,
    control: Control,
    phase: Phase,
    deadline: Time,
    params: Option<Params>,
    number: Option<u32>,
    /// Data connections with the order in which they were accepted.
    joined: Vec<(u64, Connection)>,
    test: Option<Test>,
}

impl Session {
    /// Begins on a control connection whose cookie has come.
    pub(crate) fn new(cookie: Cookie, mut control: Control, now: Time) -> Self {
        control.queue_state(state::PARAM_EXCHANGE);
        Self {
            cookie,
            control,
            phase: Phase::Params,
            deadline: now + PARAMS_WAIT,
            params: None,
            number: None,
            joined: Vec::new(),
            test: None,
        }
    }

    pub(crate) fn has_cookie(&self, cookie: &Cookie) -> bool {
        self.cookie == *cookie && self.phase != Phase::Ended
    }

    /// Takes a data connection; whether one more was expected.
    pub(crate) fn join(&mut self, order: u64, connection: Connection) -> bool {
        let wanted = self.params.map_or(0, |p| p.connections());
        let expected = self.phase == Phase::Streams && self.joined.len() < wanted;
        if expected {
            self.joined.push((order, connection));
        }
        expected
    }

    /// The number of the test, from its admission on.
    pub(crate) fn number(&self) -> Option<u32> {
        self.number
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Options for data connections that are yet to come, where they differ from the default.
    pub(crate) fn wanted_options(&self) -> Option<SocketOptions> {
        let p = self.params.filter(|_| self.phase == Phase::Streams)?;
        let options = SocketOptions { window: p.window, no_delay: true, mss: p.mss };
        (options != SocketOptions::default()).then_some(options)
    }

    /// One pass; whether anything happened.
    pub(crate) fn poll<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) -> bool {
        let mut busy = self.control.fill(turn.transport);
        // Data first: what came before the end of the test is said counts.
        if self.phase == Phase::Running
            && let Some(test) = &mut self.test
        {
            busy |= test.run(turn);
        }
        while self.step(house, turn) {
            busy = true;
        }
        self.watch(house, turn);
        busy |= self.control.flush(turn.transport);
        busy
    }

    /// Takes one message in; whether there was one.
    fn step<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) -> bool {
        match self.phase {
            Phase::Params => match self.control.take_message(MAX_PARAMS) {
                Ok(Some(json)) => self.admit(Params::parse(&json), house, turn),
                Ok(None) => return false,
                Err(_) => self.admit(Err(Refusal::PARAMS), house, turn),
            },
            Phase::Streams if self.all_joined() => self.begin(house, turn),
            Phase::Results => match self.control.take_message(MAX_RESULTS) {
                Ok(Some(json)) => self.answer_results(&json, house, turn),
                Ok(None) => return false,
                Err(_) => self.refuse(Refusal::RESULTS, house, turn),
            },
            Phase::Streams | Phase::Running | Phase::Farewell => {
                let Some(state) = self.control.take_state() else { return false };
                self.on_state(state, house, turn);
            }
            Phase::Parting | Phase::Ended => return false,
        }
        true
    }

    fn on_state<T: Transport>(&mut self, state: i8, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        match (self.phase, state) {
            (Phase::Running, state::TEST_END) => self.conclude(house, turn),
            (Phase::Farewell, state::IPERF_DONE | state::CLIENT_TERMINATE) => self.part(house, turn),
            (_, state::CLIENT_TERMINATE) => {
                self.summarize(turn);
                turn.complain(self.number, FailureKind::Client, "the client has terminated");
                self.part(house, turn);
            }
            // A stock client that cannot go on says no more than this.
            (_, state::IPERF_DONE) => self.fail("gave up (its own report says why)", house, turn),
            _ => self.refuse(Refusal::MESSAGE, house, turn),
        }
    }

    /// Lets the client open its data connections, or turns it away.
    fn admit<T: Transport>(
        &mut self,
        params: Result<Params, Refusal>,
        house: &mut House<'_>,
        turn: &mut Turn<'_, T>,
    ) {
        let params = match params {
            Ok(params) if house.open => params,
            Ok(_) => {
                self.control.queue_state(state::ACCESS_DENIED);
                return self.part(house, turn);
            }
            Err(refusal) => return self.refuse(refusal, house, turn),
        };
        let number = *house.next_test;
        *house.next_test += 1;
        (self.params, self.number) = (Some(params), Some(number));
        self.enter(Phase::Streams, turn.now + STREAMS_WAIT);
        if let Some(options) = self.wanted_options() {
            turn.transport.listen(house.port, options);
        }
        self.control.queue_state(state::CREATE_STREAMS);
        let peer = turn.transport.remote(self.control.connection);
        turn.say(Event::Accepted { test: number, peer, cookie: self.cookie.text() });
    }

    fn all_joined(&self) -> bool {
        self.params.is_some_and(|p| p.connections() == self.joined.len())
    }

    fn begin<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        let (Some(params), Some(number)) = (self.params, self.number) else { return };
        // Cookies may overtake each other; the order that both sides rely on is that of the connections.
        self.joined.sort_unstable_by_key(|&(order, _)| order);
        let connections: Vec<_> = self.joined.drain(..).map(|(_, c)| c).collect();
        let numbers = &mut *house.numbers;
        self.test =
            Some(Test::start(number, Role::Server, params, house.interval, &connections, numbers, turn));
        self.control.queue_state(state::TEST_START);
        self.control.queue_state(state::TEST_RUNNING);
        let limit = match params.until {
            Until::Time(t) if !t.is_zero() => turn.now + params.omit + t + GRACE,
            _ => Time::NEVER,
        };
        self.enter(Phase::Running, limit);
    }

    /// The client says that the test is over: what comes from now on does not count.
    fn conclude<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        self.summarize(turn);
        if let Some(test) = &mut self.test {
            test.close_senders(turn.transport);
            test.release(house.numbers, turn.transport);
        }
        self.control.queue_state(state::EXCHANGE_RESULTS);
        self.enter(Phase::Results, turn.now + RESULTS_WAIT);
    }

    fn answer_results<T: Transport>(&mut self, json: &[u8], house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        let Some(test) = self.test.as_ref().filter(|_| Results::parse(json).is_some()) else {
            return self.refuse(Refusal::RESULTS, house, turn);
        };
        self.control.queue_message(&test.results_json());
        self.control.queue_state(state::DISPLAY_RESULTS);
        self.enter(Phase::Farewell, turn.now + FAREWELL_WAIT);
    }

    /// Reports a running test as far as it came.
    fn summarize<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = self.test.as_mut().filter(|_| self.phase == Phase::Running) {
            test.finish(turn);
            turn.say(Event::TestEnd(test.end(None)));
        }
    }

    fn refuse<T: Transport>(&mut self, refusal: Refusal, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        self.control.queue_state(state::SERVER_ERROR);
        self.control.queue_word(refusal.0);
        self.control.queue_word(0);
        self.fail(&format!("turned away: {}", refusal.text()), house, turn);
    }

    /// Ends the session with a reason that names the client.
    fn fail<T: Transport>(&mut self, reason: &str, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        self.summarize(turn);
        let peer = turn.transport.remote(self.control.connection);
        turn.complain(self.number, FailureKind::Error, format!("client {peer}: {reason}"));
        self.part(house, turn);
    }

    /// Ends a session whose test we were told to stop.
    pub(crate) fn stop<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        if matches!(self.phase, Phase::Parting | Phase::Ended) {
            return;
        }
        self.summarize(turn);
        if let Some(test) = &self.test {
            test.close_senders(turn.transport);
        }
        self.control.queue_state(state::SERVER_TERMINATE);
        self.part(house, turn);
        self.control.flush(turn.transport);
    }

    fn part<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        self.joined.drain(..).for_each(|(_, c)| turn.transport.release(c));
        if let Some(test) = &mut self.test {
            test.release(house.numbers, turn.transport);
        }
        self.enter(Phase::Parting, turn.now + PARTING);
    }

    fn enter(&mut self, phase: Phase, deadline: Time) {
        (self.phase, self.deadline) = (phase, deadline);
    }

    /// Notices that the client is gone, or silent for too long.
    fn watch<T: Transport>(&mut self, house: &mut House<'_>, turn: &mut Turn<'_, T>) {
        let late = self.deadline <= turn.now;
        let gone = self.control.gone(turn.transport);
        match self.phase {
            Phase::Ended => {}
            Phase::Parting => self.leave(late, turn),
            Phase::Farewell if gone || late => self.part(house, turn),
            _ if gone => self.fail("closed the control connection unexpectedly", house, turn),
            Phase::Params if late => self.fail("sent no parameters (a port scan?)", house, turn),
            Phase::Streams if late => {
                let (came, wanted) = (self.joined.len(), self.params.map_or(0, |p| p.connections()));
                self.fail(&format!("opened {came} of {wanted} data connections"), house, turn);
            }
            Phase::Running if late => self.fail("the test ran well past its end", house, turn),
            Phase::Running if self.test.as_ref().is_some_and(|t| t.idle(turn.now) >= IDLE) => {
                self.fail(&format!("no data moved for {} s", IDLE.as_secs()), house, turn);
            }
            Phase::Results if late => self.fail("sent no results", house, turn),
            _ => {}
        }
    }

    /// Ends once our last words have arrived.
    fn leave<T: Transport>(&mut self, late: bool, turn: &mut Turn<'_, T>) {
        if late || self.control.delivered(turn.transport) {
            turn.transport.close(self.control.connection);
            turn.transport.release(self.control.connection);
            self.enter(Phase::Ended, Time::NEVER);
        }
    }

    /// When the session wants to be polled without a frame.
    pub(crate) fn deadline(&self, now: Time) -> Time {
        let test = self.test.as_ref().filter(|_| self.phase == Phase::Running);
        let idle = test.map_or(Time::NEVER, |t| now + IDLE.saturating_sub(t.idle(now)));
        self.deadline.min(test.map_or(Time::NEVER, |t| t.deadline(now))).min(idle)
    }
}
