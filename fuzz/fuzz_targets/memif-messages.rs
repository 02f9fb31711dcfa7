//! Messages of a memif peer, and the descriptors beside them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::memif::hostile::messages(input));
