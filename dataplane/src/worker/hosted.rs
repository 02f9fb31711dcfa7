//! An app on a worker, with its end of the cable.

use crossbeam::channel::Sender;
use ports::{App, Port, Progress, Time};

use super::idle::{Alarm, Watch};

/// An app that has left its worker, with its end of the cable: dropped by whoever asked for it, not by the
/// worker, which has no time for destructors.
pub struct Retired {
    /// The app.
    pub app: Box<dyn App>,
    /// Its end of the cable.
    pub port: Port,
}

/// Names a hosted app for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AppId(pub u64);

/// An app and the port that it alone uses.
pub struct Hosted {
    /// Which app.
    pub id: AppId,
    /// Of the port that its end of the cable leads to.
    name: String,
    app: Box<dyn App>,
    port: Port,
    retired: Sender<Retired>,
    watch: Option<Watch>,
}

impl Hosted {
    /// `app` on `port`, the far end of the one called `name`; goes to `retired`, which has room for it, when it has left the worker.
    #[must_use]
    pub fn new(id: AppId, name: String, app: Box<dyn App>, port: Port, retired: Sender<Retired>) -> Self {
        Self { id, name, app, port, retired, watch: None }
    }

    /// One pass of the app, and the kick for what it sent.
    pub(super) fn poll(&mut self, now: Time) -> Progress {
        let progress = self.app.poll(&mut self.port, now);
        self.port.tx.flush();
        progress
    }

    /// Asks the app to come to its end.
    pub(super) fn stop(&mut self, now: Time) {
        self.app.stop(now);
    }

    /// Lets frames for the app end the worker's sleep.
    pub(super) fn watch(&mut self, alarm: &Alarm) {
        self.watch = alarm.watch_or_warn(&self.name, self.port.rx.fd());
    }

    /// Asks for a wake-up; says whether frames wait already.
    pub(super) fn arm(&mut self) -> bool {
        self.port.rx.arm()
    }

    /// Polls again.
    pub(super) fn disarm(&mut self) {
        self.port.rx.disarm();
    }

    /// Hands the app back.
    pub(super) fn retire(self) {
        // Nobody there: whoever hosted it is gone, and the destructors run here after all.
        let _ = self.retired.try_send(Retired { app: self.app, port: self.port });
    }
}
