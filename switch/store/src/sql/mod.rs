//! One way to say SQL to both databases.
//!
//! A [`Query`] is text with `$1` placeholders and its values; a [`Tx`] is a transaction in either database; a
//! [`Row`] is read by place. The text is the same for both but for [`Tx::for_update`]: SQLite has one writer,
//! and nothing to lock.
//!
//! Refused: sqlx's `Any` (it erases the types that differ, and their errors with them), and checked query
//! macros (they need a database at build time, and one text for each engine).

mod row;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Postgres, Sqlite, Transaction};

pub(crate) use row::{FromRow, Row};

use crate::StoreError;
use crate::store::Doing as _;

/// A transaction.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A value to bind.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Number(i64),
    MaybeNumber(Option<i64>),
    Text(String),
    MaybeText(Option<String>),
    Bytes(Vec<u8>),
}

/// Where a value goes. As it is in SQLite: to bind a counted one it searches for its name among all, so that
/// thousands of them would take as long as everything else together.
const PLACEHOLDER: char = '?';

/// A statement and its values.
#[derive(Debug, Default)]
pub(crate) struct Query {
    text: String,
    values: Vec<Value>,
}

impl Query {
    /// A statement, up to its first value.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Goes on with the statement.
    pub(crate) fn then(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// The value of the next placeholder that the text names.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Puts the next value's placeholder into the statement. Not beside `$1`.
    pub(crate) fn value(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self.text.push(PLACEHOLDER);
        self
    }

    /// The text for PostgreSQL, which counts its placeholders.
    fn counted(&self) -> String {
        let mut text = String::with_capacity(self.text.len() + 4 * self.values.len());
        let mut count = 0;
        for character in self.text.chars() {
            match character {
                PLACEHOLDER => {
                    count += 1;
                    text.push('$');
                    text.push_str(&count.to_string());
                }
                other => text.push(other),
            }
        }
        text
    }

    /// `(v, v, …)`, for `IN`.
    pub(crate) fn list<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        self.row(values)
    }

    /// `(v, v, …)`.
    pub(crate) fn row<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.text.push('(');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self = self.value(value);
        }
        self.text.push(')');
        self
    }

    /// `(…), (…), …`, for `VALUES` or for `IN` with several columns.
    pub(crate) fn rows<R: IntoIterator<Item = Value>>(mut self, rows: impl IntoIterator<Item = R>) -> Self {
        for (at, row) in rows.into_iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self = self.row(row);
        }
        self
    }

    /// Runs it; says how many rows it changed.
    pub(crate) async fn execute(self, tx: &mut Tx) -> Result<u64, sqlx::Error> {
        match tx {
            Tx::Sqlite(tx) => {
                let values = sqlite(self.values)?;
                let query = sqlx::query_with(AssertSqlSafe(self.text), values);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
            Tx::Postgres(tx) => {
                let text = self.counted();
                let query = sqlx::query_with(AssertSqlSafe(text), postgres(self.values)?);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// Runs it and visits each row as it comes; `doing` says what it is about when it fails.
    pub(crate) async fn each<E: From<StoreError>>(
        self,
        tx: &mut Tx,
        doing: &'static str,
        mut visit: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        match tx {
            Tx::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(self.text), sqlite(self.values).doing(doing)?);
                let mut rows = query.fetch(&mut **tx);
                while let Some(row) = rows.try_next().await.doing(doing)? {
                    visit(&Row::Sqlite(row))?;
                }
            }
            Tx::Postgres(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(self.counted()), postgres(self.values).doing(doing)?);
                let mut rows = query.fetch(&mut **tx);
                while let Some(row) = rows.try_next().await.doing(doing)? {
                    visit(&Row::Postgres(row))?;
                }
            }
        }
        Ok(())
    }

    /// All rows.
    pub(crate) async fn all<T: FromRow>(self, tx: &mut Tx) -> Result<Vec<T>, sqlx::Error> {
        match tx {
            Tx::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(self.text), sqlite(self.values)?);
                let rows = query.fetch_all(&mut **tx).await?;
                rows.into_iter().map(|row| T::from_row(&Row::Sqlite(row))).collect()
            }
            Tx::Postgres(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(self.counted()), postgres(self.values)?);
                let rows = query.fetch_all(&mut **tx).await?;
                rows.into_iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn first<T: FromRow>(self, tx: &mut Tx) -> Result<Option<T>, sqlx::Error> {
        Ok(self.all(tx).await?.into_iter().next())
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }

    /// What has a query keep others from the rows that it finds.
    pub(crate) const fn for_update(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE",
        }
    }
}

fn sqlite(values: Vec<Value>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Number(value) => arguments.add(value),
            Value::MaybeNumber(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::MaybeText(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn postgres(values: Vec<Value>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Value::Number(value) => arguments.add(value),
            Value::MaybeNumber(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::MaybeText(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(i64::from(value))
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Number(i64::from(value))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Number(value.cast_signed())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Number(i64::from(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::MaybeNumber(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::MaybeText(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}
