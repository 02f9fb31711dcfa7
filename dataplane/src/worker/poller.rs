//! The loop of a worker.

use std::sync::Arc;

use crossbeam::channel::Receiver;
use ports::Time;
use switch::Switch;

use super::bridge::Bridge;
use super::command::Command;
use super::idle::{Alarm, Idler, Outcome, Policy};
use super::pass_clock::PassClock;
use super::{AppId, Hosted};

/// What a worker owns: its share of the ports, and its apps.
pub(super) struct Poller {
    commands: Receiver<Command>,
    alarm: Alarm,
    bridges: Vec<Bridge>,
    apps: Vec<Hosted>,
}

impl Poller {
    pub(super) const fn new(commands: Receiver<Command>, alarm: Alarm) -> Self {
        Self { commands, alarm, bridges: Vec::new(), apps: Vec::new() }
    }

    /// Polls until told to quit.
    pub(super) fn run(mut self, policy: Policy) {
        let mut clock = PassClock::new(Time::now);
        let mut idler = Idler::new(policy, clock.now());
        loop {
            let now = clock.now();
            if !self.commands.is_empty() && !self.obey(now) {
                return;
            }
            let outcome = self.pass(now);
            if let Some(until) = idler.rest(outcome, now) {
                self.sleep(until);
                clock.wake();
                continue;
            }
            if policy == Policy::Adaptive && !outcome.progress {
                std::hint::spin_loop();
            }
            clock.pass(outcome);
        }
    }

    fn pass(&mut self, now: Time) -> Outcome {
        let mut outcome = Outcome::NOTHING;
        let mut at = 0;
        while let Some(app) = self.apps.get_mut(at) {
            let progress = app.poll(now);
            outcome.progress |= progress.busy | progress.done;
            if progress.done {
                self.retire(at);
            } else {
                outcome.deadline = outcome.deadline.min(progress.deadline);
                at += 1;
            }
        }
        for bridge in &mut self.bridges {
            let forwarded = bridge.pass(now);
            outcome.progress |= forwarded.progress;
            outcome.held |= forwarded.held;
            outcome.deadline = outcome.deadline.min(forwarded.deadline);
        }
        outcome
    }

    /// Sleeps unless something came in between the last look and the request to be woken.
    fn sleep(&mut self, until: Time) {
        let mut waiting = !self.commands.is_empty();
        for bridge in &mut self.bridges {
            waiting |= bridge.arm();
        }
        for app in &mut self.apps {
            waiting |= app.arm();
        }
        if !waiting {
            self.alarm.sleep(Time::now(), until);
        }
        for bridge in &mut self.bridges {
            bridge.disarm();
        }
        for app in &mut self.apps {
            app.disarm();
        }
    }

    /// Carries out what was asked; false to end.
    fn obey(&mut self, now: Time) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::AddPort { switch, index, rx, ack } => {
                    let at = self.bridge(&switch);
                    self.bridges[at].add(index, rx, &self.alarm);
                    let _ = ack.try_send(());
                }
                Command::RemovePort { switch, index, drain_until, ack } => {
                    let at = self.bridge(&switch);
                    self.bridges[at].remove(index, drain_until, ack);
                }
                Command::Refresh { switch, ack } => {
                    self.refresh(&switch);
                    let _ = ack.try_send(());
                }
                Command::AddApp { hosted } => self.add_app(*hosted),
                Command::StopApp { id } => self.app(id).into_iter().for_each(|at| self.apps[at].stop(now)),
                Command::RemoveApp { id } => self.app(id).into_iter().for_each(|at| self.retire(at)),
                Command::Quit => return false,
            }
        }
        true
    }

    /// Which of the bridges is this switch's; made if there is none.
    fn bridge(&mut self, switch: &Arc<Switch>) -> usize {
        self.bridges.iter().position(|b| b.is_of(switch)).unwrap_or_else(|| {
            self.bridges.push(Bridge::new(switch.clone()));
            self.bridges.len() - 1
        })
    }

    fn refresh(&mut self, switch: &Arc<Switch>) {
        // A switch of which we receive nothing any more: nothing of it must be held here.
        self.bridges.retain_mut(|b| !(b.is_of(switch) && b.is_empty()));
        self.bridges.iter_mut().filter(|b| b.is_of(switch)).for_each(Bridge::refresh);
    }

    fn add_app(&mut self, mut hosted: Hosted) {
        hosted.watch(&self.alarm);
        self.apps.push(hosted);
    }

    fn app(&self, id: AppId) -> Option<usize> {
        self.apps.iter().position(|a| a.id == id)
    }

    fn retire(&mut self, at: usize) {
        self.apps.swap_remove(at).retire();
    }
}
