//! A change of the city: one transaction, one revision.
//!
//! The revision counter is raised first, and its row stays locked until the transaction
//! ends. So two changes never overlap, revisions become visible in their order, and a
//! reader that has applied everything up to N misses nothing by asking for what is above N
//! (it reads the counter and the rows from one snapshot). A change that turns out to be
//! none is rolled back, and takes no revision.

use std::collections::HashMap;

use super::error::{Doing as _, Readable as _};
use super::{Reader, Store, StoreError};
use crate::sql::{Query, Tx};

/// An open change; nothing of it holds until [`Change::commit`].
pub(crate) struct Change {
    pub(super) transaction: Tx,
    pub(super) revision: i64,
}

/// Ids in one `IN (…)`.
const IDS_A_QUERY: usize = 500;

impl Store {
    /// Begins a change; others that change anything wait until it is over.
    pub(crate) async fn change(&self) -> Result<Change, StoreError> {
        let mut transaction = self.write().await?;
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
            let query = Query::new(select).list(chunk.iter().copied());
            let rows: Vec<(String, i64)> =
                query.all(&mut self.transaction).await.doing("looking up what rows refer to")?;
            found.extend(rows);
        }
        Ok(found)
    }
}

/// Raises a counter by `count`, and gives what it was raised to.
pub(super) async fn next(transaction: &mut Tx, name: &str, count: i64) -> Result<i64, StoreError> {
    let raise = Query::new("UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value");
    let raised: Option<i64> = raise.bind(count).bind(name).first(transaction).await.doing("raising a counter")?;
    raised.readable("counters", "value")
}

/// The newest revision in a snapshot.
pub(crate) async fn revision(reader: &mut Reader) -> Result<i64, StoreError> {
    let query = Query::new("SELECT value FROM counters WHERE name = 'revision'");
    let revision: Option<i64> = query.first(reader).await.doing("reading the store's revision")?;
    revision.readable("counters", "value")
}
