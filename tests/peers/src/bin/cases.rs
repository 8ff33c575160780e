//! Prints cases for `python/check.py`, one JSON object a line: messages in `ascii87` and
//! `cup`, MACs, session keys under a master key, and the probes of `DISAGREEMENTS.md`.
//! The same lines every time: all of it comes from seeds.

use std::io::{self, Write};

use fastrand::Rng;
use serde_json::{Map, Value, json};
use xingka_peers::answers::Added;
use xingka_peers::probes::{packed_letter, probes};
use xingka_peers::requests::{Fill, KINDS, Kind, request};
use xingka_peers::{Said, ours, random};
use xingka_wire::decode;
use xingka_wire::dialect::{ASCII87, CUP, Dialect};
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::session_keys::{KeyLayout, MAX_KEY_FIELD_BYTES, SessionKeys, Tmk};

/// Requests of each kind, fill and dialect, and as many answers.
const REQUESTS: u64 = 50;

/// MACs of each algorithm and length of key.
const MACS: u64 = 300;

/// Session keys of each layout and algorithm that go together.
const KEYS: u64 = 40;

const LAYOUTS: [KeyLayout; 5] =
    [KeyLayout::Des, KeyLayout::Tdes, KeyLayout::TdesWithTrack, KeyLayout::Sm4, KeyLayout::Sm4WithTrack];

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut to = io::BufWriter::new(io::stdout().lock());
    for dialect in [&ASCII87, &CUP] {
        for kind in KINDS {
            (0..REQUESTS).try_for_each(|seed| exchange(&mut to, dialect, kind, seed))?;
        }
    }
    for algorithm in MacAlgorithm::ALL {
        (0..MACS).try_for_each(|seed| mac(&mut to, *algorithm, seed))?;
        for layout in LAYOUTS {
            (0..KEYS).try_for_each(|seed| keys(&mut to, layout, *algorithm, seed))?;
        }
    }
    all_probes(&mut to)?;
    Ok(to.flush()?)
}

/// A request of each fill, and its answer.
fn exchange(to: &mut impl Write, dialect: &'static Dialect, kind: Kind, seed: u64) -> Outcome {
    for fill in [Fill::Typed, Fill::Full] {
        let mut rng = Rng::with_seed(seed);
        let said = request(&mut rng, kind, fill);
        let frame = ours::encode(dialect, &said)?;
        let which = format!("{kind:?}, {fill:?}, seed {seed}");
        message(to, dialect, &which, &said, &frame)?;

        let added = Added::random(&mut rng, kind);
        let asked = ours::whole(dialect, &frame)?;
        let asked = decode(&asked).map_err(|malformed| malformed.fault.to_string())?;
        let answer = ours::around(dialect, &added.written(&asked.fields, asked.mti)?)?;
        message(to, dialect, &format!("answer to {which}"), &added.to(&said), &answer)?;
    }
    Ok(())
}

fn message(to: &mut impl Write, dialect: &Dialect, which: &str, said: &Said, frame: &[u8]) -> Outcome {
    let fields: Map<String, Value> =
        said.values.iter().map(|(field, value)| (field.to_string(), hex::encode(value).into())).collect();
    let case = json!({
        "check": "message", "dialect": dialect.name, "which": which,
        "mti": said.mti_text(), "fields": fields, "frame": hex::encode(frame),
    });
    Ok(writeln!(to, "{case}")?)
}

fn mac(to: &mut impl Write, algorithm: MacAlgorithm, seed: u64) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let mab_bytes = rng.usize(1..=400);
    let mab = random::bytes(&mut rng, mab_bytes);
    let whole: [u8; 16] = random::array(&mut rng);
    // A key of a length that the algorithm can't use is none.
    for key in [&whole[..8], &whole[..]] {
        let Ok(ready) = MacKey::new(algorithm, key) else { continue };
        let case = json!({
            "check": "mac", "algorithm": algorithm.name(), "key": hex::encode(key),
            "mab": hex::encode(&mab), "mac": hex::encode(ready.mac(&mab)),
        });
        writeln!(to, "{case}")?;
    }
    Ok(())
}

fn keys(to: &mut impl Write, layout: KeyLayout, algorithm: MacAlgorithm, seed: u64) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let (tmk, random) = (random::array(&mut rng), [(); 3].map(|()| random::array::<16>(&mut rng)));
    let Ok(keys) = SessionKeys::from_random(layout, algorithm, &random) else { return Ok(()) };
    let mut field = [0; MAX_KEY_FIELD_BYTES];
    let length = keys.wrap(layout, &Tmk::new(tmk), &mut field);
    let case = json!({
        "check": "keys", "network_code": layout.network_code(), "algorithm": algorithm.name(),
        "tmk": hex::encode(tmk), "random": random.map(hex::encode), "field": hex::encode(&field[..length]),
        "mac_key": hex::encode(keys.mac_key()), "pin_key": hex::encode(keys.pin_key()),
    });
    Ok(writeln!(to, "{case}")?)
}

fn all_probes(to: &mut impl Write) -> Outcome {
    let mut probe = |dialect: &Dialect, row: &str, frame: &[u8], reads: bool| -> Outcome {
        let frame = hex::encode(frame);
        let case = json!({"check": "probe", "dialect": dialect.name, "row": row, "frame": frame, "reads": reads});
        Ok(writeln!(to, "{case}")?)
    };
    for known in probes() {
        probe(&ASCII87, known.row, &ours::around(&ASCII87, &known.message)?, known.python)?;
    }
    probe(&CUP, "packed-letter", &packed_letter()?, true)
}
