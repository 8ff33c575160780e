//! The hash chain over the journal's groups.

use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;
use xingka_core::capsule::{BadRecord, Record};

/// A group's hash, which also stands for all groups before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl Hash {
    /// What the first group of a node's journal is chained to.
    pub fn genesis(node: u16) -> Self {
        let hasher = Sha256::new().chain_update(b"xingka journal 1").chain_update(node.to_be_bytes());
        Self(hasher.finalize().into())
    }

    /// The hash of a group that follows this one.
    pub fn next(self, group: &Group) -> Self {
        let hasher = Sha256::new()
            .chain_update(self.0)
            .chain_update(group.first_sequence.to_be_bytes())
            .chain_update(group.last_sequence.to_be_bytes())
            .chain_update(group.committed_ms.to_be_bytes())
            .chain_update(&group.records);
        Self(hasher.finalize().into())
    }
}

/// The records of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The first record's place in the journal; places count from 1 without gaps.
    pub first_sequence: u64,
    /// The last record's.
    pub last_sequence: u64,
    /// When it was committed, in milliseconds since 1970.
    pub committed_ms: i64,
    /// The records, each behind its length in four bytes, big-endian.
    pub records: Vec<u8>,
}

/// How a journal differs from what was written.
#[derive(Debug, Error)]
pub enum ChainFault {
    /// Records are missing, repeated or out of order.
    #[error(
        "record {expected} should come next, but the group found begins with record {found}: records were removed, added or reordered"
    )]
    Gap {
        /// The place that should come next.
        expected: u64,
        /// The place found.
        found: u64,
    },
    /// Something in a group, or before it, was changed.
    #[error("records {first} to {last} were changed after they were written: their hash is not the recorded one")]
    Changed {
        /// The group's first record.
        first: u64,
        /// Its last.
        last: u64,
    },
    /// A group doesn't hold as many records as it says.
    #[error("the group of records {first} to {last} doesn't hold that many whole records")]
    Count {
        /// The group's first record.
        first: u64,
        /// Its last.
        last: u64,
    },
    /// A record can't be read.
    #[error("record {sequence}: {source}")]
    Record {
        /// Its place.
        sequence: u64,
        /// Why not.
        source: BadRecord,
    },
    /// The journal ends before its newest anchor.
    #[error("the journal ends at record {end}, but an anchor was made at record {anchored}: its end was cut off")]
    CutOff {
        /// Its last record.
        end: u64,
        /// The anchor's.
        anchored: u64,
    },
    /// The chain goes through another hash than the anchor's.
    #[error("at record {sequence} the chain doesn't have the anchored hash: the journal was written anew")]
    Rewritten {
        /// The anchor's place.
        sequence: u64,
    },
    /// An anchor itself isn't genuine.
    #[error("the anchor at record {sequence} doesn't carry this deployment's signature")]
    ForgedAnchor {
        /// The anchor's place.
        sequence: u64,
    },
}

impl Group {
    /// The records, with their places.
    pub fn decode(&self) -> Result<Vec<(u64, Record)>, ChainFault> {
        let mut records = Vec::new();
        let mut rest = self.records.as_slice();
        for sequence in self.first_sequence..=self.last_sequence {
            let (bytes, next) = split_record(rest).ok_or_else(|| self.miscounted())?;
            let record = Record::decode(bytes).map_err(|source| ChainFault::Record { sequence, source })?;
            records.push((sequence, record));
            rest = next;
        }
        if rest.is_empty() { Ok(records) } else { Err(self.miscounted()) }
    }

    fn miscounted(&self) -> ChainFault {
        ChainFault::Count { first: self.first_sequence, last: self.last_sequence }
    }
}

fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// Follows a chain from its genesis.
#[derive(Debug, Clone)]
pub struct Follower {
    next_sequence: u64,
    hash: Hash,
}

impl Follower {
    /// At the beginning of a node's journal.
    pub fn new(node: u16) -> Self {
        Self { next_sequence: 1, hash: Hash::genesis(node) }
    }

    /// Takes the next group: it must follow, and have the hash it was written with.
    pub fn follow(&mut self, group: &Group, recorded: Hash) -> Result<(), ChainFault> {
        if group.first_sequence != self.next_sequence || group.last_sequence < group.first_sequence {
            return Err(ChainFault::Gap { expected: self.next_sequence, found: group.first_sequence });
        }
        let hash = self.hash.next(group);
        if hash != recorded {
            return Err(ChainFault::Changed { first: group.first_sequence, last: group.last_sequence });
        }
        self.hash = hash;
        self.next_sequence = group.last_sequence + 1;
        Ok(())
    }

    /// The last place taken in, and the chain's hash there.
    pub fn head(&self) -> (u64, Hash) {
        (self.next_sequence - 1, self.hash)
    }
}
