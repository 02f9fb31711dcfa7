//! Frames whose metadata lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switch::hostile::offload(input));
