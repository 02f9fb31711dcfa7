//! A conversation with one peer, until either side has had enough of it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::{Shared, Told, Waiting};
use crate::Peer;

/// How long a peer that came to us may take to come to terms: who only sits there keeps others away.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Our part of a conversation.
pub(crate) trait Talk {
    /// Why the peer is not listened to any longer.
    type Refusal;

    /// Hears what the peer has said, once, and answers; false when it has hung up.
    ///
    /// # Errors
    /// For what breaks the rules.
    fn exchange(&mut self, peer: &OwnedFd, told: &mut Told) -> Result<bool, Self::Refusal>;

    /// Whether the peer may be silent from now on, for as long as it likes.
    fn is_settled(&self) -> bool;
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Over<R, B> {
    /// The port is detached.
    Stopped,
    /// The peer has hung up.
    HungUp,
    /// It did not come to terms in time.
    Silent,
    /// It broke the rules, in its memory.
    Broken(B),
    /// It broke them in what it said.
    Refused(R),
}

impl<R: fmt::Display, B: fmt::Display> fmt::Display for Over<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the port is detached"),
            Self::HungUp => f.write_str("it has hung up"),
            Self::Silent => f.write_str("it said nothing in time"),
            Self::Broken(broken) => broken.fmt(f),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

/// Speaks with a peer, and has it told who is there. If there is a patience, the peer has to come to terms within it.
pub(crate) fn talk<T: Talk, S, B: Copy + Into<Peer>>(
    peer: &OwnedFd,
    waiting: &Waiting,
    shared: &Shared<S, B>,
    patience: Option<Duration>,
    talk: &mut T,
    told: &mut Told,
) -> Over<T::Refusal, B> {
    let end = patience.map(|patience| Instant::now() + patience);
    loop {
        let end = end.filter(|_| !talk.is_settled());
        let now = Instant::now();
        let news = told.look(shared.presence(), now);
        let left = end.map(|end| end.saturating_duration_since(now)).into_iter().chain(news).min();
        let said = waiting.wait(Some(peer.as_fd()), left);
        if waiting.is_over() {
            return Over::Stopped;
        }
        if let Some(broken) = shared.broken() {
            return Over::Broken(broken);
        }
        if !said && end.is_some_and(|end| Instant::now() >= end) {
            return Over::Silent;
        }
        match if said { talk.exchange(peer, told) } else { Ok(true) } {
            Ok(true) => {}
            Ok(false) => return Over::HungUp,
            Err(why) => return Over::Refused(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::contract::eventually;
    use crate::peer::wake;

    /// What no peer breaks here.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Nothing;

    impl From<Nothing> for Peer {
        fn from(_: Nothing) -> Self {
            Self::Nobody
        }
    }

    /// Comes to terms with the first byte.
    #[derive(Default)]
    struct Byte {
        settled: AtomicBool,
    }

    impl Byte {
        fn is_settled(&self) -> bool {
            self.settled.load(Ordering::Acquire)
        }
    }

    impl Talk for &Byte {
        type Refusal = ();

        fn exchange(&mut self, peer: &OwnedFd, _: &mut Told) -> Result<bool, ()> {
            self.settled.store(true, Ordering::Release);
            rustix::io::read(peer, &mut [0]).map(|n| n > 0).map_err(|_| ())
        }

        fn is_settled(&self) -> bool {
            Byte::is_settled(self)
        }
    }

    fn peer() -> (OwnedFd, UnixStream, Waiting, Shared<(), Nothing>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let waiting = Waiting::new("talk").unwrap();
        let shared = Shared::new("talk", &waiting, 1).unwrap();
        (ours.into(), theirs, waiting, shared)
    }

    #[test]
    fn who_is_silent_from_the_first_is_left() {
        let (ours, theirs, waiting, shared) = peer();
        std::thread::scope(|threads| {
            let over = threads.spawn(|| {
                let patience = Some(Duration::from_millis(10));
                talk(&ours, &waiting, &shared, patience, &mut &Byte::default(), &mut Told::new("talk"))
            });
            let theirs = theirs; // hangs up if this fails
            eventually("it is listened to", || over.is_finished());
            assert_eq!(over.join().unwrap(), Over::Silent);
            drop(theirs);
        });
    }

    #[test]
    fn who_came_to_terms_may_be_silent_and_is_heard_again() {
        let (ours, theirs, waiting, shared) = peer();
        let byte = Byte::default();
        std::thread::scope(|threads| {
            let mut theirs = theirs;
            theirs.write_all(&[1]).unwrap();
            let over = threads.spawn(|| {
                let told = &mut Told::new("talk");
                talk(&ours, &waiting, &shared, Some(Duration::ZERO), &mut &byte, told)
            });
            eventually("nothing is heard", || byte.is_settled());
            wake(waiting.control()); // it looks around, and nothing was said
            drop(theirs);
            assert_eq!(over.join().unwrap(), Over::HungUp);
        });
    }
}
