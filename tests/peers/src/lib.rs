//! `xingka-wire` beside libraries that other people wrote: a codec that is tested only
//! with its own writer agrees with itself, right or wrong.
//!
//! The peers speak ISO 8583:1987 in ASCII, which is our dialect `ascii87`. Each has a file
//! here that hands it our table of fields and nothing else. They are as well in a lock file
//! of their own, so that what they need doesn't reach the product.
//!
//! * [`ours`]: the codec under test, behind the same face as the peers.
//! * [`iso8583_codec`], [`iso8583_msg`], [`iso_8583_rs`], [`iso8583_rs`]: the peers.
//! * [`random`], [`requests`], [`answers`]: what is said, from a seed.
//! * [`probes`]: where not all agree.

pub mod ours;
pub mod iso8583_codec;
pub mod iso8583_msg;
pub mod iso_8583_rs;
pub mod iso8583_rs;
pub mod random;
pub mod requests;
pub mod answers;
pub mod probes;

use std::collections::BTreeMap;
use std::fmt;

use xingka_wire::dialect::{FIELDS, Field};

/// Fields by number: digits as ASCII, a track's separator as `=`, everything else as the
/// bytes it is. Bitmap and length prefixes are left to who writes.
pub type Values = BTreeMap<u8, Vec<u8>>;

/// A message without a spelling.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// The message type, so 0210 is 210.
    pub mti: u16,
    /// Its fields, the MAC among them.
    pub values: Values,
}

/// As one reads it: text where it is text. All of it is made up here, so nothing is hidden.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mti_text())?;
        self.values.iter().try_for_each(|(field, value)| write!(f, " | {field} {}", value.escape_ascii()))
    }
}

impl Said {
    /// The MTI as four digits.
    pub fn mti_text(&self) -> String {
        format!("{:04}", self.mti)
    }
}

/// A library that reads and writes messages from their MTI on.
#[derive(Clone, Copy)]
pub struct Peer {
    /// Its crate and version.
    pub name: &'static str,
    /// Reads a message.
    pub decode: fn(&[u8]) -> Result<Said, String>,
    /// Writes one.
    pub encode: fn(&Said) -> Result<Vec<u8>, String>,
}

/// All of them.
pub const PEERS: [Peer; 4] = [iso8583_codec::PEER, iso8583_msg::PEER, iso_8583_rs::PEER, iso8583_rs::PEER];

/// Our table's rows, which every peer's table is made from.
pub fn rows() -> impl Iterator<Item = (u8, Field)> {
    (0..).zip(FIELDS.iter()).filter_map(|(number, row)| row.map(|row| (number, row)))
}

/// Whether a field holds text for people, in which there are bytes beyond ASCII: no peer
/// counts those among `ans`.
pub const fn is_text(field: u8) -> bool {
    matches!(field, 43 | 63)
}

/// The length of a field without a prefix, or the most it may be.
pub const fn most(row: Field) -> u16 {
    use xingka_wire::dialect::Length;
    match row.length {
        Length::Fixed(most) | Length::Ll(most) | Length::Lll(most) => most,
    }
}
