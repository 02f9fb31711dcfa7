//! A peer that writes nonsense into the ring, as an outside process can: nothing of it leads out of the region.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;

use super::layout::{Desc, NEXT, OFFLOAD, SLOT};
use super::shared::Shared;
use super::{Consumer, Producer};
use crate::{Burst, Frame, Offload};

const SLOTS: u16 = 64;
const REGION: u32 = SLOTS as u32 * SLOT as u32;

fn ends() -> (Arc<Shared>, Producer, Consumer) {
    let shared = Arc::new(Shared::new("hostile", SLOTS).unwrap());
    (shared.clone(), Producer::new(shared.clone()), Consumer::new(shared))
}

/// The addresses that may be touched: the region as it is mapped, twice over.
fn mapped(shared: &Shared) -> Range<usize> {
    let start = shared.map().buffers.addr();
    start..start + 2 * shared.map().buffer_len()
}

fn within(mapped: &Range<usize>, bytes: &[u8]) -> bool {
    let part = bytes.as_ptr_range();
    mapped.start <= part.start.addr() && part.end.addr() <= mapped.end
}

/// Writes a descriptor, which no announcement is to stand in for.
fn write(shared: &Shared, index: u32, desc: Desc) {
    shared.map().header().newest.store(0, Ordering::Relaxed);
    shared.map().write(index, desc);
}

/// Descriptors that are nonsense, nearly right, or right.
fn descriptor() -> impl Strategy<Value = Desc> {
    let flags = prop_oneof![Just(0), Just(NEXT), Just(OFFLOAD), any::<u16>()];
    let length = prop_oneof![0..4096_u32, Just(SLOT as u32), REGION - 9..REGION + 9, any::<u32>()];
    let near = (0..u32::from(SLOTS), 0..96_u32).prop_map(|(slot, byte)| slot * SLOT as u32 + byte);
    let offset = prop_oneof![near, REGION - 9..REGION + 9, any::<u32>()];
    (flags, any::<u16>(), length, offset).prop_map(|(flags, region, length, offset)| {
        let desc = Desc::new(flags, length as usize, offset as usize);
        Desc { what: desc.what ^ u64::from(region) << 16, ..desc }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_consumer_reads_nothing_outside(
        descs in vec(descriptor(), usize::from(SLOTS)),
        heads in vec((any::<u16>(), any::<usize>()), 1..6),
    ) {
        let (shared, _, mut consumer) = ends();
        for (index, desc) in (0..).zip(descs) {
            write(&shared, index, desc);
        }
        for (head, released) in heads {
            shared.map().head().store(head, Ordering::Release);
            let tail = shared.map().tail().load(Ordering::Relaxed);
            let mut burst = Burst::new();
            let broken = consumer.receive(&mut burst);
            prop_assert!(burst.len() as u64 + broken <= u64::from(SLOTS));
            for frame in &burst {
                prop_assert!(within(&mapped(&shared), frame.bytes().unwrap()), "{frame:?}");
                let _ = frame.to_vec().iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
            }
            let received = burst.len();
            drop(burst);
            prop_assert!(head == tail || received > 0 || broken > 0, "waiting for ever");
            consumer.release(released % (received + 1));
            consumer.arm();
            consumer.disarm();
        }
    }

    #[test]
    fn what_is_announced_is_within_or_nothing(
        word in any::<u64>(),
        offset in prop_oneof![0..16_u64, u64::from(REGION) - 9..u64::from(REGION) + 9, any::<u64>()],
        index in 0..2_u64,
    ) {
        let (shared, mut producer, mut consumer) = ends();
        producer.transmit(&[Frame::new(&[7; 60])]);
        let lie = index << 48 | word & 0xffff_0000_0000 | offset & 0xffff_ffff;
        shared.map().header().newest.store(lie, Ordering::Relaxed);
        let mut burst = Burst::new();
        prop_assert_eq!(consumer.receive(&mut burst), 0);
        let bytes = burst[0].bytes().unwrap();
        prop_assert!(within(&mapped(&shared), bytes));
        prop_assert!(index == 0 || bytes == [7; 60], "it is of another slot");
        drop(burst);
        consumer.release(1);
        let mut burst = Burst::new();
        prop_assert_eq!(consumer.receive(&mut burst), 0);
        prop_assert!(burst.is_empty());
    }

    #[test]
    fn a_producer_writes_nothing_outside(
        steps in vec((any::<u16>(), 0..70_000_usize, 0..66_000_usize), 1..40),
    ) {
        let (shared, mut producer, _) = ends();
        let bytes = vec![7; 70_000];
        for (tail, transmitted, reserved) in steps {
            shared.map().tail().store(tail, Ordering::Release);
            let frames = [Frame::new(&bytes[..transmitted]), Frame::new(&bytes[..60])];
            prop_assert!(producer.transmit(&frames).taken <= 2);
            if let Some(slot) = producer.reserve(reserved) {
                prop_assert!(within(&mapped(&shared), slot));
                slot.fill(9);
                producer.commit(reserved, Offload { gso_size: tail & 1, ..Offload::NONE });
            }
            prop_assert!(producer.repeat(transmitted) <= 2 * usize::from(SLOTS)); // one look meanwhile
            producer.flush();
        }
    }
}

/// What never was a frame is counted, once, and the ring goes on, whenever what was one is given back.
#[test]
fn broken_chains_are_counted_once() {
    for releases in [&[0, 0, 1, 0, 0, 1, 0, 0][..], &[1, 1, 0]] {
        let (shared, mut producer, mut consumer) = ends();
        let bytes = [1; 60];
        producer.transmit(&[Frame::new(&bytes); 5]);
        let broken = Desc::new(0, u32::MAX as usize, 64);
        for index in [0, 2, 4] {
            write(&shared, index, broken);
        }
        let (mut good, mut counted) = (0, 0);
        for release in releases {
            let mut burst = Burst::new();
            counted += consumer.receive(&mut burst);
            assert!(burst.len() <= 1);
            drop(burst);
            consumer.release(*release);
            good += release;
        }
        assert_eq!((good, counted), (2, 3));
        assert_eq!(shared.map().tail().load(Ordering::Relaxed), 5);
    }
}

/// A consumer that claims more than there was makes the ring look full, and no larger.
#[test]
fn a_consumer_ahead_of_the_producer_gets_nothing() {
    let (shared, mut producer, _) = ends();
    shared.map().tail().store(1, Ordering::Relaxed);
    let bytes = [1; 60];
    let sent = producer.transmit(&[Frame::new(&bytes); SLOTS as usize + 1]);
    assert_eq!(sent.taken, usize::from(SLOTS) + 1); // by then, one frame can have been drained
    assert_eq!(producer.transmit(&[Frame::new(&bytes)]).taken, 0);
    shared.map().tail().store(SLOTS + 2, Ordering::Relaxed);
    assert_eq!(producer.transmit(&[Frame::new(&bytes)]).taken, 0);
}
