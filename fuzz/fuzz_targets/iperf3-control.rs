//! The control connection of iperf3.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| iperf_endpoint::iperf3::hostile::control(input));
