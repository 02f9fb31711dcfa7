//! The functions of `-f`, one a file.

mod delays;
mod dump;
mod pacer;
mod ping;
mod pong;
mod receiver;
mod replayer;
mod rxseq;
mod sender;

pub(crate) use sender::Sender;

use std::sync::Arc;
use std::time::Duration;

use ports::pcap::Capture;
use ports::{Burst, Capabilities, Mac, Port, Rx, Time};

use crate::report::Pass;
use crate::{Config, Error, EventSink, Function};

/// How a role goes about it, for the report's first lines.
pub(crate) struct Shape {
    /// Most frames in one go.
    pub(crate) burst: u64,
    /// From burst to burst; zero without a rate.
    pub(crate) period: Duration,
}

/// A full port has nothing to wake us with: how long to sleep before trying again.
pub(crate) const RETRY: Duration = Duration::from_micros(100);

/// What a generator does with its port, from [`begin`](Self::begin) until its [`Pass::over`].
///
/// What a role has to say beyond frames and bytes goes to `tell`: as it happens, or once an interval.
pub(crate) trait Role: Send {
    fn shape(&self) -> Shape;

    /// Whether it makes frames of its own accord: such a role waits for the link before it begins, its run lasts
    /// from begin to end, and what the port fails to send counts.
    fn sends(&self) -> bool;

    /// A clock for what is shorter than a pass.
    fn lend_clock(&mut self, _clock: fn() -> Time) {}

    /// Whether what the port fails to send is its loss.
    fn transmits(&self) -> bool {
        self.sends()
    }

    /// Checks that the port takes what the role is to send, as far as the config does not say.
    fn check_port(&self, _name: &str, _port: Capabilities) -> Result<(), Error> {
        Ok(())
    }

    /// The wait is not over yet.
    fn wait(&mut self, port: &mut Port) {
        discard(&mut *port.rx);
    }

    /// The wait is over.
    fn begin(&mut self, _now: Time) {}

    /// One pass: takes what is there, sends what is due and finds room.
    fn poll(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass;

    /// A pass of a run that was stopped: nothing is begun any more. Most have nothing to wait for, and only count what
    /// has arrived.
    fn stop(&mut self, port: &mut Port, now: Time, tell: &mut EventSink) -> Pass {
        Pass { over: true, ..self.poll(port, now, tell) }
    }

    /// The report of an interval is about to be given: what belongs to it is said now. After the `last` one nothing
    /// is left to say of intervals, so it may allocate.
    fn interval(&mut self, _now: Time, _last: bool, _tell: &mut EventSink) {}

    /// The final report is about to be given: what belongs to it is said now.
    fn total(&mut self, _now: Time, _tell: &mut EventSink) {}

    /// When it began, if it was let `run` at that time.
    fn began(&self, run: Time) -> Time {
        run
    }

    /// What the user should know before it begins.
    fn note(&self) -> Option<String> {
        None
    }

    /// What went wrong without ending the run, for the user.
    fn fault(&self) -> Option<&str> {
        None
    }

    /// How long it took, if it `ran` that long.
    fn took(&self, ran: Duration) -> Duration {
        ran
    }
}

/// The role of `config`, whose frames have this source, or are those of a capture.
pub(crate) fn of(config: &Config, src_mac: Mac, capture: Option<Arc<Capture>>) -> Box<dyn Role> {
    if let (Some(replay), Some(capture)) = (&config.replay, capture) {
        return Box::new(replayer::Replayer::new(config, replay, capture));
    }
    match config.function {
        Function::Tx | Function::Txseq => Box::new(Sender::new(config, src_mac)),
        Function::Rx => Box::new(receiver::Receiver::new(config)),
        Function::Rxseq => Box::new(rxseq::SequenceReceiver::new(config)),
        Function::Ping => Box::new(ping::Ping::new(config, src_mac)),
        Function::Pong => Box::new(pong::Pong::new(config, src_mac)),
    }
}

/// Frames still to handle of `count`, where zero is without end.
const fn left(count: u64) -> Option<u64> {
    if count > 0 { Some(count) } else { None }
}

/// Gives back what others send to a role that does not care: left alone it would keep a host from ever going to
/// sleep.
fn discard(rx: &mut dyn Rx) {
    let mut burst = Burst::new();
    rx.receive(&mut burst);
    let n = burst.len();
    drop(burst);
    rx.release(n);
}
