use std::collections::VecDeque;

use proptest::prelude::*;

use super::spread::PATIENCE;
use crate::contract::{Cable, Far, Link, suite};
use crate::virtual_port::with_queues;
use crate::{Burst, Capabilities, Frame, Offload, Port};

const SLOTS: u16 = 64;

fn queues(n: usize) -> (Port, Vec<Port>) {
    with_queues("v", n, SLOTS, Capabilities::all(1500)).unwrap()
}

/// A UDP frame of a flow, with its number.
fn frame(flow: u16, number: u32) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    bytes.extend([8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(flow.to_be_bytes());
    bytes.extend([0, 9, 0, 26, 0, 0]);
    bytes.extend(number.to_be_bytes());
    bytes.resize(60, 0);
    bytes
}

fn flow_and_number(bytes: &[u8]) -> (u16, u32) {
    (u16::from_be_bytes([bytes[34], bytes[35]]), u32::from_be_bytes(bytes[42..46].try_into().unwrap()))
}

/// Takes up to `most` frames of a port.
fn take(port: &mut Port, most: usize) -> Vec<(u16, u32)> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let n = burst.len().min(most);
    let frames = burst[..n].iter().map(|f| flow_and_number(&f.to_vec())).collect();
    drop(burst);
    port.rx.release(n);
    frames
}

fn transmit(port: &mut Port, frames: &[Vec<u8>]) -> usize {
    let frames = frames.iter().map(|bytes| Frame::new(bytes)).collect::<Vec<_>>();
    let sent = port.tx.transmit(&frames);
    port.tx.flush();
    assert_eq!(sent.taken as u64, sent.frames);
    sent.taken
}

/// The far side of one queue among several, whichever the suite's flow goes by.
struct AnyQueue(Vec<Cable>);

impl Far for AnyQueue {
    fn send(&mut self, frame: &[u8], offload: Offload) -> bool {
        self.0[1].send(frame, offload)
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        self.0.iter_mut().find_map(Far::receive)
    }

    fn carries_offloads(&self) -> bool {
        true
    }
}

#[test]
fn the_contract_holds() {
    suite(&mut || {
        let (port, far) = queues(3);
        assert_eq!((port.rings.tx_rings, port.rings.rx_rings), (3, 3));
        (port, Box::new(AnyQueue(far.into_iter().map(Cable::new).collect())))
    });
}

#[test]
fn a_flow_keeps_its_queue_and_its_order() {
    let (mut near, mut far) = queues(4);
    let flows = 0..32u16;
    let mut got = vec![Vec::new(); 4];
    for number in 0..100 {
        let frames = flows.clone().map(|flow| frame(flow, number)).collect::<Vec<_>>();
        assert_eq!(transmit(&mut near, &frames), frames.len());
        for (queue, got) in far.iter_mut().zip(&mut got) {
            got.extend(take(queue, 256));
        }
    }
    assert!(got.iter().all(|frames| !frames.is_empty()), "every queue has flows");
    for flow in flows {
        let of_flow =
            |got: &[(u16, u32)]| got.iter().filter(|f| f.0 == flow).map(|f| f.1).collect::<Vec<_>>();
        let queues =
            got.iter().map(|got| of_flow(got)).filter(|numbers| !numbers.is_empty()).collect::<Vec<_>>();
        assert_eq!(queues, [(0..100).collect::<Vec<_>>()], "flow {flow}");
    }
}

#[test]
fn a_queue_that_nobody_empties_gives_its_flows_away_in_the_end_and_has_them_back() {
    let (mut near, mut far) = queues(2);
    let mut left = (0..u32::from(SLOTS) * 4).map(|n| frame(7, n)).collect::<VecDeque<_>>();
    let first = transmit(&mut near, left.make_contiguous());
    assert_eq!(first, usize::from(SLOTS), "its own queue, full");
    left.drain(..first);
    for refusals in 2..=PATIENCE {
        assert_eq!(transmit(&mut near, left.make_contiguous()), 0, "{refusals}: not yet");
    }
    let elsewhere = transmit(&mut near, left.make_contiguous());
    assert_eq!(elsewhere, usize::from(SLOTS), "the other queue");
    left.drain(..elsewhere);
    let mut heads = far.iter_mut().map(|queue| {
        let mut burst = Burst::new();
        queue.rx.receive(&mut burst);
        flow_and_number(&burst[0].to_vec()).1
    });
    let own = heads.position(|number| number == 0).unwrap();
    assert_eq!(take(&mut far[own], 1), [(7, 0)]);
    assert_eq!(transmit(&mut near, left.make_contiguous()), 1, "there is room in its own again");
    left.drain(..1);
    assert_eq!(take(&mut far[own], 256).len(), usize::from(SLOTS));
    assert_eq!(take(&mut far[1 - own], 256).len(), usize::from(SLOTS));
}

#[test]
fn any_queue_wakes() {
    for sender in 0..3 {
        let (mut near, mut far) = queues(3);
        let readable = |near: &Port| {
            let fd = near.rx.fd().unwrap();
            let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut fds, Some(&now)).unwrap() == 1
        };
        assert!(!near.rx.arm() && !readable(&near));
        transmit(&mut far[sender], &[frame(1, 1)]);
        assert!(readable(&near));
        near.rx.disarm();
        assert!(near.rx.arm(), "frames wait already");
        near.rx.disarm();
        assert_eq!(take(&mut near, 9), [(1, 1)]);
        assert!(!near.rx.arm() && !readable(&near));
    }
}

#[test]
fn numbers_of_queues_are_checked() {
    for n in [0, 17, usize::MAX] {
        let error = with_queues("vale0:1", n, SLOTS, Capabilities::all(1500)).err().unwrap().to_string();
        assert_eq!(error, format!("vale0:1: {n} queues: a virtual port has 1 to 16"));
    }
}

#[test]
fn a_reserved_frame_goes_where_there_is_room() {
    let (near, far) = queues(2);
    let mut link = Link::new(near, Box::new(AnyQueue(far.into_iter().map(Cable::new).collect())));
    for n in 0..2 * u32::from(SLOTS) {
        link.port.tx.reserve(60).unwrap().copy_from_slice(&frame(1, n));
        link.port.tx.commit(60, Offload::NONE);
    }
    assert!(link.port.tx.reserve(60).is_none());
    link.port.tx.flush();
    let mut got =
        std::iter::from_fn(|| link.far.receive()).map(|f| flow_and_number(&f.0).1).collect::<Vec<_>>();
    got.sort_unstable();
    assert_eq!(got, (0..2 * u32::from(SLOTS)).collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
enum Step {
    /// A queue's far end sends so many.
    Send(usize, usize),
    /// A receive, of which so many are given back.
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize, 1..80usize).prop_map(|(q, n)| Step::Send(q, n)),
        (0..300usize).prop_map(Step::Take)
    ]
}

proptest! {
    /// Whatever is sent by whichever queue, and however little of it is given back: nothing is lost or doubled, a queue
    /// keeps its order, and what was shown and kept is shown first the next time.
    #[test]
    fn what_waits_stays_first(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut near, mut far) = queues(3);
        let (mut sent, mut taken) = ([0; 3], [0; 3]);
        let mut waiting = Vec::new();
        for step in steps.into_iter().chain(std::iter::repeat_n(Step::Take(256), 3)) {
            match step {
                Step::Send(queue, n) => {
                    let frames = (sent[queue]..).take(n).map(|n| frame(queue as u16, n)).collect::<Vec<_>>();
                    sent[queue] += transmit(&mut far[queue], &frames) as u32;
                }
                Step::Take(n) => {
                    let mut burst = Burst::new();
                    near.rx.receive(&mut burst);
                    let shown = burst.iter().map(|f| flow_and_number(&f.to_vec())).collect::<Vec<_>>();
                    drop(burst);
                    prop_assert!(shown.starts_with(&waiting), "{:?} then {:?}", waiting, shown);
                    let n = n.min(shown.len());
                    near.rx.release(n);
                    for (queue, number) in &shown[..n] {
                        prop_assert_eq!(*number, taken[usize::from(*queue)]);
                        taken[usize::from(*queue)] += 1;
                    }
                    waiting = shown[n..].to_vec();
                }
            }
        }
        prop_assert_eq!(sent, taken);
    }
}
