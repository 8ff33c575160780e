//! A node's disk, which survives the node.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use xingka_store::journal::chain::{Group, Hash};
use xingka_store::journal::{Disk, DiskAnswer, DiskFault};

use crate::chance::Chance;

/// What a disk does to those who write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// What it should, in a millisecond or two.
    #[default]
    Well,
    /// What it should, late.
    Slow(Duration),
    /// Nothing more fits.
    Full,
    /// It writes, and says that it didn't.
    Lying,
}

/// A disk with a journal's groups.
#[derive(Debug)]
pub struct SimulatedDisk {
    groups: Mutex<Vec<(Group, Hash)>>,
    mood: Mutex<Mood>,
    chance: Chance,
}

impl SimulatedDisk {
    /// An empty one.
    pub fn new(chance: Chance) -> Self {
        Self { groups: Mutex::default(), mood: Mutex::default(), chance }
    }

    /// From now on.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Everything on it.
    pub fn groups(&self) -> Vec<(Group, Hash)> {
        self.groups.lock().clone()
    }

    fn mood(&self) -> Mood {
        *self.mood.lock()
    }

    /// The head's way to the place, or back.
    async fn seek(&self) {
        let slow = match self.mood() {
            Mood::Slow(by) => by,
            _ => Duration::ZERO,
        };
        sleep(slow + self.chance.millis(0, 2)).await;
    }

    fn room(&self) -> Result<(), DiskFault> {
        match self.mood() {
            Mood::Full => Err(DiskFault("no space left".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn append<'d>(&'d self, group: &'d Group, hash: Hash) -> DiskAnswer<'d, ()> {
        // A crash may come before the group is there, or after it and before anybody knows.
        Box::pin(async move {
            self.seek().await;
            self.room()?;
            self.groups.lock().push((group.clone(), hash));
            self.seek().await;
            match self.mood() {
                Mood::Lying => Err(DiskFault("the write may have failed".to_owned())),
                _ => Ok(()),
            }
        })
    }

    fn probe(&self) -> DiskAnswer<'_, ()> {
        Box::pin(async move {
            self.seek().await;
            match self.mood() {
                Mood::Lying => Err(DiskFault("the write may have failed".to_owned())),
                _ => self.room(),
            }
        })
    }

    fn groups_from(&self, sequence: u64, limit: usize) -> DiskAnswer<'_, Vec<(Group, Hash)>> {
        Box::pin(async move {
            self.seek().await;
            let groups = self.groups.lock();
            let first = groups.partition_point(|(group, _)| group.last_sequence < sequence);
            // Where nothing follows, the last group there is, as the file answers.
            let first = first.min(groups.len().saturating_sub(1));
            Ok(groups.iter().skip(first).take(limit).cloned().collect())
        })
    }
}
