//! Trace numbers for `xingka swipe`, rows for `xingka doctor`, and what keys a store belongs to.

use xingka_core::ids::TerminalId;

use super::error::{Doing as _, Readable as _};
use super::{Change, Store, StoreError};
use crate::sql::Query;

/// What [`Store::counts`] counts.
const COUNTED: [&str; 7] =
    ["holders", "cards", "merchants", "terminals", "benefits WHERE until_version IS NULL", "rule_books", "anchors"];

/// A decision's id has twelve bits for its node.
const LAST_NODE: u16 = 4_095;

/// Rows in each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Holders.
    pub holders: u64,
    /// Cards.
    pub cards: u64,
    /// Merchants.
    pub merchants: u64,
    /// Terminals.
    pub terminals: u64,
    /// Benefits in force.
    pub benefits: u64,
    /// Rule books ever made.
    pub rule_books: u64,
    /// Anchors of journals.
    pub anchors: u64,
}

impl Store {
    /// A terminal's next trace number, field 11: from 1 to 999,999 and round again. No two
    /// calls get the same, in whatever process.
    pub async fn next_stan(&self, terminal: TerminalId) -> Result<u32, StoreError> {
        self.take_stans(terminal, 1).await
    }

    /// Takes so many trace numbers in a row and returns the first of them.
    pub async fn take_stans(&self, terminal: TerminalId, count: u32) -> Result<u32, StoreError> {
        let query = Query::new(
            "INSERT INTO terminal_counters (terminal_id, stan) VALUES ($1, $2) ON CONFLICT (terminal_id) \
             DO UPDATE SET stan = (terminal_counters.stan + $2 - 1) % 999999 + 1 RETURNING stan",
        );
        let mut tx = self.write().await?;
        let last = query.bind(terminal.to_string()).bind(count).first(&mut tx).await;
        let last: Option<i64> = last.doing("counting a terminal's trace numbers")?;
        tx.commit().await.doing("counting a terminal's trace numbers")?;
        let last = last.readable("terminal_counters", "stan")?;
        Ok(u32::try_from((last - i64::from(count)).rem_euclid(999_999)).unwrap_or(0) + 1)
    }

    /// The number of a node that is new to this store; it is nobody else's, and never was.
    pub async fn new_node(&self) -> Result<u16, StoreError> {
        let mut tx = self.write().await?;
        let query = Query::new("UPDATE counters SET value = value + 1 WHERE name = 'node' RETURNING value");
        let number: Option<i64> = query.first(&mut tx).await.doing("numbering a node")?;
        tx.commit().await.doing("numbering a node")?;
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number <= LAST_NODE);
        number.ok_or(StoreError::NodesFull)
    }

    /// How many rows each table has.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut tx = self.read().await?;
        let mut counts = [0_i64; 7];
        for (count, from) in counts.iter_mut().zip(COUNTED) {
            let counted = Query::new(format!("SELECT COUNT(*) FROM {from}")).first(&mut tx).await;
            *count = counted.doing("counting rows")?.unwrap_or(0);
        }
        let [holders, cards, merchants, terminals, benefits, rule_books, anchors] = counts;
        let count = i64::cast_unsigned;
        Ok(Counts {
            holders: count(holders),
            cards: count(cards),
            merchants: count(merchants),
            terminals: count(terminals),
            benefits: count(benefits),
            rule_books: count(rule_books),
            anchors: count(anchors),
        })
    }

    /// Something the store says about itself.
    pub(crate) async fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query = Query::new("SELECT value FROM meta WHERE name = $1").bind(name);
        query.first(&mut self.read().await?).await.doing("reading what the store says about itself")
    }
}

impl Change {
    /// Says something about the store, unless it is said already; gives what is said now.
    pub(crate) async fn say(&mut self, name: &str, value: &str) -> Result<String, StoreError> {
        let insert = Query::new("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
        let inserted = insert.bind(name).bind(value).execute(&mut self.transaction).await;
        inserted.doing("noting what the store is")?;
        let query = Query::new("SELECT value FROM meta WHERE name = $1").bind(name);
        let said: Option<String> =
            query.first(&mut self.transaction).await.doing("reading what the store says about itself")?;
        said.readable("meta", "value")
    }
}
