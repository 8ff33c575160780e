//! Fields 55 and 57.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::fields::check_tlv;

fuzz_target!(|field: &[u8]| check_tlv(field));
