//! Field 62 of a sign-in's answer: what a terminal's own switch, or somebody else, sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::fields::check_keys;

fuzz_target!(|bytes: &[u8]| check_keys(bytes));
