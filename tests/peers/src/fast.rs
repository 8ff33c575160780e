//! `iso_8583_rs`: ASCII, hexadecimal bitmaps, allocates nothing; the one to beat.

use std::collections::HashMap;

use iso_8583_rs::specfile::{FieldDescription, Spec};
use iso_8583_rs::{Builder, CompiledSpec, Message};
use xingka_wire::dialect::{Content, Dialect, Field, Length};

use crate::{ASCII87_HEX, Peer, Plain, rows};

/// It, with our table.
pub struct Fast {
    /// For benchmarks, which use it directly.
    pub spec: CompiledSpec,
}

impl Fast {
    /// Compiles the table.
    pub fn new() -> Self {
        let fields: HashMap<i64, _> = rows().map(|(number, row)| (i64::from(number), describe(row))).collect();
        let spec = CompiledSpec::compile(&Spec { fields });
        Self { spec: spec.unwrap_or_else(|error| panic!("our table doesn't suit it: {error}")) }
    }
}

impl Default for Fast {
    fn default() -> Self {
        Self::new()
    }
}

fn describe(row: Field) -> FieldDescription {
    let content_type = match row.content {
        Content::N => "n",
        Content::An => "an",
        // Ours allow bytes of GBK, which it doesn't; it leaves what it doesn't know unchecked.
        Content::Ans | Content::Z | Content::B => "b",
    };
    let (len_type, max_len) = match row.length {
        Length::Fixed(units) => ("fixed", units),
        Length::Ll(most) => ("llvar", most),
        Length::Lll(most) => ("lllvar", most),
    };
    FieldDescription {
        content_type: content_type.into(),
        max_len: usize::from(max_len),
        min_len: 0,
        len_type: len_type.into(),
        label: String::new(),
    }
}

impl Peer for Fast {
    fn name(&self) -> &'static str {
        "iso_8583_rs"
    }

    fn dialect(&self) -> &'static Dialect {
        &ASCII87_HEX
    }

    fn decode(&self, message: &[u8]) -> Result<Plain, String> {
        let read = Message::parse(&self.spec, message).map_err(|error| error.to_string())?;
        let fields = read.fields().map(|(number, content)| (number as u8, content.to_vec())).collect();
        Ok(Plain { mti: String::from_utf8_lossy(&read.mti).into_owned(), fields })
    }

    fn encode(&self, message: &Plain) -> Result<Vec<u8>, String> {
        let mut builder = Builder::new(&self.spec, message.mti.as_bytes()).map_err(|error| error.to_string())?;
        for (number, content) in &message.fields {
            builder.set(usize::from(*number), content).map_err(|error| error.to_string())?;
        }
        let mut bytes = Vec::new();
        builder.pack_into(&mut bytes);
        Ok(bytes)
    }
}
