//! What an import tells while it runs and when it is done.

use std::borrow::Cow;
use std::path::PathBuf;
use thiserror::Error;

use crate::store::StoreError;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The file at hand.
    pub file: &'static str,
    /// What is being done with it.
    pub phase: Phase,
    /// Rows of it that are done, in this phase.
    pub done: u64,
    /// Rows that it has.
    pub total: u64,
}

/// A file is judged first, then loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are read and judged.
    Reading,
    /// Rows go into the store.
    Loading,
}

/// What became of each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The files that were there, in the order they were loaded.
    pub files: Vec<FileReport>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub file: &'static str,
    /// Rows in it, without the header.
    pub read: u64,
    /// Rows that were new or different.
    pub loaded: u64,
    /// Rows that the store had already.
    pub unchanged: u64,
    /// Bad rows; 1 at least where the file is bad as a whole. If there is any, nothing was loaded.
    pub rejected: u64,
    /// Rows that were loaded though somebody should look at them.
    pub flagged: u64,
    /// Where every fault is listed, if there is any.
    pub reject_file: Option<PathBuf>,
    /// The first of them.
    pub first_faults: Vec<RowFault>,
}

/// What is wrong with a row, and where. Never says what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// The line in the file, 1 for the header.
    pub line: u64,
    /// The column's name; empty where the fault is no single column's.
    pub column: Cow<'static, str>,
    /// What is wrong and what would be right.
    pub reason: Cow<'static, str>,
}

/// Why an import could not be carried through.
#[derive(Debug, Error)]
pub enum ImportError {
    /// There is no such folder.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// What was named.
        path: PathBuf,
    },
    /// None of the files is there.
    #[error(
        "{} has none of holders.csv, merchants.csv, cards.csv, terminals.csv, benefits.csv: is it the city folder?",
        path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// A file can't be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is too large.
    #[error("{} is larger than {} MiB: split it, import loads one part after the other", path.display(), limit_mib)]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The most it may have.
        limit_mib: u64,
    },
    /// A reject file can't be written, or one of a former import not removed.
    #[error("the reject file {}: {source}", path.display())]
    Rejects {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}
