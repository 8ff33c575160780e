//! Prints cases as JSON lines for codecs and ciphers that aren't written in Rust:
//! messages, MACs and session-key fields, random but the same every time.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use fastrand::Rng;
use serde_json::{Value, json};
use xingka_peers::encode;
use xingka_peers::sample::{KINDS, message};
use xingka_wire::dialect::ASCII87;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::session_keys::{KeyLayout, MAX_KEY_FIELD_BYTES, SessionKeys, Tmk};

const CASES: u64 = 1_000;

/// The network codes of the layouts.
const LAYOUTS: [u16; 5] = [1, 3, 4, 5, 6];

fn main() {
    for seed in 0..CASES {
        let mut random = Rng::with_seed(seed);
        println!("{}", message_case(seed, &mut random));
        MacAlgorithm::ALL.iter().for_each(|mac| println!("{}", mac_case(*mac, &mut random)));
        LAYOUTS.iter().filter_map(|code| keys_case(*code, &mut random)).for_each(|case| println!("{case}"));
    }
}

fn message_case(seed: u64, random: &mut Rng) -> Value {
    let message = message((seed % KINDS.len() as u64) as usize, random);
    let bytes = encode(&ASCII87, &message).map(hex::encode).unwrap_or_default();
    let fields: serde_json::Map<_, _> =
        message.fields.iter().map(|(field, content)| (field.to_string(), hex::encode(content).into())).collect();
    json!({ "case": "message", "mti": message.mti, "fields": fields, "bytes": bytes })
}

fn random_bytes<const N: usize>(random: &mut Rng) -> [u8; N] {
    std::array::from_fn(|_| random.u8(..))
}

fn mac_case(algorithm: MacAlgorithm, random: &mut Rng) -> Value {
    let data: Vec<u8> = (0..random.usize(1..300)).map(|_| random.u8(..)).collect();
    let key: [u8; 16] = random_bytes(random);
    let short = algorithm == MacAlgorithm::X99 || algorithm == MacAlgorithm::CupEcb && random.bool();
    let key = if short { &key[..8] } else { &key[..] };
    let mac = MacKey::new(algorithm, key).map(|key| hex::encode(key.mac(&data))).unwrap_or_default();
    json!({ "case": "mac", "algorithm": algorithm.name(), "key": hex::encode(key), "data": hex::encode(data), "mac": mac })
}

/// A field 62, as the switch makes it; `None` where the layout and the MAC don't fit together.
fn keys_case(code: u16, random: &mut Rng) -> Option<Value> {
    let layout = KeyLayout::by_network_code(code)?;
    let algorithm = if code == 1 { MacAlgorithm::X99 } else { MacAlgorithm::X919 };
    let tmk: [u8; 16] = random_bytes(random);
    let made = [random_bytes(random), random_bytes(random), random_bytes(random)];
    let keys = SessionKeys::from_random(layout, algorithm, &made).ok()?;
    let mut field = [0; MAX_KEY_FIELD_BYTES];
    let length = keys.wrap(layout, &Tmk::new(tmk), &mut field);
    Some(json!({
        "case": "keys",
        "network_code": format!("{code:03}"),
        "tmk": hex::encode(tmk),
        "field": hex::encode(field.get(..length)?),
        "pin_key": hex::encode(keys.pin_key()),
        "mac_key": hex::encode(keys.mac_key()),
    }))
}
