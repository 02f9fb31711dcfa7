//! Frames into the dataplane.

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::link::{Link, eventually, many};
use super::{frame, sequence, super_frame};
use crate::{BURST, Burst, Frame, Offload};

pub(super) fn sizes(mut link: Link) {
    for len in 60..=1514 {
        let sent = frame(0, len);
        link.send(&sent);
        assert_eq!(link.take_exactly(1), [sent]);
    }
}

/// Sent = received + no room + counted drops, in order.
pub(super) fn flood(mut link: Link) {
    let frames = many();
    let refused = frames.iter().filter(|f| !link.far.send(f, Offload::NONE)).count();
    let mut received = Vec::new();
    eventually("frames are missing that no counter knows of", || {
        received.extend(link.take());
        link.port.rx.arm(); // which also brings counters up to date that are the kernel's
        link.port.rx.disarm();
        let dropped = usize::try_from(link.port.counters.read().drops()).expect("64 bits");
        assert!(received.len() + refused + dropped <= frames.len(), "{refused} refused, {dropped} dropped");
        received.len() + refused + dropped == frames.len()
    });
    assert!(received.len() >= link.far.queue(), "a queue of {} frames is none", received.len());
    let numbers: Vec<_> = received.iter().filter_map(|f| sequence(f)).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "out of order");
    for (got, number) in received.iter().zip(numbers) {
        assert_eq!(*got, frames[number as usize]);
    }
}

pub(super) fn partial_release(mut link: Link) {
    let frames: Vec<_> = (0..10).map(|i| frame(i, 100)).collect();
    frames.iter().for_each(|f| link.send(f));
    eventually("ten frames do not come in one burst, while none is released", || {
        let seen = link.look().0.len();
        link.port.rx.release(0);
        seen == 10
    });
    // Frames of others may stand between; only what `release` counts is gone.
    let mut left = 10;
    while left > 0 {
        let (seen, all) = link.look();
        assert_eq!(seen, frames[10 - left..]);
        link.port.rx.release(1);
        left = if all > seen.len() { link.look().0.len() } else { left - 1 };
        link.port.rx.release(0);
    }
    link.send(&frames[3]);
    assert_eq!(link.take_exactly(1), [frames[3].clone()]);
}

pub(super) fn mixture(mut link: Link) {
    let (mut sent, mut expected) = (0, 0);
    let mut seed = 1_u32;
    while expected < 5000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..seed >> 28 {
            let len = 60 + seed as usize % 1400;
            sent += u32::from(link.far.send(&frame(sent, len), Offload::NONE));
        }
        let mut burst = Burst::new();
        link.port.rx.receive(&mut burst);
        let keep = (seed >> 8) as usize % (burst.len() + 1);
        for waiting in &burst[..keep] {
            if let Some(number) = sequence(&waiting.to_vec()) {
                assert_eq!(number, expected);
                expected += 1;
            }
        }
        drop(burst);
        link.port.rx.release(keep);
    }
}

/// `receive` appends: what a burst already holds stays, and one without room gets nothing.
pub(super) fn full_burst(mut link: Link) {
    let old = frame(7, 60);
    (0..3).for_each(|i| link.send(&frame(i, 60)));
    eventually("three frames do not come", || {
        let seen = link.look().0.len();
        link.port.rx.release(0);
        seen == 3
    });
    let mut burst: Burst<'_> = (0..BURST).map(|_| Frame::new(&old)).collect();
    link.port.rx.receive(&mut burst);
    drop(burst);
    link.port.rx.release(0);
    let mut burst: Burst<'_> = (0..BURST - 1).map(|_| Frame::new(&old)).collect();
    link.port.rx.receive(&mut burst);
    assert_eq!(burst.len(), BURST);
    let last = burst.last().and_then(|f| sequence(&f.to_vec()));
    assert!(last.is_none_or(|number| number == 0));
    drop(burst);
    link.port.rx.release(0);
    assert_eq!(link.take_exactly(3), [frame(0, 60), frame(1, 60), frame(2, 60)]);
}

/// Whether runts come through is the medium's affair; what follows them must.
pub(super) fn runts(mut link: Link) {
    for len in [0, 1, 13, 14, 17, 59] {
        link.far.send(&frame(0, 60)[..len], Offload::NONE);
    }
    link.send(&frame(9, 60));
    eventually("a frame behind runts does not come", || link.take().contains(&frame(9, 60)));
}

pub(super) fn wake(mut link: Link) {
    if link.port.rx.fd().is_none() {
        return;
    }
    for round in 0..3 {
        eventually("arm says that frames wait where none does", || {
            link.take(); // another's frame, perhaps
            !link.port.rx.arm()
        });
        link.send(&frame(round, 60));
        let fd = link.port.rx.fd().expect("a descriptor that stays");
        let mut waiting = [PollFd::new(&fd, PollFlags::IN)];
        let patience = Timespec { tv_sec: 5, tv_nsec: 0 };
        assert_eq!(poll(&mut waiting, Some(&patience)), Ok(1), "not woken");
        link.port.rx.disarm();
        eventually("arm does not say that frames wait", || link.port.rx.arm());
        link.port.rx.disarm();
        assert_eq!(link.take_exactly(1), [frame(round, 60)]);
    }
}

pub(super) fn offloads(mut link: Link) {
    if !link.far.carries_offloads() {
        return;
    }
    for len in [1515, 2049, 9014, 60_000] {
        let (bytes, offload) = super_frame(len);
        assert!(link.far.send(&bytes, offload));
        let mut arrived = None;
        eventually("a super-frame does not come", || {
            let mut burst = Burst::new();
            link.port.rx.receive(&mut burst);
            arrived = burst.iter().find(|f| f.to_vec() == bytes).map(Frame::offload);
            let all = burst.len();
            drop(burst);
            link.port.rx.release(all);
            arrived.is_some()
        });
        // The header length is a hint, which a kernel in between may put differently.
        assert_eq!(arrived.map(|o| Offload { hdr_len: 54, ..o }), Some(offload));
    }
}
