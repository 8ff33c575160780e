//! A change of the city: one transaction, one revision.
//!
//! The revision counter is raised first, and its row stays locked until the transaction
//! ends. So two changes never overlap, revisions become visible in their order, and a
//! reader that has applied everything up to N misses nothing by asking for what is above N
//! (it reads the counter and the rows from one snapshot). A change that turns out to be
//! none is rolled back, and takes no revision.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Transaction};

use super::error::Doing as _;
use super::{Db, Reader, Store, StoreError};

/// An open change; nothing of it holds until [`Change::commit`].
pub(crate) struct Change {
    pub(super) transaction: Transaction<'static, Db>,
    pub(super) revision: i64,
}

/// Ids in one `IN (…)`.
const IDS_A_QUERY: usize = 500;

impl Store {
    /// Begins a change; others that change anything wait until it is over.
    pub(crate) async fn change(&self) -> Result<Change, StoreError> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.doing("waiting for the store to be free for writing")?;
        let revision = next(&mut transaction, "revision", 1).await?;
        Ok(Change { transaction, revision })
    }
}

impl Change {
    /// Makes it hold.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.doing("committing")
    }

    /// As if it had never begun.
    pub(crate) async fn abandon(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.doing("rolling back")
    }

    /// Which of these names there are, and their numbers. `select` ends before its list.
    pub(crate) async fn numbers_of<'n>(
        &mut self,
        select: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<HashMap<String, i64>, StoreError> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut found = HashMap::with_capacity(names.len());
        for chunk in names.chunks(IDS_A_QUERY) {
            let mut query = QueryBuilder::<Db>::new(select);
            push_list(&mut query, chunk);
            let rows = query.build_query_as::<(String, i64)>().fetch_all(&mut *self.transaction).await;
            found.extend(rows.doing("looking up what rows refer to")?);
        }
        Ok(found)
    }
}

fn push_list(query: &mut QueryBuilder<Db>, names: &[&str]) {
    query.push("(");
    let mut list = query.separated(", ");
    names.iter().for_each(|name| {
        list.push_bind(*name);
    });
    query.push(")");
}

/// Raises a counter by `count`, and gives what it was raised to.
pub(super) async fn next(
    transaction: &mut Transaction<'static, Db>,
    name: &str,
    count: i64,
) -> Result<i64, StoreError> {
    let raise = "UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value";
    let raised = sqlx::query_scalar::<_, i64>(raise).bind(count).bind(name).fetch_one(&mut **transaction).await;
    raised.doing("raising a counter")
}

/// The newest revision in a snapshot.
pub(crate) async fn revision(reader: &mut Reader) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar::<_, i64>("SELECT value FROM counters WHERE name = 'revision'");
    query.fetch_one(&mut **reader).await.doing("reading the store's revision")
}
