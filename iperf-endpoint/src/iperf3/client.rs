//! The client: runs one test and decides when it is over.

use super::params::Params;
use super::refusal::Refusal;
use super::results::Results;
use super::stream::SocketNumbers;
use super::test::Test;
use super::wire::{Control, Cookie, MAX_RESULTS, state};
use super::{IDLE, PARTING, Turn};
use crate::config::ClientConfig;
use crate::cpu::CpuTime;
use crate::event::{Event, EventSink, FailureKind, Role};
use crate::transport::{Connection, SocketOptions, State, Transport};
use ports::Time;
use std::net::SocketAddrV4;
use std::time::Duration;

/// The number of the only test.
const TEST: u32 = 1;
/// How long the server may take to answer outside a running test.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How long a data connection may be down before the server has said why.
const BROKEN_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was done yet.
    Idle,
    /// The control connection is being made.
    Connecting,
    /// Waiting for `PARAM_EXCHANGE`, then `CREATE_STREAMS`.
    Params,
    /// Opening data connections, one after another: both sides rely on their order.
    Opening,
    /// Waiting for `TEST_START` and `TEST_RUNNING`.
    Starting,
    /// Data flows.
    Running,
    /// Waiting for `EXCHANGE_RESULTS`.
    Ending,
    /// Waiting for the server's results.
    Results,
    /// Waiting for `DISPLAY_RESULTS`.
    Display,
    /// Waiting for the words behind `SERVER_ERROR`.
    Refused,
    /// Our last words are on their way.
    Parting,
    /// Over.
    Ended,
}

/// An iperf3 client as a state machine over a [`Transport`].
pub struct Client {
    config: ClientConfig,
    params: Params,
    cookie: Cookie,
    events: EventSink,
    cpu: fn() -> CpuTime,
    phase: Phase,
    deadline: Time,
    control: Option<Control>,
    /// The data connection that is being opened.
    opening: Option<Control>,
    opened: Vec<Connection>,
    test: Option<Test>,
    results: Option<Results>,
    numbers: SocketNumbers,
    broken: Option<Time>,
    stopping: bool,
    status: i32,
}

impl Client {
    /// A client that reports to `events`, measures its processor time by `cpu` and makes its cookie from
    /// `seed`.
    #[must_use]
    pub fn new(config: ClientConfig, seed: u64, cpu: fn() -> CpuTime, events: EventSink) -> Self {
        Self {
            params: Params::from(&config),
            config,
            cookie: Cookie::new(seed),
            events,
            cpu,
            phase: Phase::Idle,
            deadline: Time::ZERO,
            control: None,
            opening: None,
            opened: Vec::new(),
            test: None,
            results: None,
            numbers: SocketNumbers::default(),
            broken: None,
            stopping: false,
            status: 0,
        }
    }

    /// Exit status, once there is nothing left to do.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        (self.phase == Phase::Ended).then_some(self.status)
    }

    /// Comes to an end: the server is told, the test in progress is reported.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// When the client wants to be polled without a frame.
    #[must_use]
    pub fn deadline(&self, now: Time) -> Time {
        let interrupt = self.stopping && !matches!(self.phase, Phase::Parting | Phase::Ended);
        let ours = if interrupt { now } else { self.deadline };
        match self.test.as_ref().filter(|_| self.phase == Phase::Running) {
            Some(test) => {
                let broken = self.broken.map_or(Time::NEVER, |t| t + BROKEN_WAIT);
                ours.min(test.deadline(now)).min(now + IDLE.saturating_sub(test.idle(now))).min(broken)
            }
            None => ours,
        }
    }

    /// One pass; whether anything happened.
    pub fn poll<T: Transport>(&mut self, transport: &mut T, now: Time) -> bool {
        if self.phase == Phase::Ended {
            return false;
        }
        // The sink is taken out for the turn, so that the turn and the client can both be borrowed.
        let mut events = std::mem::replace(&mut self.events, Box::new(|_| ()));
        let mut turn = Turn { transport, now, events: &mut events, cpu: self.cpu };
        let busy = self.pass(&mut turn);
        self.events = events;
        busy
    }

    fn pass<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        if self.phase == Phase::Idle {
            self.connect(turn);
            return true;
        }
        let mut busy = self.control.as_mut().is_some_and(|c| c.fill(turn.transport));
        if self.stopping {
            self.interrupt(turn);
        }
        while self.step(turn) {
            busy = true;
        }
        if let Some(test) = &mut self.test {
            match self.phase {
                Phase::Running if test.is_over(turn) => self.end(turn),
                Phase::Running => busy |= test.run(turn),
                Phase::Ending | Phase::Results | Phase::Display => busy |= test.drain(turn.transport),
                _ => {}
            }
        }
        self.watch(turn);
        busy |= self.control.as_mut().is_some_and(|c| c.flush(turn.transport));
        busy
    }

    fn enter(&mut self, phase: Phase, deadline: Time) {
        (self.phase, self.deadline) = (phase, deadline);
    }

    fn server(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.config.server, self.config.port)
    }

    fn connect<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
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

    /// Takes one step that needs no waiting; whether there was one.
    fn step<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        match self.phase {
            Phase::Connecting => {
                let open =
                    self.control.as_ref().is_some_and(|c| turn.transport.state(c.connection) == State::Open);
                if open {
                    self.enter(Phase::Params, turn.now + ANSWER_WAIT);
                }
                open
            }
            Phase::Results => self.take_results(turn),
            Phase::Refused => self.take_refusal(turn),
            Phase::Opening => self.open_next(turn) || self.take_state(turn),
            Phase::Idle | Phase::Parting | Phase::Ended => false,
            _ => self.take_state(turn),
        }
    }

    fn take_state<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let Some(state) = self.control.as_mut().and_then(Control::take_state) else { return false };
        self.on_state(state, turn);
        true
    }

    fn on_state<T: Transport>(&mut self, state: i8, turn: &mut Turn<'_, T>) {
        match (self.phase, state) {
            (Phase::Params, state::PARAM_EXCHANGE) => self.send_params(turn),
            (Phase::Params, state::CREATE_STREAMS) => self.enter(Phase::Opening, turn.now + ANSWER_WAIT),
            (Phase::Starting, state::TEST_START) => {}
            (Phase::Starting, state::TEST_RUNNING) => self.start(turn),
            (Phase::Ending, state::EXCHANGE_RESULTS) => self.send_results(turn),
            (Phase::Display, state::DISPLAY_RESULTS) => self.display(turn),
            (_, state::SERVER_ERROR) => self.enter(Phase::Refused, turn.now + ANSWER_WAIT),
            (_, state::ACCESS_DENIED) => {
                let server = self.server();
                self.fail(&format!("the server {server} is busy running a test (try again later)"), turn);
            }
            (_, state::SERVER_TERMINATE) => {
                self.summarize(turn);
                // A stock client takes its leave of a server that terminates, too.
                self.queue_state(state::IPERF_DONE);
                self.fail("the server has terminated", turn);
            }
            _ => {
                self.summarize(turn);
                self.fail(
                    &format!("unknown message {state} from {} (is it an iperf3 server?)", self.server()),
                    turn,
                );
            }
        }
    }

    fn queue_state(&mut self, state: i8) {
        if let Some(control) = &mut self.control {
            control.queue_state(state);
        }
    }

    fn send_params<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
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
    fn open_next<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
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
                self.enter(Phase::Opening, turn.now + ANSWER_WAIT);
                true
            }
            Err(e) => {
                self.fail(&format!("unable to connect stream: {e}"), turn);
                true
            }
        }
    }

    fn start<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let opened = std::mem::take(&mut self.opened);
        let (params, interval) = (self.params, self.config.interval);
        let numbers = &mut self.numbers;
        self.test = Some(Test::start(TEST, Role::Client, params, interval, &opened, numbers, turn));
        self.enter(Phase::Running, Time::NEVER);
    }

    /// The end condition is met.
    fn end<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &mut self.test {
            test.finish(turn);
        }
        self.queue_state(state::TEST_END);
        self.enter(Phase::Ending, turn.now + ANSWER_WAIT);
    }

    fn send_results<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let (Some(test), Some(control)) = (&self.test, &mut self.control) {
            control.queue_message(&test.results_json());
        }
        self.enter(Phase::Results, turn.now + ANSWER_WAIT);
    }

    fn take_results<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
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
    fn take_refusal<T: Transport>(&mut self, turn: &mut Turn<'_, T>) -> bool {
        let Some(word) = self.control.as_mut().and_then(Control::take_word) else { return false };
        self.summarize(turn);
        let text = Refusal(word).text();
        self.fail(&format!("the server {} refused the test: {text}", self.server()), turn);
        true
    }

    fn report<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &self.test {
            turn.say(Event::TestEnd(test.end(self.results.as_ref())));
        }
    }

    fn display<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        self.report(turn);
        self.queue_state(state::IPERF_DONE);
        self.part(turn);
    }

    /// Reports a running test as far as it came.
    fn summarize<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if let Some(test) = &mut self.test {
            match self.phase {
                Phase::Running => test.finish(turn),
                Phase::Ending | Phase::Results | Phase::Display => {}
                _ => return,
            }
            self.report(turn);
        }
    }

    fn interrupt<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        if matches!(self.phase, Phase::Parting | Phase::Ended) {
            return;
        }
        self.summarize(turn);
        self.queue_state(state::CLIENT_TERMINATE);
        self.status = 1;
        turn.complain(Some(TEST), FailureKind::Interrupt, "the client has terminated");
        self.part(turn);
    }

    fn fail<T: Transport>(&mut self, message: &str, turn: &mut Turn<'_, T>) {
        self.status = 1;
        turn.complain(Some(TEST), FailureKind::Error, message);
        self.part(turn);
    }

    fn part<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let opening = self.opening.take().map(|o| o.connection);
        self.opened.drain(..).chain(opening).for_each(|c| turn.transport.release(c));
        self.enter(Phase::Parting, turn.now + PARTING);
    }

    /// Notices that the server is gone, or silent for too long.
    fn watch<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
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
                let wait = self.config.connect_timeout.as_secs_f64();
                let message =
                    format!("unable to connect to server {server}: no answer in {wait} s (try: ping)");
                self.fail(&message, turn);
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

    fn watch_opening<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let refused = |o: &Control| turn.transport.state(o.connection) == State::Closed;
        if self.opening.as_ref().is_some_and(refused) {
            self.fail(
                &format!("unable to connect stream {}: connection refused", self.opened.len() + 1),
                turn,
            );
        }
    }

    fn watch_running<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
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
    fn doing(&self) -> &'static str {
        match self.phase {
            Phase::Params => "while the parameters were exchanged",
            Phase::Opening | Phase::Starting => "while the data connections were opened",
            Phase::Running => "while the test was running",
            Phase::Refused => "while it gave its reason to refuse",
            _ => "while the results were exchanged",
        }
    }

    fn leave<T: Transport>(&mut self, late: bool, turn: &mut Turn<'_, T>) {
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
