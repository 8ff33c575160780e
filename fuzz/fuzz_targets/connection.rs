//! A stranger's moves on a line to a live switch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::connection::check;

fuzz_target!(|moves: &[u8]| check(moves));
