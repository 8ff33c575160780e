//! What the register holds, checked and searched.

use xingka_core::capsule::Record;
use xingka_core::ids::{HolderNo, Place};

use super::rows::{GroupRow, NodeRow, RECORD_COLUMNS, RecordRow};
use super::{STANDS, SqlRegister};
use crate::StoreError;
use crate::journal::anchor::{Anchor, AnchorKey};
use crate::journal::chain::Group;
use crate::journal::{Verified, Verifier};
use crate::register::RegisterError;
use crate::sql::{Query, Tx};
use crate::store::Doing as _;

/// Groups looked at in one go.
const GROUPS_AT_ONCE: u32 = 256;

/// Somebody was told something about a holder.
#[derive(Debug)]
pub struct Told {
    /// Where that is recorded.
    pub place: Place,
    /// Whether the record still stands.
    pub stands: bool,
    /// The record.
    pub record: Record,
}

impl SqlRegister {
    /// The nodes whose journals it has, and how far.
    pub async fn nodes(&self) -> Result<Vec<(u16, u64)>, RegisterError> {
        let query = Query::new("SELECT node, shipped FROM nodes ORDER BY node");
        let rows: Vec<NodeRow> = query.all(&mut self.store.read().await?).await.doing("reading the nodes")?;
        Ok(rows.into_iter().map(|NodeRow(node, shipped)| (node, shipped)).collect())
    }

    /// Checks all it has of a node's journal: the hash chain over every record, and each anchor that it reaches.
    pub async fn verify(&self, node: u16, anchors: &[Anchor], key: &AnchorKey) -> Result<Verified, RegisterError> {
        let broken = |fault| RegisterError::Broken { node, fault };
        let mut verifier = Verifier::new(node, anchors, key).map_err(broken)?;
        loop {
            let mut tx = self.store.read().await?;
            let groups = groups_after(&mut tx, node, verifier.through()).await?;
            if groups.is_empty() {
                // Anchors that lie further on are of records that are still to be sent.
                return verifier.end(false).map_err(broken);
            }
            for GroupRow { first, last, committed_ms, hash } in groups {
                let records = records(&mut tx, node, first, last).await?;
                let group = Group { first_sequence: first, last_sequence: last, committed_ms, records };
                verifier.take(&group, hash).map_err(broken)?;
            }
        }
    }

    /// What anybody was told about a holder, oldest first, from a moment on.
    pub async fn told_about(
        &self,
        holder: HolderNo,
        from_ms: i64,
        mut visit: impl FnMut(Told) -> Result<(), StoreError>,
    ) -> Result<(), RegisterError> {
        let query = Query::new(format!(
            "SELECT {RECORD_COLUMNS}, standing FROM records WHERE holder_no = $1 AND at_ms >= $2 ORDER BY at_ms, node, sequence"
        ));
        let mut tx = self.store.read().await?;
        query
            .bind(holder.0)
            .bind(from_ms)
            .each(&mut tx, "reading what was told about a holder", |row| -> Result<(), StoreError> {
                let doing = "reading what was told about a holder";
                let found = <RecordRow as crate::sql::FromRow>::from_row(row).doing(doing)?;
                let stands = row.get::<i64>(5).doing(doing)? == STANDS;
                visit(Told { place: found.place, stands, record: found.record })
            })
            .await?;
        Ok(())
    }
}

async fn groups_after(tx: &mut Tx, node: u16, through: u64) -> Result<Vec<GroupRow>, StoreError> {
    let query = Query::new(
        "SELECT first_sequence, last_sequence, committed_ms, hash FROM record_groups \
         WHERE node = $1 AND first_sequence > $2 ORDER BY first_sequence LIMIT $3",
    );
    query.bind(node).bind(through).bind(GROUPS_AT_ONCE).all(tx).await.doing("reading groups")
}

/// The records of a group, as their journal wrote them.
async fn records(tx: &mut Tx, node: u16, first: u64, last: u64) -> Result<Vec<u8>, StoreError> {
    let query =
        Query::new("SELECT record FROM records WHERE node = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence");
    let rows: Vec<Vec<u8>> = query.bind(node).bind(first).bind(last).all(tx).await.doing("reading records")?;
    let mut records = Vec::new();
    for row in rows {
        records.extend((row.len() as u32).to_be_bytes());
        records.extend(row);
    }
    Ok(records)
}
