//! Frames out of the dataplane.

use super::link::{Link, eventually, many};
use super::{frame, sequence, super_frame};
use crate::{Capabilities, Frame, Offload, Sent};

pub(super) fn sizes(mut link: Link) {
    for len in 60..=1514 {
        let sent = frame(0, len);
        link.put_one(&sent, Offload::NONE);
        assert_eq!(link.arrives(), (sent, Offload::NONE));
    }
    assert!(link.take().is_empty(), "the port hears its own frames");
}

/// Everything is offered at once, again and again, while the far side drains only in between.
pub(super) fn flood(mut link: Link) {
    let frames = many();
    let (mut taken, mut failed, mut bytes) = (0, 0, 0);
    let mut arrived = Vec::new();
    eventually("frames are missing that no counter knows of", || {
        let sent = link.put(&frames[taken..]);
        let offered: u64 = frames[taken..taken + sent.taken].iter().map(|f| f.len() as u64).sum();
        assert!(sent.bytes <= offered);
        taken += sent.taken;
        failed += sent.taken - usize::try_from(sent.frames).expect("64 bits");
        bytes += sent.bytes;
        while let Some((got, _)) = link.far.receive() {
            arrived.push(got);
        }
        let lost = usize::try_from(link.far.lost()).expect("64 bits");
        arrived.len() + failed + lost == frames.len()
    });
    assert_eq!(taken, frames.len());
    let numbers: Vec<_> = arrived.iter().filter_map(|f| sequence(f)).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "out of order, or twice");
    for (got, number) in arrived.iter().zip(numbers) {
        assert_eq!(*got, frames[number as usize]);
    }
    let all: u64 = frames.iter().map(|f| f.len() as u64).sum();
    assert!(failed > 0 || bytes == all, "{bytes} bytes counted of {all}");
}

pub(super) fn reserve(mut link: Link) {
    for len in [60, 61, 1000, 1514] {
        let sent = frame(1, len);
        let slot = link.port.tx.reserve(1514).expect("room in an idle port");
        assert_eq!(slot.len(), 1514);
        slot[..len].copy_from_slice(&sent);
        let first = slot.as_ptr();
        let again = link.port.tx.reserve(len).expect("the same room");
        assert_eq!(again.as_ptr(), first, "reserving again gives the same slot");
        assert_eq!(again, sent);
        link.port.tx.commit(len, Offload::NONE);
        link.port.tx.flush();
        assert_eq!(link.arrives(), (sent, Offload::NONE));
    }
    // Several committed before one flush keep their order, also with what is transmitted after them.
    for number in 0..8 {
        let sent = frame(number, 60);
        link.port.tx.reserve(60).expect("room for eight").copy_from_slice(&sent);
        link.port.tx.commit(60, Offload::NONE);
    }
    link.put_one(&frame(8, 60), Offload::NONE);
    for number in 0..9 {
        assert_eq!(link.arrives().0, frame(number, 60));
    }
}

pub(super) fn abandoned(mut link: Link) {
    link.port.tx.reserve(100).expect("room").copy_from_slice(&frame(1, 100));
    link.port.tx.flush();
    link.nothing_else_left();
    link.port.tx.commit(100, Offload::NONE); // the reservation ended with the transmit
    link.port.tx.flush();
    link.nothing_else_left();
    for (reserved, committed) in [(None, 60), (None, 0), (Some(60), 61), (Some(60), usize::MAX)] {
        if let Some(len) = reserved {
            link.port.tx.reserve(len).expect("room").copy_from_slice(&frame(2, len));
        }
        link.port.tx.commit(committed, Offload::NONE);
        link.port.tx.flush();
        link.nothing_else_left();
    }
    assert!(link.port.tx.reserve(1 << 20).is_none());
    link.port.tx.commit(60, Offload::NONE);
    link.nothing_else_left();
}

pub(super) fn too_long(mut link: Link) {
    let ours = [frame(0, 60), frame(1, 60)];
    let limit = Capabilities::MAX_SUPER_FRAME as usize;
    for len in [limit + 1, 200_000, 1 << 24] {
        let long = vec![0; len];
        let frames = [Frame::new(&ours[0]), Frame::new(&long), Frame::new(&ours[1])];
        let sent = link.port.tx.transmit(&frames);
        assert_eq!(sent, Sent { taken: 3, frames: 2, bytes: 120 }, "a frame of {len} bytes");
        link.port.tx.flush();
        assert_eq!(link.arrives().0, ours[0]);
        assert_eq!(link.arrives().0, ours[1]);
    }
    // Between what the port takes and what anybody takes: failed or not, but never in the way.
    let long = vec![0; limit.min(link.port.tx.capabilities().frame as usize + 5)];
    eventually("a frame too long finds no room", || link.port.tx.transmit(&[Frame::new(&long)]).taken == 1);
    link.put_one(&ours[0], Offload::NONE);
    eventually("a frame too long is in the way", || link.far.receive().is_some_and(|(f, _)| f == ours[0]));
}

pub(super) fn runts(mut link: Link) {
    for len in [0, 1, 13] {
        let runt = &frame(0, 60)[..len];
        eventually("a runt finds no room", || link.port.tx.transmit(&[Frame::new(runt)]).taken == 1);
    }
    link.port.tx.flush();
    let last = frame(9, 60);
    link.put_one(&last, Offload::NONE);
    eventually("a frame behind runts does not arrive", || link.far.receive().is_some_and(|(f, _)| f == last));
}

pub(super) fn offloads(mut link: Link) {
    if !link.far.carries_offloads() {
        return;
    }
    for len in [1515, 2049, 9014, 60_000] {
        let (bytes, offload) = super_frame(len);
        if !link.port.tx.capabilities().takes(len, offload) {
            continue;
        }
        link.put_one(&bytes, offload);
        let (arrived, metadata) = link.arrives();
        assert_eq!(arrived, bytes);
        assert_eq!(Offload { hdr_len: 54, ..metadata }, offload);
        link.port.tx.reserve(len).expect("room").copy_from_slice(&bytes);
        link.port.tx.commit(len, offload);
        link.port.tx.flush();
        let (arrived, metadata) = link.arrives();
        assert_eq!(arrived, bytes);
        assert_eq!(Offload { hdr_len: 54, ..metadata }, offload);
    }
}

pub(super) fn dropped(link: Link) {
    let Link { port, mut far } = link;
    drop(port);
    for number in 0..20_000 {
        far.send(&frame(number, 60), Offload::NONE);
    }
    far.receive();
    far.lost();
}
