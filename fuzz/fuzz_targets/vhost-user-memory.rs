//! Tables of guest memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::vhost_user::hostile::memory(input));
