//! An app on a port that this program opened itself: no switch, no daemon, the same loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ports::{App, Port, Time};

use crate::worker::idle::{Alarm, Idler, Kick, Outcome, Policy, Watch};

/// How long frames that were sent last may take to leave a port whose kernel side works in its own time.
const LINGER: Duration = Duration::from_millis(20);

/// Stops a [`Solo`] from any thread.
#[derive(Clone)]
pub struct Stopper {
    stopped: Arc<AtomicBool>,
    kick: Kick,
}

impl Stopper {
    /// Asks the app to come to its end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.kick.kick();
    }
}

/// An app alone with its port.
pub struct Solo {
    port: Port,
    app: Box<dyn App>,
    alarm: Alarm,
    watch: Option<Watch>,
    stopper: Stopper,
}

impl Solo {
    /// `app` on `port`, which is called `name`.
    ///
    /// # Errors
    /// If the process is out of descriptors.
    pub fn new(name: &str, port: Port, app: Box<dyn App>) -> Result<Self, ports::Error> {
        let alarm = Alarm::new().map_err(|e| ports::Error::io(name, "epoll", e))?;
        let watch = alarm.watch(name, port.rx.fd())?;
        let stopper = Stopper { stopped: Arc::default(), kick: alarm.kicker() };
        Ok(Self { port, app, alarm, watch, stopper })
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Polls on this thread until the app is done, and gives the port back.
    pub fn run(mut self, policy: Policy) -> Port {
        let mut idler = Idler::new(policy, Time::now());
        loop {
            let now = Time::now();
            if self.stopper.stopped.swap(false, Ordering::Acquire) {
                self.app.stop(now);
            }
            let progress = self.app.poll(&mut self.port, now);
            let held = !self.port.tx.flush();
            let due = self.port.rx.tend(now);
            if progress.done {
                break;
            }
            let outcome = Outcome { progress: progress.busy, held, deadline: progress.deadline.min(due) };
            if let Some(until) = idler.rest(outcome, now) {
                let waiting = self.port.rx.arm();
                if self.port.rx.fd().is_none() {
                    self.watch = None; // the interface has vanished, and its descriptor would wake us for ever
                }
                if !waiting {
                    self.alarm.sleep(now, until); // a stop kicks
                }
                self.port.rx.disarm();
            }
        }
        self.linger();
        self.port
    }

    /// The kernel takes frames off some ports a few at a kick (`TX_BATCH_SIZE` of net/xdp/xsk.c is 32).
    fn linger(&mut self) {
        let end = Time::now() + LINGER;
        while Time::now() < end {
            self.port.tx.flush();
            self.port.rx.tend(Time::now());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Progress;

    /// Rests until it is stopped.
    struct Rest(bool);

    impl App for Rest {
        fn poll(&mut self, _port: &mut Port, _now: Time) -> Progress {
            Progress { busy: false, deadline: Time::NEVER, done: self.0 }
        }

        fn stop(&mut self, _now: Time) {
            self.0 = true;
        }
    }

    #[test]
    fn a_sleeping_app_can_be_stopped() {
        let solo = Solo::new("null", ports::null::open(), Box::new(Rest(false))).unwrap();
        let stopper = solo.stopper();
        let stop = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            stopper.stop();
        });
        solo.run(Policy::Adaptive);
        stop.join().unwrap();
    }

    /// Owes its peer something in two milliseconds, once.
    struct Owing {
        due: Time,
        stopper: Arc<std::sync::OnceLock<Stopper>>,
    }

    impl ports::Rx for Owing {
        fn receive<'a>(&'a mut self, _burst: &mut ports::Burst<'a>) {}
        fn release(&mut self, _n: usize) {}
        fn tend(&mut self, now: Time) -> Time {
            if now >= self.due {
                self.due = Time::NEVER;
                self.stopper.get().unwrap().stop();
            }
            self.due
        }
    }

    #[test]
    fn a_port_that_owes_something_ends_the_sleep_of_its_app() {
        let stopper = Arc::new(std::sync::OnceLock::new());
        let rx = Owing { due: Time::now() + Duration::from_millis(2), stopper: stopper.clone() };
        let port = Port { rx: Box::new(rx), ..ports::null::open() };
        let solo = Solo::new("owing", port, Box::new(Rest(false))).unwrap();
        stopper.set(solo.stopper()).ok().unwrap();
        solo.run(Policy::Adaptive); // for ever, if nobody tends it
    }
}
