//! The journal's file.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::JournalError;
use super::chain::{Group, Hash};

/// How long a commit waits for somebody else who writes the file, which nobody should.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);

/// Pages of log (256 MiB) after which a commit copies them into the main file, holding up
/// everybody who waits for it. Far more than [`JournalFile::checkpoint`] lets there be.
const CHECKPOINT_PAGES: &str = "65536";

pub(super) struct JournalFile {
    path: PathBuf,
    connection: SqliteConnection,
}

impl JournalFile {
    /// Opens the file to append, and makes it where there is none.
    ///
    /// `patience` is how long a commit waits for somebody else who has the file (a backup, say): as long
    /// as those who wait for the commit.
    pub(super) async fn open(path: &Path, node: u16, patience: Duration) -> Result<Self, JournalError> {
        let options = options(path)
            .busy_timeout(patience)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk before it is reported, at a power cut as well.
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        make_private(path).map_err(|error| JournalError::Sqlite { path: path.to_owned(), source: error.into() })?;
        let mut file = Self::connect(path, options).await?;
        let migrations = sqlx::migrate!("../../migrations/journal");
        let migrated = migrations.run(&mut file.connection).await;
        migrated.map_err(|source| JournalError::Migration { path: path.to_owned(), source })?;
        let insert = sqlx::query("INSERT INTO node (number) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM node)");
        let inserted = insert.bind(i64::from(node)).execute(&mut file.connection).await;
        inserted.map_err(|source| file.error(source))?;
        Ok(file)
    }

    /// Opens the file a second time, for [`Self::checkpoint`].
    pub(super) async fn open_to_checkpoint(path: &Path) -> Result<Self, JournalError> {
        Self::connect(path, options(path).synchronous(SqliteSynchronous::Full)).await
    }

    /// Opens the file to read it beside whoever appends.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self, JournalError> {
        Self::connect(path, options(path).read_only(true)).await
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self, JournalError> {
        let opened = options.connect().await;
        let connection = opened.map_err(|source| JournalError::Sqlite { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), connection })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn node(&mut self) -> Result<u16, JournalError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT number FROM node");
        let node = query.fetch_one(&mut self.connection).await.map_err(|source| self.error(source))?;
        Ok(u16::try_from(node).unwrap_or_default())
    }

    pub(super) async fn number(&mut self, node: u16) -> Result<(), JournalError> {
        let number = sqlx::query("UPDATE node SET number = $1 WHERE NOT EXISTS (SELECT 1 FROM record_groups)");
        let numbered = number.bind(i64::from(node)).execute(&mut self.connection).await;
        numbered.map(drop).map_err(|source| self.error(source))
    }

    pub(super) async fn write_group(&mut self, group: &Group, hash: Hash) -> Result<(), JournalError> {
        let insert = sqlx::query("INSERT INTO record_groups VALUES ($1, $2, $3, $4, $5)")
            .bind(group.first_sequence.cast_signed())
            .bind(group.last_sequence.cast_signed())
            .bind(group.committed_ms)
            .bind(group.records.as_slice())
            .bind(hash.0.as_slice());
        insert.execute(&mut self.connection).await.map(drop).map_err(|source| self.error(source))
    }

    /// Copies as much of the log into the main file as nobody is reading.
    pub(super) async fn checkpoint(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.connection).await.map(drop)
    }

    /// Copies the rest of the log and lets the next commit begin it anew.
    pub(super) async fn begin_log_anew(&mut self) -> Result<(), JournalError> {
        let restarted = sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(&mut self.connection).await;
        restarted.map(drop).map_err(|source| self.error(source))
    }

    /// Whether a commit of some size goes through again.
    pub(super) async fn write_and_remove(&mut self) -> Result<(), JournalError> {
        self.try_to_write().await.map_err(|source| self.error(source))
    }

    async fn try_to_write(&mut self) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin().await?;
        let padding = vec![0_u8; 256 * 1024];
        sqlx::query("INSERT INTO probe VALUES ($1)").bind(padding).execute(&mut *transaction).await?;
        transaction.commit().await?;
        sqlx::query("DELETE FROM probe").execute(&mut self.connection).await.map(drop)
    }

    /// Up to `limit` groups, beginning with the one that holds `sequence` or, where that
    /// place was removed, the next one.
    pub(super) async fn groups_from(
        &mut self,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(Group, Hash)>, JournalError> {
        let query = sqlx::query_as::<_, (i64, i64, i64, Vec<u8>, Vec<u8>)>(
            "SELECT first_sequence, last_sequence, committed_ms, records, hash FROM record_groups \
             WHERE first_sequence >= COALESCE((SELECT MAX(first_sequence) FROM record_groups WHERE first_sequence <= $1), 0) \
             ORDER BY first_sequence LIMIT $2",
        );
        let rows = query
            .bind(sequence.cast_signed())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut self.connection)
            .await;
        let rows = rows.map_err(|source| self.error(source))?;
        Ok(rows
            .into_iter()
            .map(|(first, last, committed_ms, records, hash)| {
                let group = Group {
                    first_sequence: first.cast_unsigned(),
                    last_sequence: last.cast_unsigned(),
                    committed_ms,
                    records,
                };
                // A hash of another length was tampered with, and is none that any group has.
                (group, Hash(hash.try_into().unwrap_or_default()))
            })
            .collect())
    }

    /// Copies what can be copied of the log into the main file, then closes it: a journal at
    /// rest is one file.
    pub(super) async fn close_for_rest(mut self) -> Result<(), JournalError> {
        let copied = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await;
        copied.map_err(|source| self.error(source))?;
        self.close().await
    }

    pub(super) async fn close(self) -> Result<(), JournalError> {
        let path = self.path;
        self.connection.close().await.map_err(|source| JournalError::Sqlite { path, source })
    }

    fn error(&self, source: sqlx::Error) -> JournalError {
        JournalError::Sqlite { path: self.path.clone(), source }
    }
}

/// Who swiped where is nobody else's business: SQLite would make the file with the umask's mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_PATIENCE);
    // Statement logging would write at every commit, and could quote what it binds.
    options.disable_statement_logging()
}
