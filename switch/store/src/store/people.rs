//! Holders and their cards.

use std::collections::HashMap;

use xingka_core::city::{Card, CardStatus, Holder, Star};
use xingka_core::ids::{HolderNo, PanKey};
use xingka_core::time::Month;

use super::change::next;
use super::error::{Doing as _, Readable as _};
use super::{Change, Reader, Store, StoreError, Upsert};
use crate::sql::{Query, Row};

/// A line of `holders.csv`.
pub(crate) struct HolderRow {
    pub(crate) id: String,
    pub(crate) holder: Holder,
    pub(crate) name: String,
    pub(crate) id_no: String,
    pub(crate) id_flagged: bool,
}

/// A line of `cards.csv`.
pub(crate) struct CardRow {
    pub(crate) key: PanKey,
    pub(crate) bin: u32,
    pub(crate) last4: u16,
    pub(crate) holder_id: String,
    pub(crate) status: CardStatus,
    pub(crate) expires: Month,
}

/// What memory holds of a holder.
pub(crate) type HolderInMemory = (HolderNo, Holder);
/// What memory holds of a card.
pub(crate) type CardInMemory = (PanKey, Card);

const HOLDERS: Upsert = Upsert {
    table: "holders",
    identity: "holder_id",
    fixed: &["holder_no"],
    columns: &["category", "star", "status", "name", "id_no", "id_flagged"],
};

const CARDS: Upsert = Upsert {
    table: "cards",
    identity: "pan_key",
    fixed: &[],
    columns: &["bin", "last4", "holder_no", "status", "expires_month"],
};

pub(crate) const HOLDER_NUMBERS: &str = "SELECT holder_id, holder_no FROM holders WHERE holder_id IN ";

impl Change {
    /// Adds holders or brings them up to date; says how many were new or different.
    pub(crate) async fn put_holders(&mut self, rows: &[HolderRow]) -> Result<u64, StoreError> {
        let numbers = self.holder_numbers(rows).await?;
        HOLDERS
            .write(self, rows, |row, values| {
                let number = numbers.get(&row.id).copied().unwrap_or_default();
                values.bind(row.id.as_str()).bind(number).bind(row.holder.category.word());
                values.bind(i64::from(row.holder.rated.level())).bind(row.holder.status.word());
                values.bind(row.name.as_str()).bind(row.id_no.as_str()).bind(i64::from(row.id_flagged));
            })
            .await
    }

    /// The number each has, or gets now, counting up.
    async fn holder_numbers(&mut self, rows: &[HolderRow]) -> Result<HashMap<String, i64>, StoreError> {
        let mut numbers = self.numbers_of(HOLDER_NUMBERS, rows.iter().map(|row| row.id.as_str())).await?;
        let new: Vec<&HolderRow> = rows.iter().filter(|row| !numbers.contains_key(&row.id)).collect();
        if new.is_empty() {
            return Ok(numbers);
        }
        let count = i64::try_from(new.len()).map_err(|_| StoreError::HoldersFull)?;
        let last = next(&mut self.transaction, "holder_no", count).await?;
        u32::try_from(last).map_err(|_| StoreError::HoldersFull)?;
        numbers.extend(new.into_iter().zip(last - count..).map(|(row, number)| (row.id.clone(), number)));
        Ok(numbers)
    }

    /// Adds cards or brings them up to date, given each with its holder's number.
    pub(crate) async fn put_cards(&mut self, rows: &[(&CardRow, i64)]) -> Result<u64, StoreError> {
        CARDS
            .write(self, rows, |(row, holder_no), values| {
                values.bind(row.key.0.as_slice()).bind(i64::from(row.bin)).bind(i64::from(row.last4));
                values.bind(*holder_no).bind(row.status.word()).bind(i64::from(row.expires.0));
            })
            .await
    }
}

impl Store {
    /// The number of a holder, by the id of the city folder.
    pub async fn holder_no(&self, holder_id: &str) -> Result<Option<HolderNo>, StoreError> {
        let query = Query::new("SELECT holder_no FROM holders WHERE holder_id = $1").bind(holder_id);
        let found: Option<i64> = query.first(&mut self.read().await?).await.doing("looking up a holder")?;
        found.map(holder_no).transpose()
    }

    /// The id of a holder, by number.
    pub async fn holder_id(&self, holder_no: HolderNo) -> Result<Option<String>, StoreError> {
        let query = Query::new("SELECT holder_id FROM holders WHERE holder_no = $1").bind(holder_no.0);
        query.first(&mut self.read().await?).await.doing("looking up a holder")
    }
}

/// The largest number given to a holder.
pub(crate) async fn newest_holder(reader: &mut Reader) -> Result<Option<HolderNo>, StoreError> {
    let query = Query::new("SELECT MAX(holder_no) FROM holders");
    let newest: Option<Option<i64>> = query.first(reader).await.doing("reading the newest holder")?;
    newest.flatten().map(holder_no).transpose()
}

/// How many cards there are.
pub(crate) async fn count_cards(reader: &mut Reader) -> Result<usize, StoreError> {
    let count: Option<i64> = Query::new("SELECT COUNT(*) FROM cards").first(reader).await.doing("counting cards")?;
    usize::try_from(count.unwrap_or(0)).readable("cards", "count")
}

/// Holders that changed after a revision.
pub(crate) async fn each_holder(
    reader: &mut Reader,
    since: i64,
    mut visit: impl FnMut(HolderInMemory),
) -> Result<(), StoreError> {
    let query = Query::new("SELECT holder_no, category, star, status FROM holders WHERE revision > $1").bind(since);
    query
        .each(reader, "reading holders", |row| {
            visit((holder_no(row.get(0).readable("holders", "holder_no")?)?, holder(row, 1)?));
            Ok(())
        })
        .await
}

/// Cards that changed after a revision.
pub(crate) async fn each_card(
    reader: &mut Reader,
    since: i64,
    mut visit: impl FnMut(CardInMemory),
) -> Result<(), StoreError> {
    let query =
        Query::new("SELECT pan_key, status, expires_month, holder_no FROM cards WHERE revision > $1").bind(since);
    query
        .each(reader, "reading cards", |row| {
            let (key, status, expires) = card(row)?;
            let holder_no = holder_no(row.get(3).readable("cards", "holder_no")?)?;
            visit((key, Card { holder_no, status, expires }));
            Ok(())
        })
        .await
}

/// All holders as an export writes them, by id.
pub(crate) async fn export_holders<E: From<StoreError>>(
    reader: &mut Reader,
    mut visit: impl FnMut(HolderRow) -> Result<(), E>,
) -> Result<(), E> {
    let query = Query::new("SELECT holder_id, name, id_no, category, star, status FROM holders ORDER BY holder_id");
    query
        .each(reader, "reading holders", |row| {
            visit(HolderRow {
                id: row.get(0).readable("holders", "holder_id")?,
                holder: holder(row, 3)?,
                name: row.get(1).readable("holders", "name")?,
                id_no: row.get(2).readable("holders", "id_no")?,
                id_flagged: false,
            })
        })
        .await
}

/// All cards as an export writes them, by key.
pub(crate) async fn export_cards<E: From<StoreError>>(
    reader: &mut Reader,
    mut visit: impl FnMut(CardRow) -> Result<(), E>,
) -> Result<(), E> {
    let query = Query::new(
        "SELECT c.pan_key, c.status, c.expires_month, c.bin, c.last4, h.holder_id \
         FROM cards c JOIN holders h ON h.holder_no = c.holder_no ORDER BY c.pan_key",
    );
    query
        .each(reader, "reading cards", |row| {
            let (key, status, expires) = card(row)?;
            let number = |at: usize, column| row.get::<i64>(at).readable("cards", column);
            visit(CardRow {
                key,
                bin: u32::try_from(number(3, "bin")?).readable("cards", "bin")?,
                last4: u16::try_from(number(4, "last4")?).readable("cards", "last4")?,
                holder_id: row.get(5).readable("holders", "holder_id")?,
                status,
                expires,
            })
        })
        .await
}

fn holder_no(number: i64) -> Result<HolderNo, StoreError> {
    u32::try_from(number).map(HolderNo).readable("holders", "holder_no")
}

/// Category, star and status, from column `at` on.
fn holder(row: &Row, at: usize) -> Result<Holder, StoreError> {
    let word = |at: usize, column| row.get::<&str>(at).readable("holders", column);
    let level = u8::try_from(row.get::<i64>(at + 1).readable("holders", "star")?).ok();
    Ok(Holder {
        category: word(at, "category")?.parse().readable("holders", "category")?,
        rated: level.and_then(Star::new).readable("holders", "star")?,
        status: word(at + 2, "status")?.parse().readable("holders", "status")?,
    })
}

/// Key, status and last month, the first three columns.
fn card(row: &Row) -> Result<(PanKey, CardStatus, Month), StoreError> {
    let key = row.get::<&[u8]>(0).readable("cards", "pan_key")?;
    let key = PanKey(key.try_into().readable("cards", "pan_key")?);
    let status = row.get::<&str>(1).readable("cards", "status")?;
    let status = status.parse().readable("cards", "status")?;
    let expires = row.get::<i64>(2).readable("cards", "expires_month")?;
    Ok((key, status, Month(u32::try_from(expires).readable("cards", "expires_month")?)))
}
