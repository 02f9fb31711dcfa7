//! When to spin and when to sleep.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ports::Time;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// How long a poller spins without progress before it goes to sleep, at most: a wake-up costs about as much (50 us with
/// the scheduler and the cold caches), so that by then spinning has cost as much as sleeping would have.
const LONG_SPIN: Duration = Duration::from_micros(64);
/// The same, at least. Where spinning finds nothing, others have more use for the core: a guest's processor, from which the
/// next frame is to come.
const SHORT_SPIN: Duration = Duration::from_micros(8);
/// Progress that comes no later than this after the last, with the time that it takes to wake up, would have been found by
/// spinning for longer.
const SOON: Duration = Duration::from_micros(112);
/// How long it rests while frames wait for room at their destination: nobody kicks when room appears.
const NAP: Duration = Duration::from_micros(20);
/// A deadline nearer than this is awaited spinning, clock in hand: the sleep would overrun it.
pub(super) const SHORT: Duration = Duration::from_micros(20);

/// What a poller does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Spins for a while, then sleeps until traffic or the next deadline.
    #[default]
    Adaptive,
    /// Spins for ever: the lowest latency, a whole core.
    Busy,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "adaptive" => Ok(Self::Adaptive),
            "busy" => Ok(Self::Busy),
            other => Err(format!("{other:?} is no idle policy; there are adaptive and busy")),
        }
    }
}

/// What the last pass of a poller came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Something moved.
    pub progress: bool,
    /// Frames wait for room at their destination.
    pub held: bool,
    /// When somebody wants to be polled again, traffic or not.
    pub deadline: Time,
}

impl Outcome {
    /// Nothing happened, and nobody waits for anything.
    pub const NOTHING: Self = Self { progress: false, held: false, deadline: Time::NEVER };
}

/// Decides, pass by pass, whether to go on or to sleep, and for how long.
#[derive(Debug)]
pub struct Idler {
    policy: Policy,
    last_progress: Time,
    /// How long it spins at present, [`SHORT_SPIN`] to [`LONG_SPIN`].
    spin: Duration,
}

impl Idler {
    /// An idler that saw progress at `now`.
    #[must_use]
    pub const fn new(policy: Policy, now: Time) -> Self {
        Self { policy, last_progress: now, spin: LONG_SPIN }
    }

    /// After a pass at `now`: until when to sleep, or `None` to poll on.
    pub fn rest(&mut self, pass: Outcome, now: Time) -> Option<Time> {
        if pass.progress {
            self.adapt(now.since(self.last_progress));
            self.last_progress = now;
        }
        if self.policy == Policy::Busy || now.since(self.last_progress) < self.spin {
            return None;
        }
        let until = if pass.held { pass.deadline.min(now + NAP) } else { pass.deadline };
        (pass.held || until.since(now) > SHORT).then_some(until)
    }

    /// After progress, and so long without any: spins for longer if that would have found it, for shorter if it would not.
    fn adapt(&mut self, gap: Duration) {
        if gap > SOON {
            self.spin = (self.spin / 2).max(SHORT_SPIN);
        } else if gap > self.spin {
            self.spin = (self.spin * 2).min(LONG_SPIN);
        }
    }
}

/// The descriptors that end a sleep: those of the ports, and one of our own.
#[derive(Debug)]
pub struct Alarm {
    epoll: Arc<OwnedFd>,
    kick: Kick,
}

/// The descriptor of a port ends sleeps for as long as this lives. It is a duplicate, since the port may have
/// let go of its own by then.
#[derive(Debug)]
pub struct Watch {
    epoll: Arc<OwnedFd>,
    fd: OwnedFd,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = epoll::delete(&self.epoll, &self.fd);
    }
}

/// Ends the sleep of whoever waits on the [`Alarm`] it belongs to. Cheap to clone; works from any thread.
#[derive(Debug, Clone)]
pub struct Kick(Arc<OwnedFd>);

impl Kick {
    /// Kicks.
    pub fn kick(&self) {
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes()); // fails only when full: kicked already
    }
}

impl Alarm {
    /// An alarm with no descriptors but its own.
    ///
    /// # Errors
    /// If the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let own = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &own, EventData::new_u64(0), EventFlags::IN)?;
        Ok(Self { epoll: Arc::new(epoll), kick: Kick(Arc::new(own)) })
    }

    /// What ends a sleep from elsewhere.
    #[must_use]
    pub fn kicker(&self) -> Kick {
        self.kick.clone()
    }

    /// Takes up the descriptor of the port called `name`, if it has one.
    ///
    /// # Errors
    /// If the process is out of descriptors: the frames of a port that cannot be waited on wait for somebody else's.
    pub fn watch(&self, name: &str, fd: Option<BorrowedFd<'_>>) -> Result<Option<Watch>, ports::Error> {
        let Some(fd) = fd else { return Ok(None) };
        let watched = fd.try_clone_to_owned().and_then(|fd| {
            epoll::add(&*self.epoll, &fd, EventData::new_u64(0), EventFlags::IN)?;
            Ok(Watch { epoll: self.epoll.clone(), fd })
        });
        watched.map(Some).map_err(|e| ports::Error::io(name, "cannot wake its worker", e))
    }

    /// The same for a port that is to go on without, which is logged.
    #[must_use]
    pub fn watch_or_warn(&self, name: &str, fd: Option<BorrowedFd<'_>>) -> Option<Watch> {
        self.watch(name, fd).inspect_err(|e| tracing::warn!("{e}")).ok().flatten()
    }

    /// Sleeps until a descriptor is ready, a kick, or `until`; at once if any of these has been.
    pub fn sleep(&self, now: Time, until: Time) {
        let timeout = (until != Time::NEVER).then(|| {
            let d = until.since(now);
            // `Duration` is below 2^64 ns, hence seconds below 2^35.
            Timespec { tv_sec: d.as_secs().cast_signed(), tv_nsec: d.subsec_nanos().into() }
        });
        // An epoll descriptor is itself readable when one of its own is: ppoll(2) on it takes nanoseconds on
        // every kernel, and one entry however many ports there are.
        let mut fds = [PollFd::new(&*self.epoll, PollFlags::IN)];
        let _ = poll(&mut fds, timeout.as_ref()); // EINTR: as good as a wake-up
        let mut kicks = [0; 8];
        let _ = rustix::io::read(self.kick.0.as_fd(), &mut kicks); // EAGAIN: it was somebody else
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Outcome = Outcome { progress: true, ..Outcome::NOTHING };
    const HELD: Outcome = Outcome { held: true, ..Outcome::NOTHING };

    fn us(n: u64) -> Time {
        Time(n * 1000)
    }

    #[test]
    fn spins_for_a_while_and_then_sleeps_until_the_deadline() {
        let mut idler = Idler::new(Policy::Adaptive, Time::ZERO);
        assert_eq!(idler.rest(Outcome::NOTHING, us(63)), None);
        assert_eq!(idler.rest(Outcome::NOTHING, us(64)), Some(Time::NEVER));
        assert_eq!(idler.rest(BUSY, us(100)), None);
        assert_eq!(idler.rest(Outcome::NOTHING, us(163)), None);
        let soon = Outcome { deadline: us(300), ..Outcome::NOTHING };
        assert_eq!(idler.rest(soon, us(200)), Some(us(300)));
        assert_eq!(idler.rest(soon, us(290)), None, "too short to sleep");
        assert_eq!(idler.rest(soon, us(310)), None, "overdue");
    }

    /// How long an idler spins that saw these gaps between progress, us.
    fn spin_after(gaps: &[u64]) -> u64 {
        let mut idler = Idler::new(Policy::Adaptive, Time::ZERO);
        let mut now = Time::ZERO;
        for gap in gaps {
            now = now + Duration::from_micros(*gap);
            idler.rest(BUSY, now);
        }
        (0..100).find(|us| idler.rest(Outcome::NOTHING, now + Duration::from_micros(*us)).is_some()).unwrap()
    }

    #[test]
    fn spins_for_as_long_as_that_finds_something() {
        assert_eq!(spin_after(&[1, 60, 1]), 64, "it does");
        assert_eq!(spin_after(&[200]), 32, "it did not");
        assert_eq!(spin_after(&[200; 9]), 8, "it never does");
        assert_eq!(spin_after(&[200, 200, 200, 1, 5]), 8, "what is found at once says nothing");
        assert_eq!(spin_after(&[200, 200, 200, 20]), 16, "a little longer would");
        assert_eq!(
            spin_after(&[200, 200, 200, 100, 100, 100, 100]),
            64,
            "it would, a wake-up takes its time too"
        );
    }

    #[test]
    fn naps_while_frames_are_held() {
        let mut idler = Idler::new(Policy::Adaptive, Time::ZERO);
        assert_eq!(idler.rest(HELD, us(10)), None);
        assert_eq!(idler.rest(HELD, us(100)), Some(us(120)));
        assert_eq!(idler.rest(Outcome { deadline: us(105), ..HELD }, us(100)), Some(us(105)));
    }

    #[test]
    fn busy_never_sleeps() {
        let mut idler = Idler::new(Policy::Busy, Time::ZERO);
        assert_eq!(idler.rest(Outcome::NOTHING, Time::from_secs(9)), None);
    }

    #[test]
    fn what_cannot_be_waited_on_is_named() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let refused = Alarm::new().unwrap().watch("vale0:a", Some(file.as_fd())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "vale0:a: cannot wake its worker: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn a_kick_ends_the_sleep_and_is_spent() {
        let alarm = Alarm::new().unwrap();
        let before = Time::now();
        alarm.kicker().kick();
        alarm.sleep(before, Time::NEVER);
        let now = Time::now();
        alarm.sleep(now, now + Duration::from_millis(2));
        assert!(Time::now().since(now) >= Duration::from_millis(2));
    }
}
