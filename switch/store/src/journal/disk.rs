//! Where a journal's groups are: in a file, or on what a simulation has in place of one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;

use super::JournalError;
use super::chain::{Group, Hash};
use super::read::JournalReader;
use super::sqlite::JournalFile;

/// What a disk says that can't do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct DiskFault(pub String);

/// What a disk answers.
pub type DiskAnswer<'d, T> = BoxFuture<'d, Result<T, DiskFault>>;

/// Keeps a journal's groups, each whole or not at all: a simulation's disk, which fails when it is told to.
pub trait Disk: Send + Sync {
    /// Writes a group so that it stays.
    fn append<'d>(&'d self, group: &'d Group, hash: Hash) -> DiskAnswer<'d, ()>;

    /// Whether a write goes through again.
    fn probe(&self) -> DiskAnswer<'_, ()>;

    /// Up to `limit` groups, beginning with the one that holds `sequence`.
    fn groups_from(&self, sequence: u64, limit: usize) -> DiskAnswer<'_, Vec<(Group, Hash)>>;
}

/// Where a node's journal is.
#[derive(Clone)]
pub enum JournalAt {
    /// In a file of its own.
    File(PathBuf),
    /// On a simulation's disk.
    Disk(Arc<dyn Disk>),
}

impl JournalAt {
    /// Makes it where there is none, and its schema current.
    pub async fn create(&self, node: u16) -> Result<(), JournalError> {
        match self {
            Self::File(path) => super::Journal::create(path, node).await,
            Self::Disk(_) => Ok(()),
        }
    }

    /// Opens it to read, beside whoever appends.
    pub async fn reader(&self, node: u16) -> Result<JournalReader, JournalError> {
        match self {
            Self::File(path) => JournalReader::open(path).await,
            Self::Disk(disk) => Ok(JournalReader::on(disk.clone(), node)),
        }
    }
}

impl fmt::Display for JournalAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Disk(_) => write!(f, "(a simulated disk)"),
        }
    }
}

/// What commits go into.
pub(super) trait Appends {
    async fn append(&mut self, group: &Group, hash: Hash) -> Result<(), JournalError>;
    async fn probe(&mut self) -> Result<(), JournalError>;
    async fn restart_log(&mut self) -> Result<(), JournalError>;
}

impl Appends for JournalFile {
    async fn append(&mut self, group: &Group, hash: Hash) -> Result<(), JournalError> {
        self.write_group(group, hash).await
    }

    async fn probe(&mut self) -> Result<(), JournalError> {
        self.write_and_remove().await
    }

    async fn restart_log(&mut self) -> Result<(), JournalError> {
        self.begin_log_anew().await
    }
}

/// A simulated disk, to append to.
pub(super) struct OnDisk(pub(super) Arc<dyn Disk>);

impl Appends for OnDisk {
    async fn append(&mut self, group: &Group, hash: Hash) -> Result<(), JournalError> {
        Ok(self.0.append(group, hash).await?)
    }

    async fn probe(&mut self) -> Result<(), JournalError> {
        Ok(self.0.probe().await?)
    }

    async fn restart_log(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A journal, opened to read.
pub(super) enum Opened {
    File(JournalFile),
    Disk(Arc<dyn Disk>),
}

impl Opened {
    pub(super) async fn groups_from(
        &mut self,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(Group, Hash)>, JournalError> {
        match self {
            Self::File(file) => file.groups_from(sequence, limit).await,
            Self::Disk(disk) => Ok(disk.groups_from(sequence, limit).await?),
        }
    }

    pub(super) async fn close(self) -> Result<(), JournalError> {
        match self {
            Self::File(file) => file.close().await,
            Self::Disk(_) => Ok(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(file) => file.path(),
            Self::Disk(_) => Path::new("(a simulated disk)"),
        }
    }
}
