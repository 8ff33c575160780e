//! A message of `ascii87` beside independent codecs.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use xingka_fuzz::peers::{Peers, check};

static PEERS: LazyLock<Peers> = LazyLock::new(Peers::default);

fuzz_target!(|body: &[u8]| check(&PEERS, body));
