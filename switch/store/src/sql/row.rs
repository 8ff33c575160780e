//! Rows of either database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

/// A row.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What both databases can give.
pub(crate) trait Column<'r>: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

impl<'r, T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>> Column<'r> for T {}

impl Row {
    /// The value in a column of this name.
    pub(crate) fn named<'r, T: Column<'r>>(&'r self, name: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        }
    }

    /// The value in a column, counted from 0.
    pub(crate) fn get<'r, T: Column<'r>>(&'r self, at: usize) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
        }
    }
}

/// What a whole row can be read as.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error>;
}

impl FromRow for i64 {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        row.get(0)
    }
}

impl FromRow for Vec<u8> {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        row.get(0)
    }
}

impl FromRow for (String, i64) {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok((row.get(0)?, row.get(1)?))
    }
}

impl FromRow for Option<i64> {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        row.get(0)
    }
}

impl FromRow for String {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        row.get(0)
    }
}
