//! The register's rows, as values of the core.

use xingka_core::capsule::{Record, RequestKey};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, Place, TerminalId};
use xingka_core::money::Fen;
use xingka_core::tallies::{Latest, Tally};
use xingka_core::time::{Date, Month};

use crate::journal::chain::Hash;
use crate::sql::{FromRow, Row, Value};

/// A value that this version can't read.
fn unreadable(column: &'static str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "not a value that this version can read".into() }
}

fn number<T: TryFrom<i64>>(row: &Row, at: usize, column: &'static str) -> Result<T, sqlx::Error> {
    T::try_from(row.get::<i64>(at)?).map_err(|_| unreadable(column))
}

fn terminal(row: &Row, at: usize) -> Result<TerminalId, sqlx::Error> {
    row.get::<String>(at)?.parse().map_err(|_| unreadable("terminal_id"))
}

fn merchant(row: &Row, at: usize) -> Result<MerchantId, sqlx::Error> {
    row.get::<String>(at)?.parse().map_err(|_| unreadable("merchant_id"))
}

impl FromRow for TerminalId {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        terminal(row, 0)
    }
}

/// terminal_id, node, stay, open_batch
pub(super) struct HomeRow(pub(super) TerminalId, pub(super) xingka_core::register::Home);

impl FromRow for HomeRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let home = xingka_core::register::Home {
            node: number(row, 1, "node")?,
            stay: number(row, 2, "stay")?,
            open_batch: number(row, 3, "open_batch")?,
        };
        Ok(Self(terminal(row, 0)?, home))
    }
}

/// node, sequence, stay, undone, record
pub(super) struct RecordRow {
    pub(super) place: Place,
    pub(super) stay: u64,
    pub(super) undone: bool,
    pub(super) record: Record,
}

pub(super) const RECORD_COLUMNS: &str = "node, sequence, stay, undone, record";

impl FromRow for RecordRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let bytes: Vec<u8> = row.get(4)?;
        Ok(Self {
            place: Place::new(number(row, 0, "node")?, number(row, 1, "sequence")?),
            stay: number(row, 2, "stay")?,
            undone: row.get::<i64>(3)? != 0,
            record: Record::decode(&bytes).map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    }
}

/// merchant_id, batch, stan, terminal_id, mti
pub(super) struct KeyRow(pub(super) RequestKey);

pub(super) const KEY_COLUMNS: &str = "merchant_id, batch, stan, terminal_id, mti";

impl FromRow for KeyRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(RequestKey {
            merchant: merchant(row, 0)?,
            batch: number(row, 1, "batch")?,
            stan: number(row, 2, "stan")?,
            terminal: terminal(row, 3)?,
            mti: number(row, 4, "mti")?,
        }))
    }
}

pub(super) fn key_values(key: &RequestKey) -> [Value; 5] {
    let RequestKey { merchant, terminal, batch, stan, mti } = *key;
    [merchant.to_string().into(), batch.into(), stan.into(), terminal.to_string().into(), mti.into()]
}

/// sequence, standing, stay
pub(super) struct StandingRow(pub(super) u64, pub(super) i64, pub(super) u64);

impl FromRow for StandingRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(number(row, 0, "sequence")?, row.get(1)?, number(row, 2, "stay")?))
    }
}

/// node, shipped
pub(super) struct NodeRow(pub(super) u16, pub(super) u64);

impl FromRow for NodeRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(number(row, 0, "node")?, number(row, 1, "shipped")?))
    }
}

/// first_sequence, last_sequence, committed_ms, hash
pub(super) struct GroupRow {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) committed_ms: i64,
    pub(super) hash: Hash,
}

impl FromRow for GroupRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let hash: Vec<u8> = row.get(3)?;
        Ok(Self {
            first: number(row, 0, "first_sequence")?,
            last: number(row, 1, "last_sequence")?,
            committed_ms: row.get(2)?,
            // A hash of another length was tampered with, and is none that any group has.
            hash: Hash(hash.try_into().unwrap_or_default()),
        })
    }
}

/// of_stan, of_mti, and how much was refunded
pub(super) struct RefundedRow(pub(super) u32, pub(super) u16, pub(super) Fen);

impl FromRow for RefundedRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(number(row, 0, "of_stan")?, number(row, 1, "of_mti")?, Fen(number(row, 2, "refunded")?)))
    }
}

pub(super) const TALLY_COLUMNS: &str =
    "day_1, count_1, day_2, count_2, month_1, month_count_1, month_2, month_count_2, ever";

/// benefit_id and [`TALLY_COLUMNS`], from a column on.
pub(super) fn tally(row: &Row, at: usize) -> Result<Tally, sqlx::Error> {
    let latest = |day: usize| -> Result<Option<(i64, u32)>, sqlx::Error> {
        let count = number(row, at + day + 1, "count")?;
        Ok(row.get::<Option<i64>>(at + day)?.map(|of| (of, count)))
    };
    let day = |latest: Option<(i64, u32)>| {
        let day = latest.map(|(of, count)| i32::try_from(of).map(|of| (Date(of), count)));
        day.transpose().map_err(|_| unreadable("day"))
    };
    let month = |latest: Option<(i64, u32)>| {
        let month = latest.map(|(of, count)| u32::try_from(of).map(|of| (Month(of), count)));
        month.transpose().map_err(|_| unreadable("month"))
    };
    Ok(Tally {
        benefit: BenefitId(number(row, at, "benefit_id")?),
        days: Latest([day(latest(1)?)?, day(latest(3)?)?]),
        months: Latest([month(latest(5)?)?, month(latest(7)?)?]),
        ever: number(row, at + 9, "ever")?,
    })
}

/// A tally's row, its holder first.
pub(super) fn tally_values(holder: HolderNo, tally: &Tally) -> [Value; 11] {
    let [day_1, day_2] = tally.days.0.map(|latest| latest.map(|(day, count)| (i64::from(day.0), count)));
    let [month_1, month_2] = tally.months.0.map(|latest| latest.map(|(month, count)| (i64::from(month.0), count)));
    let of = |latest: Option<(i64, u32)>| Value::MaybeNumber(latest.map(|(of, _)| of));
    let count = |latest: Option<(i64, u32)>| Value::from(latest.map_or(0, |(_, count)| count));
    [
        holder.0.into(),
        tally.benefit.0.into(),
        of(day_1),
        count(day_1),
        of(day_2),
        count(day_2),
        of(month_1),
        count(month_1),
        of(month_2),
        count(month_2),
        tally.ever.into(),
    ]
}

/// holder_no, benefit_id and [`TALLY_COLUMNS`]
pub(super) struct UsesRow(pub(super) HolderNo, pub(super) Tally);

impl FromRow for UsesRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(HolderNo(number(row, 0, "holder_no")?), tally(row, 1)?))
    }
}

/// benefit_id, spent
pub(super) struct SpentRow(pub(super) BenefitId, pub(super) Fen);

impl FromRow for SpentRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(BenefitId(number(row, 0, "benefit_id")?), Fen(number(row, 1, "spent")?)))
    }
}

/// What [`super::look_up::counts`] asks for in one statement: which kind of row it is, then a tally's columns.
pub(super) enum CountsRow {
    Shipped(u64),
    Uses(Tally),
    Spent(BenefitId, Fen),
}

impl FromRow for CountsRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        match row.get::<i64>(0)? {
            0 => Ok(Self::Shipped(number(row, 10, "shipped")?)),
            1 => Ok(Self::Uses(tally(row, 1)?)),
            _ => Ok(Self::Spent(BenefitId(number(row, 1, "benefit_id")?), Fen(number(row, 10, "spent")?))),
        }
    }
}
