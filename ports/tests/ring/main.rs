//! The frame ring by itself, against a queue that is plainly right, and between two threads.

mod model;
mod threads;

use std::collections::BTreeSet;
use std::iter::successors;
use std::sync::LazyLock;

use ports::ring::ring;
use ports::{Burst, Capabilities, Frame, Offload};

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

/// Frames that come alone, when indices are the same again: what is known of the one before is not taken for this one.
#[test]
fn a_frame_is_not_mistaken_for_one_of_its_index() {
    let (mut producer, mut consumer) = ring("alone", 64).expect("a ring");
    let special = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
    for (number, len) in (0..=1 << 16).zip([60].into_iter().chain(std::iter::repeat(70))) {
        let offload = if number == 0 { Offload::NONE } else { special };
        producer.transmit(&[Frame::with_offload(contents(number, len), offload)]);
        let mut burst = Burst::new();
        assert_eq!(consumer.receive(&mut burst), 0);
        assert_eq!((burst.len(), burst[0].offload()), (1, offload), "frame {number}");
        assert!(burst[0].to_vec() == contents(number, len), "frame {number}");
        drop(burst);
        consumer.release(1);
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

#[test]
fn sizes_that_no_ring_has() {
    for slots in [0, 1, 32, 63, 65, 1000, 1 << 15] {
        assert!(ring("odd", slots).is_err(), "{slots}");
    }
    for slots in [64, 1 << 14] {
        assert!(ring("even", slots).is_ok(), "{slots}");
    }
}
