//! What the register writes.

use xingka_core::capsule::{Record, RequestKey};
use xingka_core::ids::{BenefitId, HolderNo, Place, TerminalId};
use xingka_core::register::{Filing, Home, Sheet, Taken};
use xingka_core::tallies::Tally;

use super::rows::{KEY_COLUMNS, TALLY_COLUMNS, key_values, tally_values};
use super::{FELL, STANDS, Shipment, pieces, standing_number};
use crate::StoreError;
use crate::journal::chain::{Group, Hash};
use crate::register::RegisterError;
use crate::sql::{Query, Tx, Value};
use crate::store::Doing as _;

/// What records that answer no request with a key are filed under.
fn keyless_mti(record: &Record) -> u16 {
    match record.plain() {
        Record::SignIn(_) | Record::SignOff(_) => 800,
        _ => 0,
    }
}

/// Writes groups and their records; what falls makes room for what stands in its place.
pub(super) async fn shipment(
    tx: &mut Tx,
    shipment: &Shipment<'_>,
    taken: &[Taken],
    fallen: &[Place],
) -> Result<(), RegisterError> {
    withdraw(tx, fallen).await?;
    for piece in pieces(shipment.groups) {
        let query =
            Query::new("INSERT INTO record_groups (node, first_sequence, last_sequence, committed_ms, hash) VALUES ");
        let query = query.rows(piece.iter().map(|group| group_values(shipment.node, group)));
        query.execute(tx).await.doing("writing groups")?;
    }
    let mut rows = Vec::with_capacity(taken.len());
    for ((sequence, record), taken) in shipment.records.iter().zip(taken) {
        let place = Place::new(shipment.node, *sequence);
        let standing = if fallen.contains(&place) { FELL } else { standing_number(taken) };
        rows.push(record_values(place, record, taken, standing)?);
    }
    for piece in pieces(&rows) {
        let query = Query::new(
            "INSERT INTO records (node, sequence, terminal_id, merchant_id, batch, stan, mti, stay, standing, lasting, \
             undone, holder_no, at_ms, of_terminal, of_batch, of_stan, of_mti, refunded, record) VALUES ",
        );
        query.rows(piece.iter().cloned()).execute(tx).await.doing("writing records")?;
    }
    Ok(())
}

fn group_values(node: u16, (group, hash): &(Group, Hash)) -> [Value; 5] {
    [
        node.into(),
        group.first_sequence.into(),
        group.last_sequence.into(),
        group.committed_ms.into(),
        hash.0.as_slice().into(),
    ]
}

fn record_values(place: Place, record: &Record, taken: &Taken, standing: i64) -> Result<[Value; 19], RegisterError> {
    let filing = Filing::of(record);
    let key = filing.key;
    let (of, refunded) = match filing.refunds {
        Some((sale, amount)) => (Some(sale), Some(amount.0.cast_signed())),
        None => (None, None),
    };
    let stay = match taken {
        Taken::Stands { stay } => *stay,
        Taken::Lost(_) => 0,
    };
    let bytes = record.encode(Vec::new()).map_err(|source| {
        RegisterError::Chain(crate::journal::chain::ChainFault::Record { sequence: place.sequence(), source })
    })?;
    Ok([
        place.node().into(),
        place.sequence().into(),
        filing.terminal.to_string().into(),
        key.map_or_else(String::new, |key| key.merchant.to_string()).into(),
        key.map_or(0, |key| key.batch).into(),
        key.map_or(0, |key| key.stan).into(),
        key.map_or(keyless_mti(record), |key| key.mti).into(),
        stay.into(),
        standing.into(),
        filing.lasting.into(),
        false.into(),
        filing.holder.map(|holder| i64::from(holder.0)).into(),
        filing.at_ms.into(),
        of.map(|sale| sale.terminal.to_string()).into(),
        of.map(|sale| i64::from(sale.batch)).into(),
        of.map(|sale| i64::from(sale.stan)).into(),
        of.map(|sale| i64::from(sale.mti)).into(),
        refunded.into(),
        bytes.into(),
    ])
}

/// Writes what a sheet has that it hadn't.
pub(super) async fn sheet(tx: &mut Tx, former: &Sheet, sheet: &Sheet) -> Result<(), StoreError> {
    let homes: Vec<(TerminalId, Home)> = sheet
        .homes
        .iter()
        .filter(|(terminal, home)| former.homes.get(terminal) != Some(home))
        .map(|(terminal, home)| (*terminal, *home))
        .collect();
    write_homes(tx, &homes).await?;
    write_uses(tx, &changed_uses(former, sheet)).await?;
    let budgets = sheet.tallies.budgets().filter(|(benefit, spent)| former.tallies.spent_on(*benefit) != *spent);
    let mut budgets: Vec<(BenefitId, _)> = budgets.collect();
    budgets.sort_unstable_by_key(|(benefit, _)| *benefit);
    for piece in pieces(&budgets) {
        let query = Query::new("INSERT INTO budgets (benefit_id, spent) VALUES ");
        let row =
            |(benefit, spent): &(BenefitId, xingka_core::money::Fen)| [Value::from(benefit.0), Value::from(spent.0)];
        let query = query.rows(piece.iter().map(row));
        let query = query.then(" ON CONFLICT (benefit_id) DO UPDATE SET spent = excluded.spent");
        query.execute(tx).await.doing("writing what budgets spent")?;
    }
    undo(tx, &sheet.undone).await
}

async fn write_homes(tx: &mut Tx, homes: &[(TerminalId, Home)]) -> Result<(), StoreError> {
    for piece in pieces(homes) {
        let row = |(terminal, home): &(TerminalId, Home)| -> [Value; 4] {
            [terminal.to_string().into(), home.node.into(), home.stay.into(), home.open_batch.into()]
        };
        let query = Query::new("INSERT INTO homes (terminal_id, node, stay, open_batch) VALUES ");
        let query = query.rows(piece.iter().map(row)).then(
            " ON CONFLICT (terminal_id) DO UPDATE SET node = excluded.node, stay = excluded.stay, \
             open_batch = excluded.open_batch",
        );
        query.execute(tx).await.doing("writing where terminals are at home")?;
    }
    Ok(())
}

fn changed_uses(former: &Sheet, sheet: &Sheet) -> Vec<(HolderNo, Tally)> {
    let changed = |(holder, tally): &(HolderNo, &Tally)| {
        former.tallies.tally_of(*holder, tally.benefit).copied().unwrap_or(Tally::none(tally.benefit)) != **tally
    };
    let all = sheet.tallies.uses().filter(changed);
    let mut uses: Vec<(HolderNo, Tally)> = all.map(|(holder, tally)| (holder, *tally)).collect();
    uses.sort_unstable_by_key(|(holder, tally)| (*holder, tally.benefit));
    uses
}

async fn write_uses(tx: &mut Tx, uses: &[(HolderNo, Tally)]) -> Result<(), StoreError> {
    for piece in pieces(uses) {
        let query = Query::new(format!("INSERT INTO uses (holder_no, benefit_id, {TALLY_COLUMNS}) VALUES "));
        let columns = TALLY_COLUMNS.split(", ").map(|column| format!("{column} = excluded.{column}"));
        let set = columns.collect::<Vec<_>>().join(", ");
        let query = query.rows(piece.iter().map(|(holder, tally)| tally_values(*holder, tally)));
        let query = query.then(" ON CONFLICT (holder_no, benefit_id) DO UPDATE SET ").then(&set);
        query.execute(tx).await.doing("writing uses")?;
    }
    Ok(())
}

async fn undo(tx: &mut Tx, requests: &[RequestKey]) -> Result<(), StoreError> {
    for piece in pieces(requests) {
        let query = Query::new(format!(
            "UPDATE records SET undone = 1 WHERE standing = {STANDS} AND mti NOT IN (0, 400, 800) AND ({KEY_COLUMNS}) IN (VALUES "
        ));
        let query = query.rows(piece.iter().map(key_values)).then(")");
        query.execute(tx).await.doing("undoing records")?;
    }
    Ok(())
}

async fn withdraw(tx: &mut Tx, places: &[Place]) -> Result<(), StoreError> {
    for piece in pieces(places) {
        let row = |place: &Place| [Value::from(place.node()), Value::from(place.sequence())];
        let query = Query::new("UPDATE records SET standing = 0 WHERE (node, sequence) IN (VALUES ");
        let query = query.rows(piece.iter().map(row)).then(")");
        query.execute(tx).await.doing("withdrawing records")?;
    }
    Ok(())
}

/// Writes how far a node's journal has been taken in.
pub(super) async fn shipped(tx: &mut Tx, node: u16, last: u64) -> Result<(), StoreError> {
    let query = Query::new("UPDATE nodes SET shipped = $1 WHERE node = $2").bind(last).bind(node);
    query.execute(tx).await.doing("writing how far a journal was taken in")?;
    Ok(())
}
