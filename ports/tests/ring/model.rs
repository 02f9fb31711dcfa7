//! The frame ring against a queue that is plainly right, and between two threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;
use std::sync::LazyLock;
use std::thread;

use ports::ring::{Consumer, Producer, ring};
use ports::{Burst, Capabilities, Frame, Offload};
use proptest::collection::vec;
use proptest::prelude::*;

const LONGEST: usize = Capabilities::MAX_SUPER_FRAME as usize;

/// What a frame of this number and length holds: a window of one run of noise.
fn contents(number: u32, len: usize) -> &'static [u8] {
    static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let step = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let noise = successors(Some(1_u32), step).map(|seed| (seed >> 24) as u8);
        noise.take(LONGEST + 1000).collect()
    });
    &NOISE[number as usize % 1000..][..len]
}

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

/// A ring that is drained in time uses the first of its slots over and over.
#[test]
fn a_drained_ring_starts_over() {
    let (mut producer, mut consumer) = ring("short", 1024).expect("a ring");
    let mut places = BTreeSet::new();
    for number in 0..100_000 {
        let slot = producer.reserve(60).expect("room");
        slot.copy_from_slice(contents(number, 60));
        places.insert(slot.as_ptr().addr());
        producer.commit(60, Offload::NONE);
        if number % 64 == 63 {
            producer.flush();
            let mut burst = Burst::new();
            assert_eq!(consumer.receive(&mut burst), 0);
            assert_eq!(burst.len(), 64);
            for (frame, number) in burst.iter().zip(number - 63..) {
                assert!(frame.to_vec() == contents(number, 60), "frame {number}");
            }
            drop(burst);
            consumer.release(64);
        }
    }
    assert!(places.len() <= 256, "{}", places.len());
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

/// Whatever pages the machine has, rings are had; large ones show in steps of 1024 slots only.
#[test]
fn rings_do_without_large_pages() {
    let rings: Vec<_> = (0..40).map(|_| ring("pages", 1024).expect("a ring")).collect();
    for (mut producer, mut consumer) in rings {
        assert!([4 << 10, 2 << 20].contains(&producer.page_bytes()));
        let bytes = contents(3, LONGEST);
        for _ in 0..100 {
            assert_eq!(producer.transmit(&[Frame::new(bytes)]).taken, 1); // across the end of the buffers, too
            let mut burst = Burst::new();
            assert_eq!(consumer.receive(&mut burst), 0);
            assert!(burst[0].to_vec() == bytes);
            drop(burst);
            consumer.release(1);
        }
    }
    assert_eq!(ring("small", 512).expect("a ring").0.page_bytes(), 4096);
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

#[test]
fn sizes_that_no_ring_has() {
    for slots in [0, 1, 32, 63, 65, 1000, 1 << 15] {
        assert!(ring("odd", slots).is_err(), "{slots}");
    }
    for slots in [64, 1 << 14] {
        assert!(ring("even", slots).is_ok(), "{slots}");
    }
}

/// Bytes of the frames that travel between the threads: mostly small, some of several slots.
const fn travelling(number: u32) -> usize {
    if number.is_multiple_of(1000) { 9014 } else { 60 + number as usize % 140 }
}

#[test]
fn a_million_frames_pass_between_two_threads() {
    const FRAMES: u32 = 1_000_000;
    let (mut producer, mut consumer) = ring("threads", 256).unwrap();
    let sender = thread::spawn(move || {
        let mut number = 0;
        while number < FRAMES {
            let len = travelling(number);
            let Some(slot) = producer.reserve(len) else {
                producer.flush();
                thread::yield_now();
                continue;
            };
            slot.fill(number as u8);
            slot[..4].copy_from_slice(&number.to_le_bytes());
            producer.commit(len, Offload::NONE);
            number += 1;
            if number.is_multiple_of(17) {
                producer.flush();
            }
        }
        producer.flush();
    });
    let (mut expected, mut round) = (0_u32, 0_usize);
    while expected < FRAMES {
        let mut burst = Burst::new();
        assert_eq!(consumer.receive(&mut burst), 0);
        round += 1;
        let keep = burst.len().saturating_sub(round % 3);
        for frame in &burst[..keep] {
            let (head, rest) = frame.bytes().expect("in one run").split_at(4);
            assert_eq!(head, expected.to_le_bytes());
            assert_eq!(rest.len() + 4, travelling(expected));
            assert!(rest.iter().all(|byte| *byte == expected as u8), "frame {expected}");
            expected += 1;
        }
        let waiting = !burst.is_empty();
        drop(burst);
        consumer.release(keep);
        if !waiting || keep == 0 {
            thread::yield_now();
        }
    }
    sender.join().unwrap();
}

/// A consumer that sleeps whenever nothing waits is woken every time: the flags and the index cannot miss
/// each other.
#[test]
fn a_sleeping_consumer_misses_nothing() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    const FRAMES: u32 = 20_000;
    let (mut producer, mut consumer) = ring("sleep", 64).unwrap();
    let sender = thread::spawn(move || {
        for number in 0..FRAMES {
            let bytes = number.to_le_bytes();
            while producer.transmit(&[Frame::new(&bytes)]).taken == 0 {
                thread::yield_now();
            }
            producer.flush();
        }
    });
    let mut expected = 0;
    while expected < FRAMES {
        let mut burst = Burst::new();
        consumer.receive(&mut burst);
        for frame in &burst {
            assert_eq!(frame.to_vec(), expected.to_le_bytes());
            expected += 1;
        }
        let all = burst.len();
        drop(burst);
        consumer.release(all);
        if expected < FRAMES && !consumer.arm() {
            let fd = consumer.fd();
            let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
            let woken = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience));
            assert_eq!(woken, Ok(1), "asleep with frames waiting, at {expected}");
        }
        consumer.disarm();
    }
    sender.join().unwrap();
}
