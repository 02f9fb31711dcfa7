//! The server: sorts connections by their cookies, and serves any number of tests beside each other.

use super::session::{House, Session};
use super::stream::SocketNumbers;
use super::wire::{Control, Cookie, state};
use super::{PARTING, Turn};
use crate::config::ServerConfig;
use crate::cpu::CpuTime;
use crate::event::{Event, EventSink, Failure, FailureKind};
use crate::transport::{SocketOptions, Transport};
use ports::Time;
use std::time::Duration;

/// How long a connection may take to say what it is.
const COOKIE_WAIT: Duration = Duration::from_secs(10);
/// Most connections that have not said what they are. One more, and the oldest is let go.
const MAX_STRANGERS: usize = 512;
/// Most clients at a time.
const MAX_SESSIONS: usize = 64;

/// A connection whose cookie has not come.
#[derive(Debug)]
struct Stranger {
    control: Control,
    /// Counts accepted connections.
    order: u64,
    deadline: Time,
}

/// An iperf3 server as a state machine over a [`Transport`].
pub struct Server {
    config: ServerConfig,
    events: EventSink,
    cpu: fn() -> CpuTime,
    strangers: Vec<Stranger>,
    sessions: Vec<Session>,
    /// Connections that are told to come back later.
    turned_away: Vec<(Control, Time)>,
    numbers: SocketNumbers,
    accepted: u64,
    next_test: u32,
    /// Options that the port listens with.
    options: Option<SocketOptions>,
    stopping: bool,
    interrupted: bool,
    /// Whether a test was in progress when we were told to stop.
    cut_short: bool,
    status: Option<i32>,
}

impl Server {
    /// A server that reports to `events` and measures its processor time by `cpu`.
    #[must_use]
    pub fn new(config: ServerConfig, cpu: fn() -> CpuTime, events: EventSink) -> Self {
        Self {
            config,
            events,
            cpu,
            strangers: Vec::new(),
            sessions: Vec::new(),
            turned_away: Vec::new(),
            numbers: SocketNumbers::default(),
            accepted: 0,
            next_test: 1,
            options: None,
            stopping: false,
            interrupted: false,
            cut_short: false,
            status: None,
        }
    }

    /// One pass; whether anything happened.
    pub fn poll<T: Transport>(&mut self, transport: &mut T, now: Time) -> bool {
        if self.status.is_some() {
            return false;
        }
        let mut busy = self.options.is_none();
        if busy {
            self.say(Event::Listening { port: self.config.port, test: self.next_test });
        }
        self.listen(transport);
        busy |= self.accept(transport, now);
        busy |= self.sort(transport, now);
        busy |= self.serve(transport, now);
        self.see_off(transport, now);
        busy
    }

    /// Exit status, once there is nothing left to do.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        self.status
    }

    /// Comes to an end: clients are told, tests in progress are reported.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends at once, with an error that leaves nothing to be done.
    pub fn give_up(&mut self, why: &str) {
        if self.status.is_none() {
            self.status = Some(1);
            self.say(Event::Error(Failure { test: None, kind: FailureKind::Error, message: why.to_owned() }));
            self.say(Event::Done { status: 1 });
        }
    }

    /// When the server wants to be polled without a frame.
    #[must_use]
    pub fn deadline(&self, now: Time) -> Time {
        if self.stopping && !self.interrupted {
            return now;
        }
        let strangers = self.strangers.iter().map(|s| s.deadline);
        let sessions = self.sessions.iter().map(|s| s.deadline(now));
        let turned_away = self.turned_away.iter().map(|(_, t)| *t);
        strangers.chain(sessions).chain(turned_away).min().unwrap_or(Time::NEVER)
    }

    fn say(&mut self, event: Event) {
        (self.events)(event);
    }

    /// Listens with what the next data connections need. Clients that want different options at the same
    /// moment get those of one of them: the port is one.
    fn listen<T: Transport>(&mut self, transport: &mut T) {
        let wanted = self.sessions.iter().find_map(Session::wanted_options).unwrap_or_default();
        if self.options != Some(wanted) {
            transport.listen(self.config.port, wanted);
            self.options = Some(wanted);
        }
    }

    fn accept<T: Transport>(&mut self, transport: &mut T, now: Time) -> bool {
        let mut any = false;
        while let Some(connection) = transport.accept(self.config.port) {
            any = true;
            if self.strangers.len() == MAX_STRANGERS {
                transport.release(self.strangers.remove(0).control.connection);
            }
            let (control, order) = (Control::new(connection), self.accepted);
            self.strangers.push(Stranger { control, order, deadline: now + COOKIE_WAIT });
            self.accepted += 1;
        }
        any
    }

    /// Finds out what the strangers are.
    fn sort<T: Transport>(&mut self, transport: &mut T, now: Time) -> bool {
        let mut any = false;
        for mut stranger in std::mem::take(&mut self.strangers) {
            any |= stranger.control.fill(transport);
            match stranger.control.take_cookie() {
                Some(bytes) => self.place(Cookie::parse(bytes), stranger, transport, now),
                None if stranger.control.gone(transport) || stranger.deadline <= now || self.stopping => {
                    transport.release(stranger.control.connection);
                }
                None => self.strangers.push(stranger),
            }
        }
        any
    }

    /// A cookie that a session has makes a data connection of it; a new one makes a client.
    fn place<T: Transport>(&mut self, cookie: Option<Cookie>, s: Stranger, transport: &mut T, now: Time) {
        let connection = s.control.connection;
        let Some(cookie) = cookie else { return transport.release(connection) };
        if let Some(session) = self.sessions.iter_mut().find(|x| x.has_cookie(&cookie)) {
            if !session.join(s.order, connection) {
                transport.release(connection);
            }
        } else if self.sessions.len() == MAX_SESSIONS {
            let mut control = s.control;
            control.queue_state(state::ACCESS_DENIED);
            self.turned_away.push((control, now + PARTING));
        } else {
            self.sessions.push(Session::new(cookie, s.control, now));
        }
    }

    fn serve<T: Transport>(&mut self, transport: &mut T, now: Time) -> bool {
        let mut busy = false;
        let mut turn = Turn { transport, now, events: &mut self.events, cpu: self.cpu };
        let stop = self.stopping && !self.interrupted;
        for i in 0..self.sessions.len() {
            let taken = self.config.one_off && self.sessions.iter().any(|s| s.number().is_some());
            let Some(session) = self.sessions.get_mut(i) else { break };
            let mut house = House {
                next_test: &mut self.next_test,
                numbers: &mut self.numbers,
                open: !taken && !self.stopping,
                port: self.config.port,
                interval: self.config.interval,
            };
            if stop {
                self.cut_short |= session.number().is_some();
                session.stop(&mut house, &mut turn);
            }
            busy |= session.poll(&mut house, &mut turn);
        }
        if stop {
            self.interrupted = true;
            turn.complain(None, FailureKind::Interrupt, "the server has terminated");
        }
        self.dismiss();
        busy
    }

    /// Removes the sessions that are over, and ends with the last if that was the order.
    fn dismiss(&mut self) {
        let mut ended = Vec::new();
        self.sessions.retain(|s| {
            ended.extend(s.number().filter(|_| s.has_ended()));
            !s.has_ended()
        });
        for &test in &ended {
            self.say(Event::Finished { test });
            if !self.config.one_off && !self.stopping {
                self.say(Event::Listening { port: self.config.port, test: self.next_test });
            }
        }
        let served = self.config.one_off && !ended.is_empty();
        if served || (self.stopping && self.sessions.is_empty()) {
            let status = i32::from(self.cut_short);
            self.status = Some(status);
            self.say(Event::Done { status });
        }
    }

    fn see_off<T: Transport>(&mut self, transport: &mut T, now: Time) {
        self.turned_away.retain_mut(|(control, deadline)| {
            control.flush(transport);
            let over = control.delivered(transport) || *deadline <= now;
            if over {
                transport.close(control.connection);
                transport.release(control.connection);
            }
            !over
        });
    }
}
