//! Workers: one polling thread a core, which owns the receiving halves of its ports and the apps it hosts.
//!
//! A pass has one reading of the clock, polls each app, forwards a burst of each port, and kicks every destination
//! once. Between passes a worker looks whether there are commands; that look is all that the control path costs
//! the data path. A port, or a share of its queues, is received by one worker only; any worker may transmit to it, under the lock that the
//! switch keeps for it.

mod bridge;
mod command;
pub mod cores;
mod hosted;
pub mod idle;
mod pass_clock;
mod poller;

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded, unbounded};
use ports::{Rx, Time};
use switch::{PortIndex, Switch};

use command::Command;
pub use hosted::{AppId, Hosted, Retired};
use idle::{Alarm, Kick, Policy};
use poller::Poller;

/// How long frames that an app left behind may take to find room before they are given up.
const DRAIN: Duration = Duration::from_millis(200);
/// The kernel may be this late with a sleep's end, ns, so that pacing is not at the mercy of the default 50 us.
const TIMER_SLACK: NonZeroU64 = NonZeroU64::new(1000).expect("not zero");

/// A worker, as the rest of the process sees it. Dropping it ends the thread.
pub struct Worker {
    core: usize,
    commands: Sender<Command>,
    kick: Kick,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker on `core`.
    ///
    /// # Errors
    /// If the thread or its descriptors cannot be had.
    pub fn start(core: usize, policy: Policy) -> io::Result<Self> {
        let (commands, receiver) = unbounded();
        let alarm = Alarm::new()?;
        let kick = alarm.kicker();
        let thread = std::thread::Builder::new().name(format!("worker-{core}")).spawn(move || {
            if let Err(e) = cores::pin(core) {
                tracing::warn!("worker {core} floats: {e}");
            }
            let _ = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK));
            Poller::new(receiver, alarm).run(policy);
        })?;
        Ok(Self { core, commands, kick, thread: Some(thread) })
    }

    /// The core it polls on.
    #[must_use]
    pub const fn core(&self) -> usize {
        self.core
    }

    fn tell(&self, command: Command) {
        let _ = self.commands.send(command); // fails only when the thread is gone, and then nobody answers
        self.kick.kick();
    }

    /// Makes the worker receive from a port of `switch`. Returns when it does.
    pub fn add_port(&self, switch: &Arc<Switch>, index: PortIndex, rx: Box<dyn Rx>) {
        let (ack, done) = bounded(1);
        self.tell(Command::AddPort { switch: switch.clone(), index, rx, ack });
        let _ = done.recv();
    }

    /// Makes the worker receive from a port no more, and returns the port's half once it has let go. With
    /// `drain`, the frames that wait in the port are forwarded first, as far as that takes no more than 200 ms.
    #[must_use]
    pub fn remove_port(&self, switch: &Arc<Switch>, index: PortIndex, drain: bool) -> Option<Box<dyn Rx>> {
        let (ack, done) = bounded(1);
        let drain_until = if drain { Time::now() + DRAIN } else { Time::ZERO };
        self.tell(Command::RemovePort { switch: switch.clone(), index, drain_until, ack });
        done.recv().ok()
    }

    /// Makes the worker see who is on `switch` now. Returns when it holds nobody who has left.
    pub fn refresh(&self, switch: &Arc<Switch>) {
        let (ack, done) = bounded(1);
        self.tell(Command::Refresh { switch: switch.clone(), ack });
        let _ = done.recv();
    }

    /// Makes the worker poll an app, until the app is done or removed.
    pub fn add_app(&self, hosted: Hosted) {
        self.tell(Command::AddApp { hosted: Box::new(hosted) });
    }

    /// Asks an app to come to its end; it leaves the worker when it has.
    pub fn stop_app(&self, id: AppId) {
        self.tell(Command::StopApp { id });
    }

    /// Makes an app leave the worker at once.
    pub fn remove_app(&self, id: AppId) {
        self.tell(Command::RemoveApp { id });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tell(Command::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
