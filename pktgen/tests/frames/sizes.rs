//! How long frames are.

use pktgen::{Config, Frames, Function, Size};
use ports::{App, Time};

use crate::bed::{cable, ends, generator, sent, take, total};

fn lens(size: Size, count: u64) -> Vec<usize> {
    let (frames, events) = sent(Frames { size, seed: Some(5), ..Frames::default() }, Function::Tx, count);
    frames.iter().for_each(|f| drop(ends(f)));
    let lens: Vec<_> = frames.iter().map(Vec::len).collect();
    // netmap counts all packets with the size of the last.
    assert_eq!(total(&events), (count, lens.iter().sum::<usize>() as u64));
    lens
}

#[test]
fn random_sizes_last_for_a_burst_and_reach_both_ends() {
    let lens = lens(Size::Random { least: 60, most: 64 }, 512 * 60);
    for burst in lens.chunks(512) {
        assert!(burst.iter().all(|len| *len == burst[0]), "one size a burst, however it found room");
    }
    let mut sizes: Vec<_> = lens.chunks(512).map(|burst| burst[0]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [60, 61, 62, 63], "most is not reached, as in netmap");
}

#[test]
fn bursts_of_one_have_a_size_each() {
    let (mut app, _) = generator(Config {
        frames: Frames { size: Size::Random { least: 42, most: 1515 }, ..Frames::default() },
        burst: 1,
        ..Config::new("test", Function::Tx)
    });
    let (mut far, mut near) = cable();
    for now in 0..200 {
        app.poll(&mut near, Time(now));
    }
    near.tx.flush();
    let mut lens: Vec<_> = take(&mut far).iter().map(Vec::len).collect();
    lens.sort_unstable();
    lens.dedup();
    assert!(lens.len() > 100, "{lens:?}");
}

/// netmap divides by their difference.
#[test]
fn the_same_size_twice_is_that_size() {
    assert!(lens(Size::Random { least: 99, most: 99 }, 600).iter().all(|len| *len == 99));
}

#[test]
fn an_imix_is_exact_in_each_dozen() {
    let lens = lens(Size::Imix, 1200);
    for dozen in lens.chunks(12) {
        let of = |size| dozen.iter().filter(|len| **len == size).count();
        assert_eq!([of(60), of(590), of(1514)], [7, 4, 1]);
    }
}
