//! Messages of a front-end, and the descriptors beside them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::vhost_user::hostile::messages(input));
