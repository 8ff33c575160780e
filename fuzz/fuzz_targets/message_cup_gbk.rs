//! A message of `cup-gbk`, from its MTI on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::messages::check;
use xingka_wire::dialect::CUP_GBK;

fuzz_target!(|body: &[u8]| check(&CUP_GBK, body));
