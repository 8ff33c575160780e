//! Names of things, as types that can't be mixed up.
//!
//! Terminal and merchant ids are the fixed-length texts of the wire, kept as
//! bytes: a lookup then compares what arrived with what is stored, and nothing is
//! decoded or allocated on the way.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An id that is not what its kind demands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} must be {length} letters or digits, this has {found} bytes or other characters")]
pub struct BadId {
    what: &'static str,
    length: usize,
    found: usize,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $length:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $length]);

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = BadId { what: $what, length: $length, found: text.len() };
                let bytes: [u8; $length] = text.as_bytes().try_into().map_err(|_| bad.clone())?;
                let alphanumeric = bytes.iter().all(u8::is_ascii_alphanumeric);
                alphanumeric.then_some(Self(bytes)).ok_or(bad)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Ids come from the wire too, where any printable byte may stand.
                self.0.iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

text_id! {
    /// Field 41: eight characters, unique in the city.
    TerminalId, 8, "a terminal id"
}
text_id! {
    /// Field 42: acquirer 3, region 4, MCC 4, serial 4.
    MerchantId, 15, "a merchant id"
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A benefit, as numbered in `benefits.csv`; DF04, DF18 and DF1E carry it.
    BenefitId
}
number_id! {
    /// A rule book; counts up with each one made. DF19 carries it.
    RuleBookVersion
}
number_id! {
    /// A holder's number in the store: dense, never given to another holder.
    HolderNo
}

/// HMAC-SHA-256 of a card number under the deployment's card-hash key: the only
/// form in which a card number is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PanKey(pub [u8; 32]);

impl fmt::Debug for PanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PanKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A record's place: whose journal, and where in it.
///
/// Packed, because ledgers hold millions: the node in the upper 16 bits, the sequence below. A
/// place in node 0's journal is its plain number, which is what journals wrote when there was one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place(u64);

/// Bits of a place that count records: 281 million million of them.
const PLACE_BITS: u32 = 48;

/// Decimal digits of a reference that count records; two above them name the node.
const REFERENCE_RECORDS: u64 = 10_000_000_000;

impl Place {
    /// A place in a node's journal; they count from 1.
    pub const fn new(node: u16, sequence: u64) -> Self {
        Self((node as u64) << PLACE_BITS | sequence & ((1 << PLACE_BITS) - 1))
    }

    /// Whose journal.
    pub const fn node(self) -> u16 {
        (self.0 >> PLACE_BITS) as u16
    }

    /// Where in it.
    pub const fn sequence(self) -> u64 {
        self.0 & ((1 << PLACE_BITS) - 1)
    }

    /// Its number on answers (fields 37 and 38): the last ten digits of the sequence, and the
    /// node's last two before them, so that two nodes' answers don't share one.
    pub const fn reference(self) -> u64 {
        self.node() as u64 % 100 * REFERENCE_RECORDS + self.sequence() % REFERENCE_RECORDS
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of node {}", self.sequence(), self.node())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}, {})", self.node(), self.sequence())
    }
}

/// A decision's UUIDv7; DF1B carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DecisionId(pub [u8; 16]);

impl DecisionId {
    /// The UUIDv7 (RFC 9562) of a decision: its moment in milliseconds since 1970, the
    /// node (below 4,096) in `rand_a`, the record's place in that node's journal in `rand_b`.
    ///
    /// Nothing in it is random: the core stays free of randomness, and the id itself
    /// says where the record lies.
    pub fn new(epoch_ms: i64, place: Place) -> Self {
        let (node, sequence) = (place.node(), place.sequence());
        let mut id = [0; 16];
        let millis = epoch_ms.max(0).cast_unsigned().to_be_bytes();
        id[..6].copy_from_slice(&millis[2..]);
        id[6..8].copy_from_slice(&(0x7000 | node & 0x0FFF).to_be_bytes());
        id[8..].copy_from_slice(&(1 << 63 | sequence & SEQUENCE_BITS).to_be_bytes());
        Self(id)
    }

    /// When the decision was made, in milliseconds since 1970.
    pub fn epoch_ms(&self) -> i64 {
        self.0[..6].iter().fold(0, |ms, byte| ms << 8 | i64::from(*byte))
    }

    /// The record's place in its node's journal.
    pub fn sequence(&self) -> u64 {
        self.0[8..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)) & SEQUENCE_BITS
    }

    /// The node that decided it.
    pub fn node(&self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]]) & 0x0FFF
    }
}

const SEQUENCE_BITS: u64 = (1 << 62) - 1;

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecisionId({self})")
    }
}

/// A text that is no decision id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a decision id has 32 hexadecimal digits, as in 019ab2f0-5c11-7000-8000-0000000004d2")]
pub struct BadDecisionId;

impl FromStr for DecisionId {
    type Err = BadDecisionId;

    fn from_str(text: &str) -> Result<Self, BadDecisionId> {
        let mut id = [0; 16];
        let mut nibbles = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16));
        for byte in &mut id {
            let mut nibble = || nibbles.next().flatten().ok_or(BadDecisionId);
            *byte = (nibble()? << 4 | nibble()?) as u8;
        }
        nibbles.next().map_or(Ok(Self(id)), |_| Err(BadDecisionId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_decision_id_says_when_and_where() {
        let id = DecisionId::new(1_795_000_000_123, Place::new(7, 1234));
        assert_eq!(id.to_string(), "01a1ee56-5e7b-7007-8000-0000000004d2");
        assert_eq!((id.epoch_ms(), id.node(), id.sequence()), (1_795_000_000_123, 7, 1234));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("01a1".parse::<DecisionId>(), Err(BadDecisionId));
    }

    #[test]
    fn a_place_keeps_node_and_sequence_and_node_0_is_plain() {
        let place = Place::new(103, 77_000_000_123);
        assert_eq!(
            (place.node(), place.sequence(), place.reference()),
            (103, 77_000_000_123, 37_000_000_123 % 10_000_000_000 + 30_000_000_000)
        );
        assert_eq!((Place::new(0, 5).0, Place::new(0, 5).reference()), (5, 5));
    }

    #[test]
    fn a_terminal_id_has_eight_letters_or_digits() {
        assert!("QZ000001".parse::<TerminalId>().is_ok());
        let error = "QZ1".parse::<TerminalId>().unwrap_err().to_string();
        assert!(error.contains("8 letters or digits"), "{error}");
    }
}
