//! The register in the central store.
//!
//! What a batch of records touches is locked, looked up, handed to [`Sheet::take_in`] and written back, in one
//! transaction; what may stand is decided there and nowhere in SQL. Rows are always locked in the
//! same order (the node's own, homes, uses, budgets, each by its key), so that nodes wait for each
//! other and never in a circle.

mod audit;
mod look_up;
mod rows;
mod write;

pub use audit::Told;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use xingka_core::capsule::{Record, WithdrawnFor};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, Place, RuleBookVersion, TerminalId};
use xingka_core::ledger::{BatchId, BatchRecords};
use xingka_core::register::{Home, RuleBooks, Taken, Wants};
use xingka_core::rules::RuleBook;

use super::{Answer, Arrived, CountsRead, Register, RegisterError, SaleAt, SignIns};
use crate::journal::chain::{Group, Hash};
use crate::sql::{Query, Tx};
use crate::store::Doing as _;
use crate::{Store, StoreError};

/// The register in the central store.
pub struct SqlRegister {
    store: Store,
    /// Rule books that swipes were decided under, each read once.
    books: Mutex<BTreeMap<RuleBookVersion, Arc<RuleBook>>>,
}

/// Groups of a node's journal, decoded.
struct Shipment<'g> {
    node: u16,
    groups: &'g [(Group, Hash)],
    records: Vec<(u64, Record)>,
}

impl<'g> Shipment<'g> {
    fn of(node: u16, groups: &'g [(Group, Hash)]) -> Result<Self, RegisterError> {
        let mut records = Vec::new();
        for (group, _) in groups {
            records.extend(group.decode()?);
        }
        Ok(Self { node, groups, records })
    }

    /// The part that the register doesn't have yet.
    fn after(node: u16, groups: &'g [(Group, Hash)], shipped: u64) -> Result<Self, RegisterError> {
        let known = groups.iter().take_while(|(group, _)| group.last_sequence <= shipped).count();
        let new = groups.get(known..).unwrap_or_default();
        match new.first() {
            Some((group, _)) if group.first_sequence != shipped + 1 => {
                Err(RegisterError::Gap { node, shipped, first: group.first_sequence })
            }
            _ => Self::of(node, new),
        }
    }

    fn last(&self) -> Option<u64> {
        self.groups.last().map(|(group, _)| group.last_sequence)
    }
}

impl SqlRegister {
    /// The register of a store.
    pub fn new(store: Store) -> Self {
        Self { store, books: Mutex::default() }
    }

    async fn take_groups_in(&self, node: u16, groups: &[(Group, Hash)]) -> Result<Vec<(u64, Taken)>, RegisterError> {
        let mut tx = self.store.write_again().await?;
        let shipped = look_up::lock_node(&mut tx, node).await?;
        let mut outcomes = look_up::told_before(&mut tx, node, groups, shipped).await?;
        let shipment = Shipment::after(node, groups, shipped)?;
        if let Some(last) = shipment.last() {
            let wants = Wants::of(shipment.records.iter().map(|(_, record)| record));
            let books = self.books(&wants).await?;
            let mut sheet = look_up::sheet(&mut tx, wants, (node, self.is_shared())).await?;
            let former = sheet.clone();
            let taken = sheet.take_in(node, &shipment.records, &books);
            write::shipment(&mut tx, &shipment, &taken, &sheet.fallen).await?;
            write::sheet(&mut tx, &former, &sheet).await?;
            write::shipped(&mut tx, node, last).await?;
            outcomes.extend(shipment.records.iter().map(|(sequence, _)| *sequence).zip(taken));
        }
        tx.commit().await.doing("taking records into the register")?;
        Ok(outcomes)
    }

    async fn books(&self, wants: &Wants) -> Result<RuleBooks, StoreError> {
        let mut books = RuleBooks::new();
        for version in &wants.rule_books {
            let known = self.books.lock().get(version).cloned();
            let book = match known {
                Some(book) => Some(book),
                None => self.store.rule_book(*version).await?.map(Arc::new),
            };
            if let Some(book) = book {
                self.books.lock().insert(*version, book.clone());
                books.insert(*version, book);
            }
        }
        Ok(books)
    }

    /// Whether the node is the terminal's home now.
    async fn move_home(&self, tx: &mut Tx, node: u16, terminal: TerminalId, seen: u64) -> Result<bool, StoreError> {
        let home = look_up::home_alone(tx, terminal).await?;
        let Some(moved) = Home::moved(home, node, seen) else { return Ok(false) };
        if home == Some(moved) {
            return Ok(true);
        }
        let move_in = Query::new(
            "INSERT INTO homes (terminal_id, node, stay, open_batch) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (terminal_id) DO UPDATE SET node = $2, stay = $3 WHERE homes.stay = $5",
        );
        let move_in = move_in.bind(terminal.to_string()).bind(node).bind(moved.stay).bind(moved.open_batch).bind(seen);
        move_in.execute(tx).await.doing("making a node a terminal's home")?;
        // Where there was no row to lock, another node may have been first.
        Ok(look_up::home(tx, terminal).await? == Some(moved))
    }

    async fn arrive(
        &self,
        node: u16,
        (terminal, merchant): (TerminalId, MerchantId),
        seen: u64,
    ) -> Result<Option<Arrived>, RegisterError> {
        let mut tx = if self.is_shared() {
            let mut tx = self.store.write().await?;
            if !self.move_home(&mut tx, node, terminal, seen).await? {
                return Ok(None);
            }
            tx
        } else {
            self.store.read().await?
        };
        let open_batch = look_up::open_batch(&mut tx, terminal).await?;
        let open = (terminal, merchant, open_batch);
        let batch = look_up::batch(&mut tx, open).await?;
        let sign_ins = look_up::sign_ins(&mut tx, terminal).await?;
        tx.commit().await.doing("bringing a terminal home")?;
        Ok(Some(Arrived { open, batch, sign_ins }))
    }
}

impl Register for SqlRegister {
    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn shipped(&self, node: u16) -> Answer<'_, u64> {
        async move {
            let mut tx = self.store.write().await?;
            let shipped = look_up::lock_node(&mut tx, node).await?;
            tx.commit().await.doing("asking how far a journal was taken in")?;
            Ok(shipped)
        }
        .boxed()
    }

    fn take_in<'a>(&'a self, node: u16, groups: &'a [(Group, Hash)]) -> Answer<'a, Vec<(u64, Taken)>> {
        self.take_groups_in(node, groups).boxed()
    }

    fn sign_ins(&self, terminal: TerminalId) -> Answer<'_, SignIns> {
        async move {
            let mut tx = self.store.read().await?;
            let sign_ins = look_up::sign_ins(&mut tx, terminal).await?;
            tx.commit().await.doing("reading a terminal's sign-ins")?;
            Ok(sign_ins)
        }
        .boxed()
    }

    fn home(&self, terminal: TerminalId) -> Answer<'_, Option<Home>> {
        async move {
            let mut tx = self.store.read().await?;
            let home = look_up::home(&mut tx, terminal).await?;
            tx.commit().await.doing("asking where a terminal is at home")?;
            Ok(home)
        }
        .boxed()
    }

    fn bring_home(
        &self,
        node: u16,
        terminal: TerminalId,
        merchant: MerchantId,
        seen: u64,
    ) -> Answer<'_, Option<Arrived>> {
        self.arrive(node, (terminal, merchant), seen).boxed()
    }

    fn batch(&self, id: BatchId) -> Answer<'_, BatchRecords> {
        async move {
            let mut tx = self.store.read().await?;
            let batch = look_up::batch(&mut tx, id).await?;
            tx.commit().await.doing("reading a batch")?;
            Ok(batch)
        }
        .boxed()
    }

    fn counts<'a>(&'a self, node: u16, holder: HolderNo, budgets: &'a [BenefitId]) -> Answer<'a, CountsRead> {
        async move {
            let mut tx = self.store.read().await?;
            let counts = look_up::counts(&mut tx, node, holder, budgets).await?;
            tx.commit().await.doing("reading what a holder has used")?;
            Ok(counts)
        }
        .boxed()
    }

    fn sellers(&self, sale: SaleAt) -> Answer<'_, Vec<TerminalId>> {
        async move {
            let mut tx = self.store.read().await?;
            let sellers = look_up::sellers(&mut tx, sale).await?;
            tx.commit().await.doing("looking for a purchase")?;
            Ok(sellers)
        }
        .boxed()
    }

    fn record(&self, place: Place) -> Answer<'_, Option<Record>> {
        async move {
            let mut tx = self.store.read().await?;
            let record = look_up::record(&mut tx, place).await?;
            tx.commit().await.doing("reading a record")?;
            Ok(record)
        }
        .boxed()
    }
}

/// How a record's standing is written.
const fn standing_number(taken: &Taken) -> i64 {
    match taken {
        Taken::Stands { .. } => STANDS,
        Taken::Lost(WithdrawnFor::Unconfirmed) => FELL,
        Taken::Lost(WithdrawnFor::Moved) => 2,
        Taken::Lost(WithdrawnFor::Exhausted(_)) => 3,
        Taken::Lost(WithdrawnFor::Doubled) => 4,
    }
}

const STANDS: i64 = 1;
const FELL: i64 = 0;

/// What was written of a record's standing. Of which benefit nothing was left isn't kept.
const fn told(standing: i64, stay: u64) -> Taken {
    match standing {
        2 => Taken::Lost(WithdrawnFor::Moved),
        3 => Taken::Lost(WithdrawnFor::Exhausted(BenefitId(0))),
        4 => Taken::Lost(WithdrawnFor::Doubled),
        FELL => Taken::Lost(WithdrawnFor::Unconfirmed),
        _ => Taken::Stands { stay },
    }
}

/// Rows in one statement: as many as there are, in pieces of these sizes, so that a database prepares few
/// different statements however many rows come.
const PIECES: [usize; 5] = [256, 64, 16, 4, 1];

/// Splits rows into pieces of the sizes above.
fn pieces<T>(rows: &[T]) -> Vec<&[T]> {
    let (mut pieces, mut rest) = (Vec::new(), rows);
    for size in PIECES {
        while rest.len() >= size {
            let (piece, after) = rest.split_at(size);
            pieces.push(piece);
            rest = after;
        }
    }
    pieces
}
