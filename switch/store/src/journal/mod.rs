//! The node journal: every record, in order, durable before its answer leaves.
//!
//! One embedded SQLite file in `data_dir`. A commit is one row, however many records it
//! holds: the disk is flushed once for all of them, and the row's hash covers them all
//! and the row before it. While one commit is on its way to the disk, the next group
//! gathers; so a node under load commits hundreds at a time, and a lone swipe waits for
//! one flush and nothing else. Refused: a row a record, which costs an index update and
//! a statement each; a timer that lets groups grow, which makes the lone swipe wait.
//!
//! SQLite's write-ahead log lets `audit`, `explain` and `replay` read the same file from
//! other processes while the node writes.
//!
//! * [`Journal`] appends; its [`Ticket`]s tell when a record is durable.
//! * [`JournalReader`] reads.
//! * [`chain`] is the arithmetic of the hash chain, [`anchor`] signs its head.

mod append;
mod commit;
mod disk;
mod outbox;
mod read;
mod sqlite;
mod verify;

pub mod anchor;
pub mod chain;

pub use append::{Appender, Durability, Journal, NotAppended, Ticket};
pub use disk::{Disk, DiskAnswer, DiskFault, JournalAt};
pub use outbox::{Outbox, Sent};
pub use read::{JournalReader, Stored};
pub use verify::{Verified, Verifier};

use std::path::PathBuf;
use thiserror::Error;

/// What can go wrong with a journal.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file can't be opened, read or written.
    #[error("journal {}: {source}", path.display())]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file's schema is from another version.
    #[error("journal {}: its schema can't be brought up to date: {source}", path.display())]
    Migration {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: sqlx::migrate::MigrateError,
    },
    /// A simulated disk fails.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The thread that commits can't be started.
    #[error("the journal's commit thread can't be started: {0}")]
    Thread(std::io::Error),
    /// A group isn't what the chain says it was.
    #[error("journal {}: {fault}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Where and how.
        fault: chain::ChainFault,
    },
}
