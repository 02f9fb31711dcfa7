//! iperf3's control protocol over TCP, as server and as client.
//!
//! Both are state machines over a [`Transport`]: polled with the time, they read and write what they can and
//! say what happened as [`Event`]s. They hold no clock, thread or socket of their own. The client alone decides
//! when a test is over; bytes count only between `TEST_RUNNING` and `TEST_END`.

mod client;
mod clock;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
mod lenient;
mod pacing;
mod params;
mod refusal;
mod results;
mod server;
mod session;
mod stream;
mod tally;
mod test;
mod wire;

pub use client::Client;
pub use server::Server;

use crate::cpu::CpuTime;
use crate::event::{Event, EventSink, Failure, FailureKind};
use crate::transport::Transport;
use ports::Time;
use std::time::Duration;

pub(crate) use params::VERSION;

/// The congestion control of our stack, as told to peers.
const CONGESTION: &str = "cubic";
/// How long a test may move nothing before it is given up: stock iperf3's `--rcv-timeout`.
const IDLE: Duration = Duration::from_secs(120);
/// How long a last message may take to be acknowledged before we leave anyway.
const PARTING: Duration = Duration::from_millis(800);

/// One poll: the stack, the time, and where to say what happened.
struct Turn<'a, T> {
    transport: &'a mut T,
    now: Time,
    events: &'a mut EventSink,
    cpu: fn() -> CpuTime,
}

impl<T: Transport> Turn<'_, T> {
    fn say(&mut self, event: Event) {
        (self.events)(event);
    }

    fn complain(&mut self, test: Option<u32>, kind: FailureKind, message: impl Into<String>) {
        self.say(Event::Error(Failure { test, kind, message: message.into() }));
    }
}
