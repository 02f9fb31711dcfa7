//! A producer and a consumer, each on a thread of its own.

use std::thread;

use ports::ring::ring;
use ports::{Burst, Frame, Offload};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
