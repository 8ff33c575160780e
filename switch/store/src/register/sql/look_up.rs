//! What the register looks up.

use std::collections::{BTreeMap, BTreeSet};

use xingka_core::capsule::{Record, RequestKey};
use xingka_core::ids::{BenefitId, HolderNo, Place, TerminalId};
use xingka_core::ledger::{BatchId, BatchRecords, FIRST_BATCH, HARMLESS_KEPT};
use xingka_core::register::{Home, Sheet, Standing, Taken, Wants};
use xingka_core::tallies::Tally;

use super::rows::{
    CountsRow, HomeRow, KEY_COLUMNS, KeyRow, RECORD_COLUMNS, RecordRow, RefundedRow, SpentRow, StandingRow,
    TALLY_COLUMNS, UsesRow, key_values,
};
use super::{STANDS, pieces, told};
use crate::StoreError;
use crate::journal::chain::{Group, Hash};
use crate::register::{CountsRead, RegisterError, SaleAt, SignIns};
use crate::sql::{Query, Tx, Value};
use crate::store::Doing as _;

/// Sign-ins and sign-offs that are read back: a session keeps three keys.
const SIGN_INS_KEPT: u32 = 6;

/// How far a node's journal has been taken in; nobody else changes that before the transaction's end.
pub(super) async fn lock_node(tx: &mut Tx, node: u16) -> Result<u64, StoreError> {
    let add = Query::new("INSERT INTO nodes (node, shipped) VALUES ($1, 0) ON CONFLICT (node) DO NOTHING");
    add.bind(node).execute(tx).await.doing("adding a node")?;
    let ask = Query::new("SELECT shipped FROM nodes WHERE node = $1").bind(node).then(tx.for_update());
    let shipped: Option<i64> = ask.first(tx).await.doing("reading how far a journal was taken in")?;
    Ok(shipped.unwrap_or(0).cast_unsigned())
}

/// What became of records that were taken in before: the answer may have got lost.
pub(super) async fn told_before(
    tx: &mut Tx,
    node: u16,
    groups: &[(Group, Hash)],
    shipped: u64,
) -> Result<Vec<(u64, Taken)>, RegisterError> {
    let known = groups.iter().take_while(|(group, _)| group.last_sequence <= shipped);
    let (mut first, mut last) = (None, 0);
    for (group, hash) in known {
        let query = Query::new("SELECT hash FROM record_groups WHERE node = $1 AND first_sequence = $2");
        let stored: Option<Vec<u8>> = query
            .bind(node)
            .bind(group.first_sequence)
            .first(tx)
            .await
            .doing("comparing with what was taken in before")?;
        if stored.as_deref() != Some(hash.0.as_slice()) {
            return Err(RegisterError::OtherJournal { node, sequence: group.first_sequence });
        }
        first.get_or_insert(group.first_sequence);
        last = group.last_sequence;
    }
    let Some(first) = first else { return Ok(Vec::new()) };
    let query = Query::new(
        "SELECT sequence, standing, stay FROM records WHERE node = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence",
    );
    let query = query.bind(node).bind(first).bind(last);
    let rows: Vec<StandingRow> = query.all(tx).await.doing("reading what became of records")?;
    Ok(rows.into_iter().map(|StandingRow(sequence, standing, stay)| (sequence, told(standing, stay))).collect())
}

/// Looks up, and locks, what records want.
pub(super) async fn sheet(tx: &mut Tx, mut wants: Wants, (node, shared): (u16, bool)) -> Result<Sheet, StoreError> {
    let mut sheet = Sheet { homes: homes(tx, &wants.terminals).await?, ..Sheet::default() };
    if !shared {
        // The only node is every terminal's home.
        for terminal in &wants.terminals {
            sheet.homes.entry(*terminal).or_insert(Home::first(node));
        }
    }
    sheet.standing = standing(tx, &wants.requests).await?;
    for standing in sheet.standing.values() {
        wants.also(standing.taken.as_ref());
        wants.also(standing.returned.as_ref());
    }
    for (holder, tallies) in uses(tx, &wants.uses).await? {
        sheet.tallies.put_uses(holder, tallies);
    }
    for SpentRow(benefit, spent) in budgets(tx, &wants.budgets).await? {
        sheet.tallies.put_spent(benefit, spent);
    }
    Ok(sheet)
}

async fn homes(tx: &mut Tx, terminals: &BTreeSet<TerminalId>) -> Result<BTreeMap<TerminalId, Home>, StoreError> {
    let ids: Vec<String> = terminals.iter().map(ToString::to_string).collect();
    let mut homes = BTreeMap::new();
    for piece in pieces(&ids) {
        let query = Query::new("SELECT terminal_id, node, stay, open_batch FROM homes WHERE terminal_id IN ");
        let query = query.list(piece.iter().map(String::as_str)).then(" ORDER BY terminal_id").then(tx.for_update());
        let rows: Vec<HomeRow> = query.all(tx).await.doing("looking up where terminals are at home")?;
        homes.extend(rows.into_iter().map(|HomeRow(terminal, home)| (terminal, home)));
    }
    Ok(homes)
}

async fn standing(tx: &mut Tx, requests: &BTreeSet<RequestKey>) -> Result<BTreeMap<RequestKey, Standing>, StoreError> {
    let keys: Vec<RequestKey> = requests.iter().copied().collect();
    let mut standing = BTreeMap::new();
    for piece in pieces(&keys) {
        let query = Query::new(format!(
            "SELECT {RECORD_COLUMNS} FROM records WHERE standing = {STANDS} AND mti NOT IN (0, 400, 800) AND ({KEY_COLUMNS}) IN (VALUES "
        ));
        let query = query.rows(piece.iter().map(key_values)).then(")");
        let rows: Vec<RecordRow> = query.all(tx).await.doing("looking up standing records")?;
        for RecordRow { place, undone, record, .. } in rows {
            let found = Standing::of(place, &record);
            let found = if undone { Standing { taken: None, returned: None, ..found } } else { found };
            standing.extend(record.asked().map(|asked| (asked.key, found)));
        }
    }
    forget_voids_of_nothing(tx, &mut standing).await?;
    Ok(standing)
}

/// A void whose purchase was reversed after it is about nothing.
async fn forget_voids_of_nothing(tx: &mut Tx, standing: &mut BTreeMap<RequestKey, Standing>) -> Result<(), StoreError> {
    let voided: Vec<RequestKey> = standing.values().filter_map(|standing| standing.voids).collect();
    let mut undone = BTreeSet::new();
    for piece in pieces(&voided) {
        let query = Query::new(format!(
            "SELECT {KEY_COLUMNS} FROM records WHERE standing = {STANDS} AND mti NOT IN (0, 400, 800) AND undone = 1 AND ({KEY_COLUMNS}) IN (VALUES "
        ));
        let query = query.rows(piece.iter().map(key_values)).then(")");
        let rows: Vec<KeyRow> = query.all(tx).await.doing("looking up voided purchases")?;
        undone.extend(rows.into_iter().map(|KeyRow(key)| key));
    }
    let nothing = |void: &&mut Standing| void.voids.is_some_and(|sale| undone.contains(&sale));
    standing.values_mut().filter(nothing).for_each(|void| void.returned = None);
    Ok(())
}

async fn uses(
    tx: &mut Tx,
    wanted: &BTreeSet<(HolderNo, BenefitId)>,
) -> Result<BTreeMap<HolderNo, Vec<Tally>>, StoreError> {
    let wanted: Vec<(HolderNo, BenefitId)> = wanted.iter().copied().collect();
    let pair = |(holder, benefit): &(HolderNo, BenefitId)| [Value::from(holder.0), Value::from(benefit.0)];
    if let Tx::Postgres(_) = tx {
        // What isn't there can't be locked; two nodes might both begin to count.
        for piece in pieces(&wanted) {
            let none = |wanted: &(HolderNo, BenefitId)| super::rows::tally_values(wanted.0, &Tally::none(wanted.1));
            let query = Query::new(format!("INSERT INTO uses (holder_no, benefit_id, {TALLY_COLUMNS}) VALUES "));
            let query = query.rows(piece.iter().map(none)).then(" ON CONFLICT (holder_no, benefit_id) DO NOTHING");
            query.execute(tx).await.doing("beginning to count uses")?;
        }
    }
    let mut uses = BTreeMap::<HolderNo, Vec<Tally>>::new();
    for piece in pieces(&wanted) {
        let query = Query::new(format!(
            "SELECT holder_no, benefit_id, {TALLY_COLUMNS} FROM uses WHERE (holder_no, benefit_id) IN (VALUES "
        ));
        let query = query.rows(piece.iter().map(pair)).then(") ORDER BY holder_no, benefit_id").then(tx.for_update());
        let rows: Vec<UsesRow> = query.all(tx).await.doing("looking up uses")?;
        rows.into_iter().for_each(|UsesRow(holder, tally)| uses.entry(holder).or_default().push(tally));
    }
    Ok(uses)
}

async fn budgets(tx: &mut Tx, wanted: &BTreeSet<BenefitId>) -> Result<Vec<SpentRow>, StoreError> {
    let wanted: Vec<BenefitId> = wanted.iter().copied().collect();
    if let Tx::Postgres(_) = tx {
        for piece in pieces(&wanted) {
            let query = Query::new("INSERT INTO budgets (benefit_id, spent) VALUES ");
            let query = query.rows(piece.iter().map(|benefit| [Value::from(benefit.0), Value::from(0_i64)]));
            let query = query.then(" ON CONFLICT (benefit_id) DO NOTHING");
            query.execute(tx).await.doing("beginning to count what budgets spend")?;
        }
    }
    let mut spent = Vec::new();
    for piece in pieces(&wanted) {
        let query = Query::new("SELECT benefit_id, spent FROM budgets WHERE benefit_id IN ");
        let query =
            query.list(piece.iter().map(|benefit| benefit.0)).then(" ORDER BY benefit_id").then(tx.for_update());
        spent.extend(query.all::<SpentRow>(tx).await.doing("looking up budgets")?);
    }
    Ok(spent)
}

/// Where a terminal is at home.
pub(super) async fn home(tx: &mut Tx, terminal: TerminalId) -> Result<Option<Home>, StoreError> {
    let query = Query::new("SELECT terminal_id, node, stay, open_batch FROM homes WHERE terminal_id = $1");
    let query = query.bind(terminal.to_string());
    let home: Option<HomeRow> = query.first(tx).await.doing("looking up where a terminal is at home")?;
    Ok(home.map(|HomeRow(_, home)| home))
}

/// Where a terminal is at home; nobody else changes that before the transaction's end, once it is anywhere.
pub(super) async fn home_alone(tx: &mut Tx, terminal: TerminalId) -> Result<Option<Home>, StoreError> {
    Ok(homes(tx, &BTreeSet::from([terminal])).await?.remove(&terminal))
}

/// The batch that a terminal's requests must carry.
pub(super) async fn open_batch(tx: &mut Tx, terminal: TerminalId) -> Result<u32, StoreError> {
    Ok(home(tx, terminal).await?.map_or(FIRST_BATCH, |home| home.open_batch))
}

/// A batch's requests: all that moved something, and the latest others.
pub(super) async fn batch(tx: &mut Tx, (terminal, merchant, batch): BatchId) -> Result<BatchRecords, StoreError> {
    let of = |lasting: bool, limit: u32| {
        let query = Query::new(format!(
            "SELECT {RECORD_COLUMNS} FROM records WHERE terminal_id = $1 AND batch = $2 AND merchant_id = $3 \
             AND standing = {STANDS} AND mti <> 800 AND lasting = $4 ORDER BY stay DESC, sequence DESC LIMIT $5"
        ));
        query.bind(terminal.to_string()).bind(batch).bind(merchant.to_string()).bind(lasting).bind(limit)
    };
    let mut rows: Vec<RecordRow> = of(true, u32::MAX).all(tx).await.doing("reading a batch")?;
    let harmless = u32::try_from(HARMLESS_KEPT).unwrap_or(u32::MAX);
    rows.extend(of(false, harmless).all::<RecordRow>(tx).await.doing("reading a batch's inquiries")?);
    rows.sort_unstable_by_key(|row| (row.stay, row.place.sequence()));
    let query = Query::new(format!(
        "SELECT of_stan, of_mti, CAST(SUM(refunded) AS BIGINT) FROM records WHERE of_terminal = $1 AND of_batch = $2 \
         AND merchant_id = $3 AND standing = {STANDS} AND undone = 0 AND NOT (terminal_id = $1 AND batch = $2) \
         GROUP BY of_stan, of_mti"
    ));
    let query = query.bind(terminal.to_string()).bind(batch).bind(merchant.to_string());
    let refunded: Vec<RefundedRow> = query.all(tx).await.doing("reading a batch's refunds")?;
    let sale = |RefundedRow(stan, mti, amount)| (RequestKey { merchant, terminal, batch, stan, mti }, amount);
    Ok(BatchRecords {
        records: rows.into_iter().map(|row| (row.place, row.record)).collect(),
        refunded: refunded.into_iter().map(sale).collect(),
    })
}

/// A terminal's latest sign-ins and sign-offs, oldest first: as they were made, not as they came. What a node
/// that was alone sends late is older than what others did meanwhile.
pub(super) async fn sign_ins(tx: &mut Tx, terminal: TerminalId) -> Result<SignIns, StoreError> {
    let query = Query::new(format!(
        "SELECT {RECORD_COLUMNS} FROM records WHERE terminal_id = $1 AND batch = 0 AND mti = 800 AND standing = {STANDS} \
         ORDER BY at_ms DESC, stay DESC, sequence DESC LIMIT $2"
    ));
    let query = query.bind(terminal.to_string()).bind(SIGN_INS_KEPT);
    let rows: Vec<RecordRow> = query.all(tx).await.doing("reading a terminal's sign-ins")?;
    let sign_in = |row: RecordRow| match row.record.plain() {
        Record::SignIn(sign_in) => Some((**sign_in).clone()),
        _ => None,
    };
    Ok(rows.into_iter().rev().map(sign_in).collect())
}

/// What a holder has used and what budgets have spent, all as of one moment: it is one statement.
pub(super) async fn counts(
    tx: &mut Tx,
    node: u16,
    holder: HolderNo,
    budgets: &[BenefitId],
) -> Result<CountsRead, StoreError> {
    const NOTHING: &str = "NULL, 0, NULL, 0, NULL, 0, NULL, 0";
    let mut query =
        Query::new(format!("SELECT CAST(0 AS BIGINT), CAST(0 AS BIGINT), {NOTHING}, shipped FROM nodes WHERE node = "))
            .value(node);
    query = query.then(&format!(" UNION ALL SELECT 1, benefit_id, {TALLY_COLUMNS} FROM uses WHERE holder_no = "));
    query = query.value(holder.0);
    if !budgets.is_empty() {
        query =
            query.then(&format!(" UNION ALL SELECT 2, benefit_id, {NOTHING}, spent FROM budgets WHERE benefit_id IN "));
        query = query.list(budgets.iter().map(|benefit| benefit.0));
    }
    let rows: Vec<CountsRow> = query.all(tx).await.doing("reading what a holder has used")?;
    let mut read = CountsRead::default();
    let mut spent: BTreeMap<BenefitId, _> = budgets.iter().map(|benefit| (*benefit, Default::default())).collect();
    for row in rows {
        match row {
            CountsRow::Shipped(through) => read.through = through,
            CountsRow::Uses(tally) => read.tallies.push(tally),
            CountsRow::Spent(benefit, fen) => {
                spent.insert(benefit, fen);
            }
        }
    }
    read.spent = spent.into_iter().collect();
    Ok(read)
}

/// The terminals at which a refund's purchase may have been made.
pub(super) async fn sellers(tx: &mut Tx, sale: SaleAt) -> Result<Vec<TerminalId>, StoreError> {
    let query = Query::new(format!(
        "SELECT DISTINCT terminal_id FROM records WHERE merchant_id = $1 AND batch = $2 AND stan = $3 \
         AND mti IN (200, 220) AND standing = {STANDS} AND lasting = 1 ORDER BY terminal_id"
    ));
    let query = query.bind(sale.merchant.to_string()).bind(sale.batch).bind(sale.stan);
    query.all(tx).await.doing("looking for a purchase")
}

/// A record, whosever.
pub(super) async fn record(tx: &mut Tx, place: Place) -> Result<Option<Record>, StoreError> {
    let query = Query::new(format!("SELECT {RECORD_COLUMNS} FROM records WHERE node = $1 AND sequence = $2"));
    let query = query.bind(place.node()).bind(place.sequence());
    let row: Option<RecordRow> = query.first(tx).await.doing("reading a record")?;
    Ok(row.map(|row| row.record))
}
