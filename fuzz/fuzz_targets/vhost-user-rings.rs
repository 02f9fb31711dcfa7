//! Rings of a guest's driver.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ports::vhost_user::hostile::rings(input));
