//! Writes our table of fields as `iso8583_rs` reads it, from a file named by a variable.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use xingka_wire::dialect::{FIELDS, Field, Length};

/// Requests and their answers.
const TYPES: [u16; 16] = [100, 110, 200, 210, 220, 230, 320, 330, 400, 410, 500, 510, 800, 810, 820, 830];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?).join("ascii87.yaml");
    fs::write(&path, spec()?)?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=SPEC_FILE={}", path.display());
    Ok(())
}

fn spec() -> Result<String, std::fmt::Error> {
    let mti = "type: Fixed, len: 4, data_encoding: ASCII";
    let mut yaml = format!("name: ascii87\nid: 1\nheader_fields:\n  - {{name: mti, id: 1, {mti}}}\n");
    writeln!(yaml, "messages:\n  - name: any\n    id: 1\n    selector: [{}]", selectors())?;
    writeln!(yaml, "    fields:\n      - {{name: message_type, id: 1, {mti}}}")?;
    writeln!(yaml, "      - name: bitmap\n        id: 2\n        type: Bitmapped\n        len: 0")?;
    writeln!(yaml, "        data_encoding: BINARY\n        children:")?;
    for (number, row) in FIELDS.iter().enumerate() {
        row.iter().try_for_each(|row| writeln!(yaml, "          - {{{}}}", field(number, *row)))?;
    }
    Ok(yaml)
}

fn selectors() -> String {
    TYPES.map(|mti| format!("\"{mti:04}\"")).join(", ")
}

fn field(number: usize, row: Field) -> String {
    let (kind, len) = match row.length {
        Length::Fixed(exactly) => ("Fixed", exactly),
        // Of a variable field it is told how many digits the prefix has, and no maximum.
        Length::Ll(_) => ("Variable", 2),
        Length::Lll(_) => ("Variable", 3),
    };
    format!(
        "name: f{number:03}, id: {number}, type: {kind}, len: {len}, len_encoding: ASCII, \
         data_encoding: BINARY, position: {number}"
    )
}
