//! A connection's bytes, cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::frames::check;

fuzz_target!(|stream: &[u8]| check(stream));
