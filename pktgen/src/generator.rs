//! The app: a role on a port, from its start to its final report.

use std::sync::Arc;
use std::time::Duration;

use ports::pcap::Capture;
use ports::{App, End, Mac, Port, Progress, Reason, Time};

use crate::report::{Lost, Report};
use crate::role::{self, Role, Shape};
use crate::{Config, Error, Event, EventSink};

enum Phase {
    /// Has not seen its port yet.
    New,
    /// Waits for the link to come up, until then.
    Waiting(Time),
    /// Runs since then.
    Running(Time),
    /// Ran, and lets the port send what it has.
    Draining(Ran),
    Done,
}

/// When it ran, and what the port still had when a frame left it last.
#[derive(Clone, Copy)]
struct Ran {
    since: Time,
    ended: Time,
    unsent: u64,
    left: Time,
}

/// How long no frame may leave a port before those in it count as not sent.
const STUCK: Duration = Duration::from_millis(20);
/// Whoever stops a run is not kept waiting for longer.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);
/// How often the port is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// A generator or receiver of frames on a port.
///
/// Its host polls it; it sends what is due or takes what is there, and tells of it through its [`EventSink`]:
/// [`Event::Start`] first, an [`Event::Interval`] about every interval, at last [`Event::Final`] (or nothing but
/// [`Event::Failed`] where the port does not take the frames). [`Event::Failed`] also precedes the final where the port
/// broke, or what was to be sent. After [`Progress::done`], frames that it sent may
/// still wait in the port: the host lets them drain before it removes the port. Of ports that tell how many those are it
/// waits for them itself, for a second at the most, and those that stay count as failed.
///
/// Back-pressure: what finds no room is tried again at the next poll, and nothing is lost.
pub struct Generator {
    config: Config,
    src_mac: Mac,
    role: Box<dyn Role>,
    /// [`Role::sends`], which is asked in every pass.
    sends: bool,
    phase: Phase,
    stopping: bool,
    /// Frames that the port had lost before this run.
    lost_before: Lost,
    report: Report,
}

impl Generator {
    /// A generator as `config` says. Frames carry `interface_mac` as their source unless the config names another;
    /// without either, 00:00:00:00:00:00 as netmap's on VALE ports.
    ///
    /// # Errors
    /// If the config is out of range. Whether the port takes frames of that length shows at the first poll; a host
    /// that wants to know before asks [`Config::check_port`].
    pub fn new(config: Config, interface_mac: Option<Mac>, events: EventSink) -> Result<Self, Error> {
        Self::with(config, interface_mac, None, events)
    }

    /// As [`new`](Self::new), with the capture that the config's `replay` names: this crate opens no files.
    ///
    /// # Errors
    /// As [`new`](Self::new). Frames that the port does not take show at the first poll.
    pub fn replaying(
        config: Config,
        interface_mac: Option<Mac>,
        capture: Arc<Capture>,
        events: EventSink,
    ) -> Result<Self, Error> {
        Self::with(config, interface_mac, Some(capture), events)
    }

    fn with(
        config: Config,
        interface_mac: Option<Mac>,
        capture: Option<Arc<Capture>>,
        events: EventSink,
    ) -> Result<Self, Error> {
        config.check()?;
        let src_mac = config.frames.src_mac.or(interface_mac).unwrap_or(Mac::ZERO);
        let role = role::of(&config, src_mac, capture);
        let report = Report::new(Duration::from_millis(config.interval_ms.into()), events);
        Ok(Self {
            config,
            src_mac,
            sends: role.sends(),
            role,
            phase: Phase::New,
            stopping: false,
            lost_before: Lost::default(),
            report,
        })
    }

    /// Lends it a clock, for what cannot be measured by the times of passes: round trips take less than a pass where
    /// many are under way.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Time) -> Self {
        self.role.lend_clock(clock);
        self
    }

    /// Looks at the port and begins to wait for its link.
    fn start(&mut self, port: &Port, now: Time) {
        let takes = port.tx.capabilities();
        let fits =
            self.config.check_port(takes).and_then(|()| self.role.check_port(&self.config.port, takes));
        if let Err(error) = fits {
            self.report.tell(Event::Failed { message: error.to_string() });
            self.phase = Phase::Done;
            return;
        }
        if let Some(message) = self.role.note() {
            self.report.tell(Event::Note { message });
        }
        self.lost_before = self.lost(port);
        let Shape { burst, period } = self.role.shape();
        let wait_s = if self.sends { self.config.wait_s } else { 0 };
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        self.report.tell(Event::Start { src_mac: self.src_mac, burst, period_ns });
        self.phase = Phase::Waiting(now + Duration::from_secs(wait_s.into()));
    }

    fn begin(&mut self, now: Time) {
        self.role.begin(now);
        self.report.begin(now);
        self.report.tell(Event::Ready);
        self.phase = Phase::Running(now);
    }

    /// One pass of the role, counted and reported.
    fn run(&mut self, port: &mut Port, now: Time, since: Time) -> Progress {
        let tell = self.report.events();
        let pass =
            if self.stopping { self.role.stop(port, now, tell) } else { self.role.poll(port, now, tell) };
        self.report.count(&pass);
        let is_idle = pass.packets == 0;
        let is_due = now >= self.report.due();
        if !self.sends && (is_due || !is_idle) {
            let taken = u32::try_from(pass.packets).unwrap_or(u32::MAX);
            self.report.see_room(port.rx.room().map(|room| room.saturating_sub(taken)));
        }
        let over = match port.rx.end() {
            Some(End::Broken(_)) => is_idle || self.sends,
            Some(End::Complete) => is_idle && !self.sends,
            None => false,
        };
        if pass.over || over {
            return self.drain(port, now, Ran { since, ended: now, unsent: u64::MAX, left: now });
        }
        if is_due {
            if !self.sends && self.report.is_empty() {
                self.report.tell(Event::Waiting);
            }
            self.role.interval(now, false, self.report.events());
            self.report.end_interval(now);
        }
        Progress { busy: pass.packets > 0, deadline: pass.next.min(self.report.due()), done: false }
    }

    /// The host flushes the port after each poll.
    fn drain(&mut self, port: &mut Port, now: Time, mut ran: Ran) -> Progress {
        let unsent = port.tx.unsent();
        if unsent < ran.unsent {
            (ran.unsent, ran.left) = (unsent, now);
        }
        let until = (ran.left + STUCK).min(ran.ended + LONGEST_DRAIN);
        if self.role.transmits() && unsent > 0 && now < until {
            self.phase = Phase::Draining(ran);
            return Progress { busy: false, deadline: now + LOOK, done: false };
        }
        self.finish(port, ran.ended, ran.since)
    }

    fn finish(&mut self, port: &mut Port, now: Time, since: Time) -> Progress {
        let unsent = if self.role.transmits() { port.tx.unsent() } else { 0 };
        if self.config.function.receives() {
            port.rx.arm(); // which counts what the kernel dropped
            port.rx.disarm();
        }
        let (before, lost) = (self.lost_before, self.lost(port));
        let lost = Lost { errors: lost.errors - before.errors + unsent, drops: lost.drops - before.drops };
        self.role.interval(now, true, self.report.events());
        self.report.end_last_interval(now);
        self.role.total(now, self.report.events());
        let broken = port.rx.end().and_then(|end| if let End::Broken(why) = end { Some(why) } else { None });
        if let Some(why) = broken.or_else(|| self.role.fault()) {
            let message = format!("{}: {why}", self.config.port);
            self.report.tell(Event::Failed { message });
        }
        let took = self.role.took(now - since);
        if self.config.threads.count > 1 {
            self.report.tell_span(self.role.began(since), took);
        }
        self.report.finish(took, lost);
        self.phase = Phase::Done;
        DONE
    }

    /// Frames that the port lost so far, as far as they are the role's. One counter does for both ways: where the role
    /// goes both, what the backend failed at is taken for frames to send.
    fn lost(&self, port: &Port) -> Lost {
        let totals = port.counters.read();
        let (failed, full) = (totals.dropped(Reason::Error), totals.dropped(Reason::Full));
        match (self.role.transmits(), self.config.function.receives()) {
            (true, true) => Lost { errors: failed, drops: totals.drops() - failed - full },
            (true, false) => Lost { errors: failed, drops: 0 },
            (false, _) => Lost { errors: 0, drops: totals.drops() },
        }
    }
}

const DONE: Progress = Progress { busy: false, deadline: Time::NEVER, done: true };

impl App for Generator {
    fn poll(&mut self, port: &mut Port, now: Time) -> Progress {
        if let Phase::New = self.phase {
            self.start(port, now);
        }
        match self.phase {
            Phase::Waiting(until) if now < until && !self.stopping => {
                self.role.wait(port);
                Progress { busy: false, deadline: until, done: false }
            }
            Phase::Waiting(_) => {
                self.begin(now);
                self.run(port, now, now)
            }
            Phase::Running(since) => self.run(port, now, since),
            Phase::Draining(ran) => self.drain(port, now, ran),
            Phase::New | Phase::Done => DONE,
        }
    }

    fn stop(&mut self, _now: Time) {
        self.stopping = true;
    }
}
