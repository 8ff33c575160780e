//! Many rows in one statement, added or brought up to date, and only where they differ.

use super::error::Doing as _;
use super::{Change, StoreError};
use crate::sql::{Query, Value};

/// Rows in one statement. Enough that the statement's own cost vanishes, and with at most
/// a dozen columns a row far from the 32,766 values that SQLite takes.
pub(crate) const ROWS_A_STATEMENT: usize = 500;

/// A table, and which of its columns an import writes.
pub(crate) struct Upsert {
    pub(crate) table: &'static str,
    /// What a row is known by.
    pub(crate) identity: &'static str,
    /// Given once, when the row is added, and never changed after.
    pub(crate) fixed: &'static [&'static str],
    /// All others but `revision`.
    pub(crate) columns: &'static [&'static str],
}

/// One row's values, in the order identity, fixed, columns.
#[derive(Default)]
pub(crate) struct Values(Vec<Value>);

impl Values {
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.0.push(value.into());
        self
    }
}

impl Upsert {
    /// Writes up to [`ROWS_A_STATEMENT`] rows and says how many were new or different.
    ///
    /// "Different" is the database's own comparison of the stored row with the new one, in
    /// the same statement: nothing is read first, so an import again writes nothing at all.
    pub(crate) async fn write<R>(
        &self,
        change: &mut Change,
        rows: &[R],
        mut values: impl FnMut(&R, &mut Values),
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let revision = change.revision;
        let rows = rows.iter().map(|row| {
            let mut row_values = Values::default();
            values(row, &mut row_values);
            row_values.bind(revision);
            row_values.0
        });
        let query = Query::new(self.insert()).rows(rows).then(&self.on_conflict());
        query.execute(&mut change.transaction).await.doing("writing rows")
    }

    fn insert(&self) -> String {
        let fixed = self.fixed.iter().chain(self.columns).map(|column| format!("{column}, ")).collect::<String>();
        format!("INSERT INTO {} ({}, {fixed}revision) VALUES ", self.table, self.identity)
    }

    fn on_conflict(&self) -> String {
        let each = |form: fn(&str, &str) -> String| {
            self.columns.iter().map(|column| form(self.table, column)).collect::<Vec<_>>()
        };
        let set = each(|_, column| format!("{column} = excluded.{column}"));
        let differs = each(|table, column| format!("{table}.{column} <> excluded.{column}"));
        format!(
            " ON CONFLICT ({}) DO UPDATE SET {}, revision = excluded.revision WHERE {}",
            self.identity,
            set.join(", "),
            differs.join(" OR ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_differ_are_written() {
        let upsert = Upsert { table: "t", identity: "id", fixed: &["no"], columns: &["a", "b"] };
        assert_eq!(upsert.insert(), "INSERT INTO t (id, no, a, b, revision) VALUES ");
        assert_eq!(
            upsert.on_conflict(),
            " ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b, revision = excluded.revision \
             WHERE t.a <> excluded.a OR t.b <> excluded.b"
        );
    }
}
