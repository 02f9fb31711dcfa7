//! Apps: generators and endpoints, which make and consume frames instead of forwarding them.

use crate::{Port, Time};

/// What one poll of an app came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether the app did anything: a worker whose apps and ports all rest may go to sleep.
    pub busy: bool,
    /// When the app wants to be polled again even if no frame arrives; [`Time::NEVER`] if only a frame will do.
    pub deadline: Time,
    /// The app has nothing left to do: its host removes it and its port.
    pub done: bool,
}

/// A state machine on a port, without a thread, a clock or a system call of its own.
///
/// The same app runs on a NIC that a program opened directly, or hosted in the dataplane on a port of a
/// switch: it sees a [`Port`] either way. It never blocks, sleeps or prints; what it has to say goes through a
/// bounded channel that its maker chose.
pub trait App: Send {
    /// One pass: receives what is there, sends what is due and finds room, and returns. The caller flushes
    /// the port afterwards.
    fn poll(&mut self, port: &mut Port, now: Time) -> Progress;

    /// Asks the app to come to an end and report; it says [`Progress::done`] in a later poll, at most about
    /// a second on.
    fn stop(&mut self, now: Time);
}
