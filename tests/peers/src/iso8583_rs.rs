//! `iso8583_rs` 0.1: the oldest of them, which panics on what isn't well-formed; it is
//! never handed anything else.
//!
//! It has one table in the whole process and reads it from the file that the variable
//! `SPEC_FILE` names; `build.rs` writes the file from our fields and lets Cargo set the
//! variable for everything it runs. It reads and writes what is between the length prefixes
//! as it stands, so that all content is bytes to it.

use std::collections::HashMap;

use iso8583_rs::iso8583::iso_spec::{self, Spec};

use crate::{Peer, Said, Values, rows};

/// This peer.
pub const PEER: Peer = Peer { name: "iso8583_rs 0.1", decode, encode };

/// The table, once it is sure that asking for it doesn't panic.
fn spec() -> Result<&'static Spec, String> {
    std::env::var_os("SPEC_FILE").ok_or("SPEC_FILE isn't set: run this by `cargo test` or `cargo run`")?;
    Ok(iso_spec::spec(""))
}

/// What `build.rs` calls a field.
fn name_of(number: u8) -> String {
    format!("f{number:03}")
}

fn decode(bytes: &[u8]) -> Result<Said, String> {
    let mut bytes = bytes.to_vec();
    let message = spec()?.parse(&mut bytes).map_err(|error| error.msg)?;
    let mti = message.fd_map.get("message_type").and_then(|mti| std::str::from_utf8(mti).ok()?.parse().ok());
    Ok(Said { mti: mti.ok_or("no MTI")?, values: values(&message.fd_map) })
}

fn values(by_name: &HashMap<String, Vec<u8>>) -> Values {
    rows().filter_map(|(number, _)| Some((number, by_name.get(&name_of(number))?.clone()))).collect()
}

fn encode(said: &Said) -> Result<Vec<u8>, String> {
    let spec = spec()?;
    let mti = said.mti_text();
    let segment = spec.get_message_from_header(&mti).map_err(|error| error.msg)?;
    let mut message = iso_spec::new_msg(spec, segment);
    message.set("message_type", &mti).map_err(|error| error.msg)?;
    for (number, value) in &said.values {
        message.set_on(u32::from(*number), &hex::encode(value)).map_err(|error| error.msg)?;
    }
    message.assemble().map_err(|error| error.msg)
}
