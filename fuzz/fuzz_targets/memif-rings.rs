//! Rings of a memif client.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::memif::hostile::rings(input));
