//! The client: runs one test and decides when it is over.

mod ending;
mod opening;
mod watch;

use crate::config::ClientConfig;
use crate::cpu::CpuTime;
use crate::event::{Event, EventSink, Failure, FailureKind, Role};
use crate::iperf3::params::Params;
use crate::iperf3::results::Results;
use crate::iperf3::stream::SocketNumbers;
use crate::iperf3::test::Test;
use crate::iperf3::wire::{Control, Cookie, state};
use crate::iperf3::{IDLE, Turn};
use crate::transport::{Connection, State, Transport};
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

    /// Ends at once, with an error that leaves nothing to be done.
    pub fn give_up(&mut self, why: &str) {
        if self.phase != Phase::Ended {
            self.status = 1;
            self.enter(Phase::Ended, Time::NEVER);
            let (test, message) = (Some(TEST), why.to_owned());
            (self.events)(Event::Error(Failure { test, kind: FailureKind::Error, message }));
            (self.events)(Event::Finished { test: TEST });
            (self.events)(Event::Done { status: 1 });
        }
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
                self.fail_as(FailureKind::Server, "the server has terminated", turn);
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

    fn start<T: Transport>(&mut self, turn: &mut Turn<'_, T>) {
        let opened = std::mem::take(&mut self.opened);
        let (params, interval) = (self.params, self.config.interval);
        let numbers = &mut self.numbers;
        self.test = Some(Test::start(TEST, Role::Client, params, interval, &opened, numbers, turn));
        self.enter(Phase::Running, Time::NEVER);
    }
}
