//! A message of `ascii87`, from its MTI on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::messages::check;
use xingka_wire::dialect::ASCII87;

fuzz_target!(|body: &[u8]| check(&ASCII87, body));
