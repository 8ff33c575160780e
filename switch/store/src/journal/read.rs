//! Reading the journal, beside whoever appends to it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use xingka_core::capsule::Record;

use super::JournalError;
use super::anchor::{Anchor, AnchorKey};
use super::chain::{ChainFault, Follower, Group, Hash};
use super::disk::{Disk, Opened};
use super::sqlite::JournalFile;
use super::verify::{Verified, Verifier};

/// Groups read at a time: some megabytes at the most.
const GROUPS_AT_ONCE: usize = 64;

/// A record and its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Counts from 1.
    pub sequence: u64,
    /// What stands there.
    pub record: Record,
}

/// A journal file opened to read.
pub struct JournalReader {
    file: Opened,
    node: u16,
}

impl JournalReader {
    /// Opens the journal at `path`, which must exist.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let mut file = JournalFile::open_to_read(path).await?;
        let node = file.node().await?;
        Ok(Self { file: Opened::File(file), node })
    }

    /// Reads from a simulated disk.
    pub(super) fn on(disk: Arc<dyn Disk>, node: u16) -> Self {
        Self { file: Opened::Disk(disk), node }
    }

    /// Whose journal it is.
    pub fn node(&self) -> u16 {
        self.node
    }

    /// Closes the file.
    pub async fn close(self) -> Result<(), JournalError> {
        self.file.close().await
    }

    /// The record at a place, or `None` where the journal has no such place.
    pub async fn record(&mut self, sequence: u64) -> Result<Option<Record>, JournalError> {
        let groups = self.file.groups_from(sequence, 1).await?;
        let Some((group, _)) = groups.first() else {
            return Ok(None);
        };
        let records = group.decode().map_err(|fault| self.broken(fault))?;
        Ok(records.into_iter().find(|(place, _)| *place == sequence).map(|(_, record)| record))
    }

    /// Calls `visit` for each record from a place on, until it breaks.
    pub async fn each(
        &mut self,
        from: u64,
        mut visit: impl FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let mut next = from;
        loop {
            let groups = self.file.groups_from(next, GROUPS_AT_ONCE).await?;
            for (group, _) in &groups {
                let records = group.decode().map_err(|fault| self.broken(fault))?;
                for (sequence, record) in records.into_iter().filter(|(sequence, _)| *sequence >= next) {
                    if visit(Stored { sequence, record }).is_break() {
                        return Ok(());
                    }
                }
            }
            match groups.last() {
                Some((group, _)) if group.last_sequence >= next => next = group.last_sequence + 1,
                _ => return Ok(()),
            }
        }
    }

    /// Like [`Self::each`] from the first record on, but follows the chain as it reads
    /// and stops at the first group that isn't what was written. Returns the chain's head.
    pub async fn each_verified(&mut self, mut visit: impl FnMut(Stored)) -> Result<(u64, Hash), JournalError> {
        let mut follower = Follower::new(self.node);
        loop {
            let groups = self.groups_after(&follower).await?;
            if groups.is_empty() {
                return Ok(follower.head());
            }
            for (group, hash) in &groups {
                follower.follow(group, *hash).map_err(|fault| self.broken(fault))?;
                let records = group.decode().map_err(|fault| self.broken(fault))?;
                records.into_iter().for_each(|(sequence, record)| visit(Stored { sequence, record }));
            }
        }
    }

    /// Checks the whole chain, each record in it, and that it goes through every anchor.
    pub async fn verify(&mut self, anchors: &[Anchor], key: &AnchorKey) -> Result<Verified, JournalError> {
        let mut verifier = Verifier::new(self.node, anchors, key).map_err(|fault| self.broken(fault))?;
        loop {
            let groups = self.groups(verifier.through() + 1).await?;
            if groups.is_empty() {
                return verifier.end(true).map_err(|fault| self.broken(fault));
            }
            for (group, hash) in &groups {
                verifier.take(group, *hash).map_err(|fault| self.broken(fault))?;
            }
        }
    }

    /// Groups from a record's on, with the chain's hashes: some of them, in their order.
    pub async fn groups(&mut self, from: u64) -> Result<Vec<(Group, Hash)>, JournalError> {
        let groups = self.file.groups_from(from, GROUPS_AT_ONCE).await?;
        // Where nothing follows, the query's answer is the last group there is.
        Ok(groups.into_iter().filter(|(group, _)| group.last_sequence >= from).collect())
    }

    /// Follows the whole chain without a look into its records, and gives its head.
    pub async fn follow(&mut self) -> Result<(u64, Hash), JournalError> {
        let mut follower = Follower::new(self.node);
        loop {
            let groups = self.groups_after(&follower).await?;
            if groups.is_empty() {
                return Ok(follower.head());
            }
            for (group, hash) in &groups {
                follower.follow(group, *hash).map_err(|fault| self.broken(fault))?;
            }
        }
    }

    async fn groups_after(&mut self, follower: &Follower) -> Result<Vec<(Group, Hash)>, JournalError> {
        let (last, _) = follower.head();
        let groups = self.file.groups_from(last + 1, GROUPS_AT_ONCE).await?;
        // Where nothing follows, the query's answer is the group already taken in.
        Ok(groups.into_iter().filter(|(group, _)| group.last_sequence > last).collect())
    }

    fn broken(&self, fault: ChainFault) -> JournalError {
        JournalError::Broken { path: self.file.path().to_owned(), fault }
    }
}
