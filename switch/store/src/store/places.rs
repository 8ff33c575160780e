//! Merchants and their terminals.

use std::collections::HashMap;

use xingka_core::city::{Merchant, Scope, Terminal};
use xingka_core::ids::{MerchantId, TerminalId};
use xingka_wire::dialect::Dialect;
use xingka_wire::mac::MacAlgorithm;

use super::error::{Doing as _, Readable as _};
use super::{Change, Reader, Store, StoreError, Upsert};
use crate::city::CityTerminal;
use crate::sql::{Query, Row};

/// A line of `merchants.csv`.
pub(crate) struct MerchantRow {
    pub(crate) merchant: Merchant,
    pub(crate) name: String,
    pub(crate) mcc: String,
    pub(crate) region: String,
}

/// A line of `terminals.csv`.
pub(crate) struct TerminalRow {
    pub(crate) id: TerminalId,
    pub(crate) merchant_id: MerchantId,
    pub(crate) profile: &'static str,
    pub(crate) mac: MacAlgorithm,
    pub(crate) scope: Scope,
    pub(crate) tmk_wrapped: Vec<u8>,
    /// Not in the file: see [`Store::ask_for_new_keys`].
    pub(crate) new_keys_ms: i64,
}

const MERCHANTS: Upsert = Upsert {
    table: "merchants",
    identity: "merchant_id",
    fixed: &[],
    columns: &["name", "kind", "mcc", "circle", "region"],
};

const TERMINALS: Upsert = Upsert {
    table: "terminals",
    identity: "terminal_id",
    fixed: &[],
    columns: &["merchant_id", "profile", "mac", "scope", "tmk_wrapped"],
};

/// Only whether they are there; the number says nothing.
pub(crate) const MERCHANT_NUMBERS: &str = "SELECT merchant_id, revision FROM merchants WHERE merchant_id IN ";

impl Change {
    /// Adds merchants or brings them up to date; says how many were new or different.
    pub(crate) async fn put_merchants(&mut self, rows: &[MerchantRow]) -> Result<u64, StoreError> {
        MERCHANTS
            .write(self, rows, |row, values| {
                values.bind(row.merchant.id.to_string()).bind(row.name.as_str()).bind(row.merchant.kind.word());
                values.bind(row.mcc.as_str()).bind(row.merchant.circle.word()).bind(row.region.as_str());
            })
            .await
    }

    /// Adds terminals or brings them up to date; says how many were new or different.
    pub(crate) async fn put_terminals(&mut self, rows: &[TerminalRow]) -> Result<u64, StoreError> {
        TERMINALS
            .write(self, rows, |row, values| {
                values.bind(row.id.to_string()).bind(row.merchant_id.to_string()).bind(row.profile);
                values.bind(row.mac.name()).bind(row.scope.to_string()).bind(row.tmk_wrapped.as_slice());
            })
            .await
    }
}

impl Store {
    /// All terminals, each with its merchant and its wrapped master key, by id.
    pub async fn terminals(&self) -> Result<Vec<CityTerminal>, StoreError> {
        let mut reader = self.read().await?;
        let mut merchants = HashMap::new();
        export_merchants(&mut reader, |row| -> Result<(), StoreError> {
            merchants.insert(row.merchant.id, row.merchant);
            Ok(())
        })
        .await?;
        let mut terminals = Vec::new();
        each_terminal(&mut reader, 0, |row| terminals.extend(row.at(&merchants))).await?;
        Ok(terminals)
    }
}

impl Store {
    /// Gives a terminal another master key, wrapped; whether there is such a terminal.
    pub async fn set_tmk(&self, terminal: TerminalId, tmk_wrapped: &[u8]) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let query = Query::new("UPDATE terminals SET tmk_wrapped = $1, revision = $2 WHERE terminal_id = $3");
        let query = query.bind(tmk_wrapped).bind(change.revision).bind(terminal.to_string());
        let updated = query.execute(&mut change.transaction).await.doing("changing a terminal's master key")?;
        if updated == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        change.commit().await?;
        Ok(true)
    }

    /// Has a terminal, or every one, told to sign in again: its keys made before `now_ms` are to be
    /// replaced. Says how many terminals that is; in force on every node within a second.
    pub async fn ask_for_new_keys(&self, terminal: Option<TerminalId>, now_ms: i64) -> Result<u64, StoreError> {
        let mut change = self.change().await?;
        let query =
            Query::new("UPDATE terminals SET new_keys_ms = $1, revision = $2 WHERE $3 = '' OR terminal_id = $3");
        let id = terminal.map(|id| id.to_string()).unwrap_or_default();
        let updated = query.bind(now_ms).bind(change.revision).bind(id).execute(&mut change.transaction).await;
        let count = updated.doing("asking for new session keys")?;
        change.commit().await?;
        Ok(count)
    }
}

impl TerminalRow {
    /// The terminal as memory holds it, where its merchant is known.
    pub(crate) fn at(self, merchants: &HashMap<MerchantId, Merchant>) -> Option<CityTerminal> {
        let Self { id, merchant_id, profile, mac, scope, tmk_wrapped, new_keys_ms } = self;
        let merchant = *merchants.get(&merchant_id)?;
        let profile = Dialect::by_name(profile)?;
        Some(CityTerminal { terminal: Terminal { id, merchant, mac, profile, scope }, tmk_wrapped, new_keys_ms })
    }
}

/// Merchants that changed after a revision.
pub(crate) async fn each_merchant(
    reader: &mut Reader,
    since: i64,
    mut visit: impl FnMut(Merchant),
) -> Result<(), StoreError> {
    let query = Query::new("SELECT merchant_id, kind, circle FROM merchants WHERE revision > $1").bind(since);
    query
        .each(reader, "reading merchants", |row| {
            visit(merchant(row)?);
            Ok(())
        })
        .await
}

/// Terminals that changed after a revision, by id.
pub(crate) async fn each_terminal(
    reader: &mut Reader,
    since: i64,
    mut visit: impl FnMut(TerminalRow),
) -> Result<(), StoreError> {
    let query = Query::new(
        "SELECT terminal_id, merchant_id, profile, mac, scope, tmk_wrapped, new_keys_ms \
         FROM terminals WHERE revision > $1 ORDER BY terminal_id",
    );
    query
        .bind(since)
        .each(reader, "reading terminals", |row| {
            visit(terminal(row)?);
            Ok(())
        })
        .await
}

/// All merchants as an export writes them, by id.
pub(crate) async fn export_merchants<E: From<StoreError>>(
    reader: &mut Reader,
    mut visit: impl FnMut(MerchantRow) -> Result<(), E>,
) -> Result<(), E> {
    let query = Query::new("SELECT merchant_id, kind, circle, name, mcc, region FROM merchants ORDER BY merchant_id");
    query
        .each(reader, "reading merchants", |row| {
            let text = |at: usize, column| row.get::<String>(at).readable("merchants", column);
            let merchant = merchant(row)?;
            visit(MerchantRow { merchant, name: text(3, "name")?, mcc: text(4, "mcc")?, region: text(5, "region")? })
        })
        .await
}

/// Id, kind and circle, the first three columns.
fn merchant(row: &Row) -> Result<Merchant, StoreError> {
    let word = |at: usize, column| row.get::<&str>(at).readable("merchants", column);
    Ok(Merchant {
        id: word(0, "merchant_id")?.parse().readable("merchants", "merchant_id")?,
        kind: word(1, "kind")?.parse().readable("merchants", "kind")?,
        circle: word(2, "circle")?.parse().readable("merchants", "circle")?,
    })
}

fn terminal(row: &Row) -> Result<TerminalRow, StoreError> {
    let word = |at: usize, column| row.get::<&str>(at).readable("terminals", column);
    Ok(TerminalRow {
        id: word(0, "terminal_id")?.parse().readable("terminals", "terminal_id")?,
        merchant_id: word(1, "merchant_id")?.parse().readable("terminals", "merchant_id")?,
        profile: Dialect::by_name(word(2, "profile")?).readable("terminals", "profile")?.name,
        mac: word(3, "mac")?.parse().readable("terminals", "mac")?,
        scope: word(4, "scope")?.parse().readable("terminals", "scope")?,
        tmk_wrapped: row.get(5).readable("terminals", "tmk_wrapped")?,
        new_keys_ms: row.get(6).readable("terminals", "new_keys_ms")?,
    })
}
