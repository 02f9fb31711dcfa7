//! Lines of the control socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dataplane::control::hostile::lines(input));
