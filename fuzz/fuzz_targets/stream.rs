//! A stream of frames, each behind its length.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::stream::hostile::bytes(input));
