//! Frames from several queues.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use arrayvec::ArrayVec;
use rustix::event::epoll;

use super::MAX_QUEUES;
use crate::{BURST, Burst, Error, Frame, Rx, Time};

/// Takes frames from its queues in turn.
///
/// What was shown and not given back is shown again first, in the same order, whatever queue it is of. While nothing
/// waits, the queues fill the burst one after the other, and each is the first in its turn.
pub(super) struct Gather {
    queues: Vec<Box<dyn Rx>>,
    /// The queue of every frame shown and not given back, oldest first.
    shown: ArrayVec<u8, BURST>,
    /// The queue that is the first in the next receive.
    first: usize,
    /// Readable when any of the queues' descriptors is.
    epoll: OwnedFd,
}

impl Gather {
    pub(super) fn new(name: &str, queues: Vec<Box<dyn Rx>>) -> Result<Self, Error> {
        let failed = |e| Error::io(name, "epoll", e);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for (index, queue) in queues.iter().enumerate() {
            if let Some(fd) = queue.fd() {
                let data = epoll::EventData::new_u64(index as u64);
                epoll::add(&epoll, fd, data, epoll::EventFlags::IN).map_err(failed)?;
            }
        }
        Ok(Self { queues, shown: ArrayVec::new(), first: 0, epoll })
    }

    /// Nothing waits: appends what there is, from the queue whose turn it is on.
    fn fresh<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let (before, from) = self.queues.split_at_mut(self.first);
        let indexed = (self.first..).zip(from).chain((0..).zip(before));
        for (index, queue) in indexed {
            let at = burst.len();
            queue.receive(burst);
            note(&mut self.shown, index, burst.len() - at);
        }
    }

    /// Appends what waits, then what there is besides.
    fn again<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let waiting = std::mem::take(&mut self.shown);
        let room = burst.remaining_capacity().min(waiting.len());
        let mut places = [None::<Frame<'a>>; BURST];
        let mut more = Burst::new();
        let mut of_more = ArrayVec::<u8, BURST>::new();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let mut own = Burst::new();
            queue.receive(&mut own);
            let mut own = own.into_iter();
            let theirs = waiting[..room].iter().zip(&mut places).filter(|(q, _)| usize::from(**q) == index);
            for (_, place) in theirs {
                *place = own.next();
            }
            let fresh = own.take(more.remaining_capacity());
            let at = more.len();
            more.extend(fresh);
            note(&mut of_more, index, more.len() - at);
        }
        for (queue, place) in waiting[..room].iter().zip(places) {
            if let Some(frame) = place {
                burst.push(frame);
                self.shown.push(*queue);
            }
        }
        let fits = burst.remaining_capacity().min(more.len());
        burst.extend(more.into_iter().take(fits));
        self.shown.extend(of_more.into_iter().take(fits));
    }
}

/// Notes that `n` frames more are of this queue.
fn note(shown: &mut ArrayVec<u8, BURST>, index: usize, n: usize) {
    let n = n.min(shown.remaining_capacity());
    shown.extend(std::iter::repeat_n(u8::try_from(index).unwrap_or(u8::MAX), n));
}

impl Rx for Gather {
    fn receive<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.first = (self.first + 1) % self.queues.len().max(1);
        if self.shown.is_empty() { self.fresh(burst) } else { self.again(burst) }
    }

    fn release(&mut self, n: usize) {
        let mut released = [0; MAX_QUEUES];
        for queue in self.shown.drain(..n.min(self.shown.len())) {
            released[usize::from(queue) % MAX_QUEUES] += 1;
        }
        for (queue, n) in self.queues.iter_mut().zip(released) {
            if n > 0 {
                queue.release(n);
            }
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    fn arm(&mut self) -> bool {
        self.queues.iter_mut().fold(false, |waiting, queue| queue.arm() | waiting)
    }

    fn disarm(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.disarm());
    }

    fn tend(&mut self, now: Time) -> Time {
        self.queues.iter_mut().map(|queue| queue.tend(now)).fold(Time::NEVER, Time::min)
    }
}
