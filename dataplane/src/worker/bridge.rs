//! One switch as one worker sees it: the ports that the worker receives for it.

use std::sync::Arc;

use crossbeam::channel::Sender;
use ports::{Rx, Time};
use switch::{Forwarder, PortIndex, Switch};

use super::idle::{Alarm, Outcome, Watch};

/// A port that this worker receives from.
struct Ingress {
    index: PortIndex,
    rx: Box<dyn Rx>,
    watch: Option<Watch>,
    /// Frames were left in it by the last pass because their destination is full.
    held: bool,
    /// When it wants to be tended.
    due: Time,
    leaving: Option<Leaving>,
}

/// A port on its way out.
struct Leaving {
    until: Time,
    ack: Sender<Box<dyn Rx>>,
}

/// The ports of one switch that one worker owns.
pub(super) struct Bridge {
    switch: Arc<Switch>,
    forwarder: Forwarder,
    ports: Vec<Ingress>,
    /// Some port is on its way out.
    leaving: bool,
}

impl Bridge {
    pub(super) fn new(switch: Arc<Switch>) -> Self {
        Self { forwarder: Forwarder::new(switch.clone()), switch, ports: Vec::new(), leaving: false }
    }

    pub(super) fn is_of(&self, switch: &Arc<Switch>) -> bool {
        Arc::ptr_eq(&self.switch, switch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    pub(super) fn refresh(&mut self) {
        self.forwarder.refresh();
    }

    pub(super) fn add(&mut self, index: PortIndex, rx: Box<dyn Rx>, alarm: &Alarm) {
        self.forwarder.refresh();
        let watch = alarm.watch_or_warn(&self.name(index), rx.fd());
        self.ports.push(Ingress { index, rx, watch, held: false, due: Time::ZERO, leaving: None });
    }

    /// What a port is called: `vale0:tap7`.
    fn name(&self, index: PortIndex) -> String {
        let members = self.switch.members();
        let port = members.iter().find(|member| member.index() == index).map_or("?", |member| member.name());
        format!("{}:{port}", self.switch.name())
    }

    /// Marks a port as leaving; it goes with a later [`pass`](Self::pass).
    pub(super) fn remove(&mut self, index: PortIndex, until: Time, ack: Sender<Box<dyn Rx>>) {
        if let Some(port) = self.ports.iter_mut().find(|p| p.index == index) {
            port.leaving = Some(Leaving { until, ack });
            self.leaving = true;
        }
    }

    /// Forwards a burst of every port, and kicks every destination once.
    #[inline]
    pub(super) fn pass(&mut self, now: Time) -> Outcome {
        let mut outcome = Outcome::NOTHING;
        for port in &mut self.ports {
            let pass = self.forwarder.forward(port.index, &mut port.rx, now);
            if pass.received > 0 || port.held || port.due <= now {
                port.due = port.rx.tend(now);
            }
            port.held = pass.held > 0;
            outcome.progress |= pass.received > 0;
            outcome.held |= port.held;
            outcome.deadline = outcome.deadline.min(port.due);
            if let Some(leaving) = &mut port.leaving
                && pass.received == 0
                && pass.held == 0
            {
                leaving.until = now; // drained
            }
        }
        outcome.held |= !self.forwarder.flush();
        if self.leaving {
            self.see_off(now);
            outcome.progress = true; // who waits for a port to leave is not to wait for traffic
        }
        outcome
    }

    fn see_off(&mut self, now: Time) {
        self.leaving = false;
        let mut at = 0;
        while let Some(port) = self.ports.get(at) {
            match &port.leaving {
                Some(leaving) if leaving.until <= now => {
                    let port = self.ports.swap_remove(at);
                    drop(port.watch);
                    if let Some(leaving) = port.leaving {
                        let _ = leaving.ack.try_send(port.rx);
                    }
                    continue;
                }
                Some(_) => self.leaving = true,
                None => {}
            }
            at += 1;
        }
    }

    /// Asks every port for a wake-up; says whether frames wait already. Held frames do not count: they wait
    /// for room, not for us.
    pub(super) fn arm(&mut self) -> bool {
        let mut waiting = false;
        for port in self.ports.iter_mut().filter(|p| !p.held) {
            waiting |= port.rx.arm();
            if port.rx.fd().is_none() {
                port.watch = None; // its interface has vanished, and the descriptor would wake us for ever
            }
        }
        waiting
    }

    /// Polls again.
    pub(super) fn disarm(&mut self) {
        self.ports.iter_mut().filter(|p| !p.held).for_each(|p| p.rx.disarm());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ports::{Burst, Frame, null};
    use switch::{Joining, Options, WhenFull};

    use super::*;

    /// Has a frame now and then, and wants to be tended a millisecond after each.
    #[derive(Default)]
    struct Owing {
        frames: usize,
        due: Option<Time>,
        tended: Arc<Tended>,
    }

    type Tended = std::sync::Mutex<Vec<Time>>;

    impl Rx for Owing {
        fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
            burst.extend(std::iter::repeat_n(Frame::new(&[0xff; 60]), self.frames));
        }
        fn release(&mut self, n: usize) {
            self.frames -= n;
        }
        fn tend(&mut self, now: Time) -> Time {
            self.tended.lock().unwrap().push(now);
            self.due = if self.due.is_some_and(|due| due <= now) { None } else { Some(now + AFTER) };
            self.due.unwrap_or(Time::NEVER)
        }
    }

    const AFTER: Duration = Duration::from_millis(1);

    #[test]
    fn a_port_is_tended_after_frames_and_when_it_wants_to_be() {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let joining = |name: &str| {
            let null = null::open();
            Joining { name: name.to_owned(), tx: null.tx, counters: null.counters, when_full: WhenFull::Drop }
        };
        let index = switch.join(joining("a")).unwrap();
        let mut bridge = Bridge::new(switch.clone());
        let owing = Owing { frames: 1, ..Owing::default() };
        let tended = owing.tended.clone();
        bridge.add(index, Box::new(owing), &Alarm::new().unwrap());
        let now = Time::from_secs(1);
        let soon = now + AFTER / 2;
        assert_eq!(bridge.pass(now).deadline, now + AFTER);
        assert_eq!(bridge.pass(soon).deadline, now + AFTER, "nothing came, and nothing is due");
        assert_eq!(bridge.pass(now + AFTER), Outcome::NOTHING);
        bridge.pass(now + AFTER * 2);
        assert_eq!(*tended.lock().unwrap(), [now, now + AFTER]);
    }
}
