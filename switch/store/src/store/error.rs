//! What can go wrong with the store.

use std::path::PathBuf;
use thiserror::Error;

/// What went wrong with the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The master key can't be used where it is kept.
    #[error("the master key can't be used: {0}")]
    Room(#[from] crate::vault::RoomFault),
    /// The URL names a database that this build doesn't speak to.
    #[error("`store.url` begins with `{scheme}:`: write `sqlite:` and a path, or `postgres://user@host:port/database`")]
    Scheme {
        /// What it began with. Never the rest: a password may be in it.
        scheme: String,
    },
    /// The URL has no path.
    #[error("`store.url` must name a file, as in `sqlite:data/xingka.db`")]
    NoFile,
    /// The URL can't be read. It isn't shown: a password may be in it.
    #[error("`store.url` isn't a URL of a PostgreSQL database, as in `postgres://user@host:port/database`")]
    BadUrl,
    /// The database can't be reached.
    #[error("the store at {address} can't be reached: {source}; see that PostgreSQL runs there, and `store.url`")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A simulated store is away.
    #[error("the store can't be reached")]
    Away,
    /// There is no store yet.
    #[error("there is no store at {}: make one with `xingka init DIR`, or correct `store.url`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file can't be made.
    #[error("the store {} can't be made: {source}", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A newer version of the program has written it.
    #[error(
        "the store has schema {found}, this version of xingka knows {known}: use the version that wrote it, or a newer one"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Its schema can't be brought up to date.
    #[error("the store's schema can't be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database says no.
    #[error("{doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        source: sqlx::Error,
    },
    /// A row holds what this version can't read.
    #[error("table {table}: a row has a {column} that this version can't read; was it changed by hand?")]
    Unreadable {
        /// In which table.
        table: &'static str,
        /// In which column.
        column: &'static str,
    },
    /// The store was filled under another key.
    #[error("{key} isn't the one this store was filled under: put the right key back, or begin with an empty store")]
    WrongKey {
        /// Which key, as the configuration names it.
        key: &'static str,
    },
    /// All numbers for nodes are given.
    #[error("all numbers for nodes have been given: one store has had 4,095 of them, each with a journal of its own")]
    NodesFull,
    /// All numbers are given.
    #[error("all numbers for holders have been given: one store holds at most 4,294,967,295 of them")]
    HoldersFull,
}

/// Says what was being done when the database failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { doing, source })
    }
}

/// Names the column whose value can't be read.
pub(crate) trait Readable<T> {
    fn readable(self, table: &'static str, column: &'static str) -> Result<T, StoreError>;
}

impl<T, E> Readable<T> for Result<T, E> {
    fn readable(self, table: &'static str, column: &'static str) -> Result<T, StoreError> {
        self.map_err(|_| StoreError::Unreadable { table, column })
    }
}

impl<T> Readable<T> for Option<T> {
    fn readable(self, table: &'static str, column: &'static str) -> Result<T, StoreError> {
        self.ok_or(StoreError::Unreadable { table, column })
    }
}
