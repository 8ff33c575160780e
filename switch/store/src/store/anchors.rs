//! Anchors: signed heads of the nodes' journals, kept apart from the journals themselves.
//!
//! The store keeps them and judges nothing: signing and checking is the journal's. One
//! that is there already stays as it is; an anchor that could be replaced would prove
//! nothing.

use super::error::{Doing as _, Readable as _};
use super::{Store, StoreError};
use crate::journal::anchor::Anchor;
use crate::journal::chain::Hash;
use crate::sql::{Query, Row};

impl Store {
    /// Keeps an anchor; one that is there for the same place stays.
    pub async fn write_anchor(&self, anchor: &Anchor) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO anchors (node, sequence, hash, at_ms, mac) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (node, sequence) DO NOTHING",
        );
        let query = query.bind(anchor.node).bind(anchor.sequence);
        let query = query.bind(hex::encode(anchor.hash.0)).bind(anchor.at_ms).bind(hex::encode(anchor.mac));
        let mut tx = self.write().await?;
        query.execute(&mut tx).await.doing("writing an anchor")?;
        tx.commit().await.doing("writing an anchor")
    }

    /// All anchors, by node and place.
    pub async fn anchors(&self) -> Result<Vec<Anchor>, StoreError> {
        let query = Query::new("SELECT node, sequence, hash, at_ms, mac FROM anchors ORDER BY node, sequence");
        let mut anchors = Vec::new();
        query
            .each(&mut self.read().await?, "reading anchors", |row| -> Result<(), StoreError> {
                anchors.push(anchor(row)?);
                Ok(())
            })
            .await?;
        Ok(anchors)
    }
}

fn anchor(row: &Row) -> Result<Anchor, StoreError> {
    let number = |at: usize, column| row.get::<i64>(at).readable("anchors", column);
    Ok(Anchor {
        node: u16::try_from(number(0, "node")?).readable("anchors", "node")?,
        sequence: number(1, "sequence")?.cast_unsigned(),
        hash: Hash(bytes(row, 2, "hash")?),
        at_ms: number(3, "at_ms")?,
        mac: bytes(row, 4, "mac")?,
    })
}

fn bytes(row: &Row, at: usize, column: &'static str) -> Result<[u8; 32], StoreError> {
    let text = row.get::<&str>(at).readable("anchors", column)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).readable("anchors", column)?;
    Ok(bytes)
}
