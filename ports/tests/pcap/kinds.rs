//! Every kind of capture file, and what is none.

use ports::Frame;
use ports::contract::frame;
use proptest::prelude::*;

use crate::build::{Ng, classic, parse, sound_files, times_ns};

#[test]
fn every_kind_of_pcap_is_read() {
    let frames = [frame(0, 60), frame(1, 61), frame(2, 62)];
    for big in [false, true] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let records =
                [(9, 999_000, &*frames[0], 60), (10, 1000, &*frames[1], 61), (8, 0, &*frames[2], 62)];
            let capture = parse(classic(magic, 1, big, &records)).unwrap();
            let second: u128 = 1_000_000_000 - 998_000 * unit;
            assert_eq!(times_ns(&capture), [0, second, second], "never back in time: {magic:x}");
            assert!((0..3).all(|n| capture.frame(n) == frames[n]));
            assert_eq!((capture.len(), capture.frame(3), capture.broken()), (3, &[][..], None));
        }
    }
}

#[test]
fn every_kind_of_pcapng_is_read() {
    for big in [false, true] {
        let offset: [u8; 8] = if big { 5_i64.to_be_bytes() } else { 5_i64.to_le_bytes() };
        let mut ng = Ng::new(big);
        ng.interface(1, &[(2, b"eth0")]);
        ng.interface(1, &[(9, &[9])]);
        ng.interface(1, &[(9, &[0x80 | 10]), (14, &offset)]);
        ng.packet(0, 5_000_000, &frame(0, 60), 60);
        ng.packet(1, 5_000_000_001, &frame(1, 61), 61);
        ng.block(0x0bad, b"who knows");
        ng.packet(2, 512, &frame(2, 62), 62);
        ng.packet(0, 6_000_000, &frame(3, 40), 60);
        ng.block(3, &[&ng.word(63)[..], &frame(4, 63)].concat());
        ng.section();
        ng.interface(1, &[]);
        ng.packet(0, 7_000_000, &frame(5, 65), 65);
        let capture = parse(ng.file).unwrap();
        assert_eq!(times_ns(&capture), [0, 1, 500_000_000, 500_000_000, 2_000_000_000], "{big}");
        let frames = [frame(0, 60), frame(1, 61), frame(2, 62), frame(4, 63), frame(5, 65)];
        assert!((0..5).all(|n| capture.frame(n) == frames[n]));
        assert_eq!(capture.note().unwrap(), "c: left out 1 records: 1 cut short, 0 runts, 0 too long");
        assert_eq!(capture.broken(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is in a file: no panic, and frames only that are in the file.
    #[test]
    fn no_file_trips_the_reader(
        kind in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(), cut in any::<bool>(),
    ) {
        let mut file = sound_files().swap_remove(kind);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cut {
            file.truncate(end.index(file.len()));
        }
        if let Ok(capture) = parse(file) {
            prop_assert!((0..capture.len()).all(|n| capture.frame(n).len() >= Frame::HEADER));
            prop_assert!(times_ns(&capture).is_sorted());
        }
    }

    #[test]
    fn no_noise_trips_the_reader(mut noise in proptest::collection::vec(any::<u8>(), 0..200), magic in 0..5_usize) {
        let magics = [0x0a0d_0d0a_u32, 0xa1b2_c3d4, 0xd4c3_b2a1, 0xa1b2_cd34, 0];
        noise.splice(0..noise.len().min(4), magics[magic].to_be_bytes());
        if magic == 0 && noise.len() > 12 {
            noise[8..12].copy_from_slice(&0x4d3c_2b1a_u32.to_be_bytes());
        }
        let _ = parse(noise);
    }
}
