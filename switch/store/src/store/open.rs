//! Opening the store: from a URL to two pools and the newest schema.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::error::Doing as _;
use super::{Pools, Store, StoreError};
use crate::sql::{Query, Tx};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/store");

/// How long a writer waits for another process's: an import of a million cards holds the
/// file for some seconds, and `xingka swipe` beside it should wait rather than fail.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// How soon to ask again where SQLite doesn't wait itself.
const ASK_AGAIN: Duration = Duration::from_millis(5);
const READERS: u32 = 4;
/// To PostgreSQL, from one node.
const CONNECTIONS: u32 = 16;
/// How long to wait for a connection to PostgreSQL.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
/// In kibibytes, negative as SQLite wants them: what a large import changes stays in memory.
const WRITER_CACHE: &str = "-131072";
const READER_CACHE: &str = "-16384";
/// In bytes: a large import's log is cut back to this afterwards.
const LOG_KEPT: &str = "67108864";
/// Rows that the database's thread may run ahead of whoever reads them: all cards are read
/// at start, and a switch of threads a row would be most of the time.
const ROWS_AHEAD: usize = 1024;

impl Store {
    /// Opens what `store.url` names; makes it where there is none, if `create` says so.
    pub async fn open(url: &str, create: bool) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Self::open_postgres(url).await,
            _ => Self::open_sqlite(&file_of(url)?, create).await,
        }
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::BadUrl)?.disable_statement_logging();
        let address = format!("{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(REACH_TIMEOUT);
        let pool = pool.connect_with(options.application_name("xingka")).await;
        let store = Self(Pools::Postgres(pool.map_err(|source| StoreError::Unreachable { address, source })?));
        store.migrate().await?;
        Ok(store)
    }

    async fn open_sqlite(path: &Path, create: bool) -> Result<Self, StoreError> {
        if !path.exists() {
            if !create {
                return Err(StoreError::Missing { path: path.to_owned() });
            }
            make_private(path).map_err(|source| StoreError::Create { path: path.to_owned(), source })?;
        }
        keep_a_log(path).await?;
        let writer = |synchronous| pool(path, 1, WRITER_CACHE, synchronous);
        let readers = pool(path, READERS, READER_CACHE, SqliteSynchronous::Full);
        let (writer, shipper) = (writer(SqliteSynchronous::Full), writer(SqliteSynchronous::Normal));
        let store = Self(Pools::Sqlite { writer, shipper, readers });
        store.migrate().await?;
        Ok(store)
    }

    /// Brings the schema up to date. Takes the write lock only where there is something to
    /// do: the store may well be open in a node, and busy with an import.
    async fn migrate(&self) -> Result<(), StoreError> {
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        match self.schema().await? {
            found if found > known => return Err(StoreError::Newer { found, known }),
            found if found == known => return Ok(()),
            _ => {}
        }
        match &self.0 {
            // Within one write transaction: two processes that open a new file at once don't
            // both make its tables.
            Pools::Sqlite { writer, .. } => {
                let begun = writer.begin_with("BEGIN IMMEDIATE").await;
                let mut transaction = begun.doing("beginning to migrate the store")?;
                MIGRATIONS.run(&mut *transaction).await?;
                transaction.commit().await.doing("migrating the store")
            }
            // Under a lock of the whole database, which the migrator takes.
            Pools::Postgres(pool) => Ok(MIGRATIONS.run(pool).await?),
        }
    }

    /// The newest schema version that has been applied; 0 in an empty file.
    async fn schema(&self) -> Result<i64, StoreError> {
        let mut tx = self.read().await?;
        let table = match tx {
            Tx::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
            Tx::Postgres(_) => {
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_name = '_sqlx_migrations' AND table_schema = current_schema()"
            }
        };
        let there: Option<i64> = Query::new(table).first(&mut tx).await.doing("opening the store")?;
        if there == Some(0) {
            return Ok(0);
        }
        let newest = Query::new("SELECT MAX(version) FROM _sqlx_migrations");
        let newest: Option<Option<i64>> = newest.first(&mut tx).await.doing("reading the store's schema version")?;
        Ok(newest.flatten().unwrap_or(0))
    }
}

/// The file of a `sqlite:` URL. Taken literally: a path isn't percent-decoded, and `?` is
/// a character like any other.
fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    if scheme != "sqlite" {
        return Err(StoreError::Scheme { scheme: scheme.to_owned() });
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    // `:memory:` would be another database in each connection.
    if path.is_empty() || path.starts_with(':') { Err(StoreError::NoFile) } else { Ok(path.into()) }
}

/// Makes an empty file for its owner only: names and id numbers will be in it. SQLite gives
/// its log files the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Turns on the write-ahead log, which the file remembers. SQLite doesn't wait for its turn
/// here as it does elsewhere: of two connections that both want the file for themselves it
/// refuses one at once, lest they wait for each other. So whoever was refused asks again.
async fn keep_a_log(path: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let began = Instant::now();
    loop {
        match options.connect().await {
            Ok(connection) => return connection.close().await.doing("opening the store"),
            Err(error) if is_busy(&error) && began.elapsed() < BUSY_TIMEOUT => tokio::time::sleep(ASK_AGAIN).await,
            Err(error) => return Err(error).doing("opening the store"),
        }
    }
}

/// SQLITE_BUSY, also in one of its extended forms, whose low byte it is.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn pool(path: &Path, connections: u32, cache: &'static str, synchronous: SqliteSynchronous) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(synchronous)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cache_size", cache)
        .pragma("journal_size_limit", LOG_KEPT)
        // A statement that waits for another process's import isn't news, and its text is long.
        .disable_statement_logging();
    // Waiting for the one writer is like waiting for another process's.
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_TIMEOUT).connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(file_of("sqlite:data/xingka.db").unwrap(), Path::new("data/xingka.db"));
        assert_eq!(file_of("sqlite:/var/lib/x.db").unwrap(), Path::new("/var/lib/x.db"));
        assert_eq!(file_of("sqlite:///var/lib/x.db").unwrap(), Path::new("/var/lib/x.db"));
        for url in ["sqlite:", "sqlite::memory:", "sqlite://"] {
            assert!(matches!(file_of(url), Err(StoreError::NoFile)), "{url}");
        }
        let error = file_of("mysql://user:secret@host/db").unwrap_err().to_string();
        assert!(error.contains("mysql:") && !error.contains("secret"), "{error}");
        assert!(matches!(file_of("data/xingka.db"), Err(StoreError::Scheme { .. })));
    }
}
