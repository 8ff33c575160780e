//! The central store: the city's rows, the rule books' history, a few counters.
//!
//! SQLite in the deployment's folder: nothing to install, and commands read and write the
//! same file beside a running node. One connection writes, so that writers queue here
//! instead of failing in the database; several read, each on its own snapshot (WAL). A
//! writer begins with `BEGIN IMMEDIATE`: SQLite can't make a writer of a reader whose
//! snapshot is no longer the newest, and says so by an error that no time-out cures.
//!
//! PostgreSQL will be a second pair of pools. The SQL is portable already (see
//! migrations/store), every statement goes through `Reader` or `Change`, and nothing
//! outside this module names a database: those two become enums then.
//!
//! Refused: sqlx's `Any` (it erases the types that differ, and their errors with them), and
//! checked query macros (they need a database at build time, and one text for each engine).

mod error;
mod open;
mod change;
mod upsert;
mod people;
mod places;
mod rule_books;
mod counters;
mod keys;
mod anchors;

pub use counters::Counts;
pub use error::StoreError;

pub(crate) use error::Doing;

pub(crate) use change::{Change, revision};
pub(crate) use people::{
    CardRow, HOLDER_NUMBERS, HolderRow, count_cards, each_card, each_holder, export_cards, export_holders,
    newest_holder,
};
pub(crate) use places::{MERCHANT_NUMBERS, MerchantRow, TerminalRow, each_merchant, each_terminal, export_merchants};
pub(crate) use rule_books::{current_benefits, newer_rule_book};
pub(crate) use upsert::ROWS_A_STATEMENT;

use upsert::Upsert;

use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::sql::Tx;

/// The database this build speaks to.
pub(crate) type Db = Sqlite;

/// A snapshot to read from.
pub(crate) type Reader = Transaction<'static, Db>;

/// The central store. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// A snapshot: everything read through it is as of one moment. (In PostgreSQL that will
    /// take `REPEATABLE READ`.)
    pub(crate) async fn read(&self) -> Result<Reader, StoreError> {
        self.readers.begin().await.doing("beginning to read")
    }

    /// Begins to write; others who do wait until it is over.
    pub(crate) async fn begin_write(&self) -> Result<Tx, StoreError> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        Ok(Tx::Sqlite(begun.doing("waiting for the store to be free for writing")?))
    }

    /// Begins to read, from one snapshot.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        Ok(Tx::Sqlite(self.readers.begin().await.doing("beginning to read")?))
    }

    /// Whether several nodes may use it.
    pub fn is_shared(&self) -> bool {
        false
    }

    /// Closes all connections, and waits until they are.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
