//! The central store: the city's rows, the rule books' history, a few counters.
//!
//! SQLite in the deployment's folder: nothing to install, and commands read and write the
//! same file beside a running node. One connection writes, so that writers queue here
//! instead of failing in the database; several read, each on its own snapshot (WAL). A
//! writer begins with `BEGIN IMMEDIATE`: SQLite can't make a writer of a reader whose
//! snapshot is no longer the newest, and says so by an error that no time-out cures.
//!
//! PostgreSQL where several nodes share a store. The same migrations and the same SQL (see
//! `sql`); its writers run side by side, and wait for each other where they lock the same rows.

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

use sqlx::{PgPool, SqlitePool};

use crate::sql::Tx;

/// A snapshot to read from.
pub(crate) type Reader = Tx;

/// The central store. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store(Pools);

#[derive(Debug, Clone)]
enum Pools {
    Sqlite {
        writer: SqlitePool,
        /// Writes what the journal has already: a power cut may take its last commits, and they are sent
        /// again. Waiting for the disk once more would hold up the journal, which is on the same one.
        shipper: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

impl Store {
    /// A snapshot: everything read through it is as of one moment.
    pub(crate) async fn read(&self) -> Result<Reader, StoreError> {
        let doing = "beginning to read";
        Ok(match &self.0 {
            Pools::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await.doing(doing)?),
            Pools::Postgres(pool) => {
                Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.doing(doing)?)
            }
        })
    }

    /// Begins to write. In SQLite others who do wait until it is over, in PostgreSQL only those who want the
    /// same rows.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        let doing = "waiting for the store to be free for writing";
        Ok(match &self.0 {
            Pools::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await.doing(doing)?),
            Pools::Postgres(pool) => Tx::Postgres(pool.begin().await.doing(doing)?),
        })
    }

    /// Begins to write what can be had again from the journals.
    pub(crate) async fn write_again(&self) -> Result<Tx, StoreError> {
        match &self.0 {
            Pools::Sqlite { shipper, .. } => {
                let begun = shipper.begin_with("BEGIN IMMEDIATE").await;
                Ok(Tx::Sqlite(begun.doing("waiting for the store to be free for writing")?))
            }
            Pools::Postgres(_) => self.write().await,
        }
    }

    /// Whether several nodes may use it.
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Pools::Postgres(_))
    }

    /// Closes all connections, and waits until they are.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { writer, shipper, readers } => {
                readers.close().await;
                shipper.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}
