//! The frame ring against a queue that is plainly right.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ports::ring::{Consumer, Producer, ring};
use ports::{Burst, Frame, Offload};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{LONGEST, contents};

const fn metadata(number: u32) -> Offload {
    match number % 3 {
        0 => Offload::NONE,
        n => Offload {
            flags: 1,
            gso_type: n as u8,
            hdr_len: 54,
            gso_size: number as u16,
            csum_start: 34,
            csum_offset: 16,
        },
    }
}

/// A ring, and what is in it.
struct Modelled {
    producer: Producer,
    consumer: Consumer,
    queue: VecDeque<(u32, usize)>,
    number: u32,
    /// The frame committed last, if it can be repeated.
    last: Option<(u32, usize)>,
    /// The lengths of frames in labelled slots, by number.
    kept: BTreeMap<u32, usize>,
    /// Frames sent without metadata, whatever their number.
    plain: BTreeSet<u32>,
    /// Frames that were in their slot already.
    reused: u32,
}

#[derive(Clone, Debug)]
enum Step {
    /// Offers frames of these lengths.
    Transmit(Vec<usize>),
    /// Reserves the first, commits the second if it is not more.
    Reserve(usize, usize),
    /// Repeats the frame committed last so often.
    Repeat(usize),
    /// Sends a frame of this length, or what a slot kept from one: so often.
    Keep(usize, usize),
    /// Receives a burst and releases so many of it, out of 256.
    Receive(u8),
}

impl Modelled {
    /// A ring whose indices have run `start` slots already.
    fn new(slots: u16, start: u32) -> Self {
        let (mut producer, mut consumer) = ring("model", slots).expect("a ring");
        for _ in 0..start {
            assert_eq!(producer.transmit(&[Frame::new(&[])]).taken, 1);
            assert_eq!(consumer.receive(&mut Burst::new()), 0);
            consumer.release(1);
        }
        Self {
            producer,
            consumer,
            queue: VecDeque::new(),
            number: 0,
            last: None,
            kept: BTreeMap::new(),
            plain: BTreeSet::new(),
            reused: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Transmit(lens) => self.transmit(lens),
            Step::Reserve(reserved, committed) => self.reserve(*reserved, *committed),
            Step::Repeat(times) => self.repeat(*times),
            Step::Keep(len, times) => (0..*times).for_each(|_| self.keep(*len)),
            Step::Receive(share) => self.receive(*share),
        }
    }

    fn transmit(&mut self, lens: &[usize]) {
        let bytes = (self.number..).zip(lens).map(|(n, len)| contents(n, *len));
        let frames: Vec<_> =
            (self.number..).zip(bytes).map(|(n, b)| Frame::with_offload(b, metadata(n))).collect();
        let sent = self.producer.transmit(&frames);
        assert!(
            sent.taken > 0 || !self.queue.is_empty() || lens.is_empty(),
            "an empty ring has room for one"
        );
        self.last = None;
        assert_eq!(sent.frames, sent.taken as u64);
        assert_eq!(sent.bytes, lens[..sent.taken].iter().map(|len| *len as u64).sum::<u64>());
        for len in &lens[..sent.taken] {
            self.queue.push_back((self.number, *len));
            self.number += 1;
        }
    }

    fn reserve(&mut self, reserved: usize, committed: usize) {
        self.last = None;
        let Some(slot) = self.producer.reserve(reserved) else {
            assert!(!self.queue.is_empty(), "an empty ring has room for one");
            return;
        };
        assert_eq!(slot.len(), reserved);
        slot.copy_from_slice(contents(self.number, reserved));
        self.producer.commit(committed, metadata(self.number));
        self.producer.flush();
        if committed <= reserved {
            let one_slot = committed <= 1536 && metadata(self.number) == Offload::NONE;
            self.last = one_slot.then_some((self.number, committed));
            self.queue.push_back((self.number, committed));
            self.number += 1;
        }
    }

    /// A slot's label is the number of the frame in it, and one, if it is of this length; else it gets a new frame.
    fn keep(&mut self, len: usize) {
        self.last = None;
        let Some(slot) = self.producer.reserve_labelled(len) else { return };
        let new = &mut 0;
        let label = slot.label.unwrap_or(new);
        let kept = label.checked_sub(1).filter(|number| self.kept.get(number) == Some(&len));
        let number = kept.unwrap_or(self.number);
        if kept.is_none() {
            slot.bytes.copy_from_slice(contents(number, len));
            *label = number + 1;
            self.kept.insert(number, len);
            self.number += 1;
        }
        assert!(slot.bytes == contents(number, len), "frame {number} of {len} bytes was not kept");
        self.reused += u32::from(kept.is_some());
        self.producer.commit(len, metadata(0));
        self.producer.flush();
        self.queue.push_back((number, len));
        self.plain.insert(number);
        self.last = (len <= 1536).then_some((number, len));
    }

    fn repeat(&mut self, times: usize) {
        let repeated = self.producer.repeat(times);
        self.producer.flush();
        assert!(repeated <= times);
        match self.last {
            Some(frame) => self.queue.extend(std::iter::repeat_n(frame, repeated)),
            None => assert_eq!(repeated, 0),
        }
        let in_vain = repeated == 0 && times > 0 && self.last.is_some();
        assert!(!in_vain || !self.queue.is_empty(), "an empty ring has room for one");
    }

    fn receive(&mut self, share: u8) {
        let mut burst = Burst::new();
        assert_eq!(self.consumer.receive(&mut burst), 0, "broken");
        assert_eq!(burst.len(), self.queue.len().min(burst.capacity()));
        for (frame, (number, len)) in burst.iter().zip(&self.queue) {
            let plain = self.plain.contains(number);
            assert_eq!(frame.offload(), if plain { Offload::NONE } else { metadata(*number) });
            assert!(frame.to_vec() == contents(*number, *len), "frame {number} of {len} bytes");
        }
        let released = burst.len() * usize::from(share) / 255;
        drop(burst);
        self.consumer.release(released);
        self.queue.drain(..released);
    }
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..1600_usize, 2 => 1600..9100_usize, 1 => 0..=LONGEST, 1 => LONGEST - 2..=LONGEST]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => vec(len(), 0..40).prop_map(Step::Transmit),
        2 => (len(), len()).prop_map(|(reserved, committed)| Step::Reserve(reserved, committed)),
        2 => (0..100_usize).prop_map(Step::Repeat),
        3 => (prop_oneof![Just(60), Just(1514), len()], 1..100_usize).prop_map(|(len, n)| Step::Keep(len, n)),
        4 => any::<u8>().prop_map(Step::Receive),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Frames of all lengths; the 16-bit indices wrap in the middle of it.
    #[test]
    fn a_ring_is_a_queue(
        slots in prop_oneof![Just(64), Just(128), Just(512)],
        start in prop_oneof![0..64_u32, 65_300..65_536_u32],
        steps in vec(step(), 1..60),
    ) {
        let mut modelled = Modelled::new(slots, start);
        steps.iter().for_each(|step| modelled.step(step));
        while !modelled.queue.is_empty() {
            modelled.receive(255);
        }
    }
}

/// The indices of the smallest ring wrap ten times, at every phase of chains of up to 33 slots.
#[test]
fn indices_wrap_many_times() {
    let mut modelled = Modelled::new(64, 0);
    let lens = [60, 65_553, 1514, 2048, 1984, 1985, 9014, 40_000, 0, 1536];
    let (mut slots, mut share) = (0, 0_u8);
    while slots < 10 << 16 {
        let before = modelled.number;
        let at = before as usize % lens.len();
        modelled.transmit(&lens[at..]);
        for number in before..modelled.number {
            slots += lens[at + (number - before) as usize] / 2048 + 1;
        }
        share = share.wrapping_add(77);
        modelled.receive(share);
    }
}

/// What is repeated stays whole for as long as it is on its way, whatever is written meanwhile, for many laps.
#[test]
fn a_repeated_frame_is_one_frame() {
    let mut modelled = Modelled::new(64, 65_500);
    let (mut share, mut number) = (0_u8, 0);
    while number < 20_000 {
        modelled.reserve(1536, 1536);
        modelled.repeat(number % 70);
        modelled.reserve(number % 3000, number % 3000);
        modelled.repeat(number % 3);
        if number % 5 == 0 {
            modelled.transmit(&[60; 3]);
        }
        share = share.wrapping_add(77);
        modelled.receive(share);
        if number % 7 == 0 {
            modelled.reserve(60, 60);
            modelled.repeat(100);
            modelled.receive(255);
            modelled.repeat(3);
            (0..80).for_each(|_| modelled.reserve(60, 60));
        }
        number += 1;
    }
}

/// What a labelled slot is said to hold it holds, for many laps, whatever else is sent.
#[test]
fn labelled_slots_keep_their_bytes() {
    let mut modelled = Modelled::new(64, 65_500);
    for turn in 0_usize..20_000 {
        (0..turn % 70).for_each(|_| modelled.keep(if turn % 11 == 0 { 700 } else { 1514 }));
        match turn % 13 {
            0 => modelled.transmit(&[1514]),
            3 => modelled.reserve(1514, 1514),
            5 => modelled.reserve(3000, 4000), // written and left
            7 => modelled.repeat(turn % 5),
            9 => modelled.keep(3000),
            _ => {}
        }
        modelled.receive(if turn % 3 == 0 { 255 } else { turn as u8 });
    }
    assert!(modelled.reused > 10_000, "{}", modelled.reused);
}
