//! The register in memory: what a simulation's nodes share, and what the one in SQL is tested against.
//!
//! The same rules, [`Sheet`]'s, over plain lists; nothing outlives it.

use std::collections::{BTreeMap, HashMap};

use futures_util::FutureExt as _;
use futures_util::future::ready;
use parking_lot::Mutex;
use xingka_core::capsule::{Record, RequestKey};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, Place, TerminalId};
use xingka_core::ledger::{BatchId, BatchRecords, FIRST_BATCH, HARMLESS_KEPT};
use xingka_core::money::Fen;
use xingka_core::register::{Filing, Home, RuleBooks, Sheet, Standing, Taken, Wants};
use xingka_core::tallies::Tallies;

use super::{Answer, Arrived, CountsRead, Register, RegisterError, SaleAt, SignIns};
use crate::journal::chain::{Group, Hash};

/// Sign-ins and sign-offs that are told: a session keeps three keys.
const SIGN_INS_KEPT: usize = 6;

/// A register that several nodes share, in memory.
#[derive(Debug, Default)]
pub struct MemoryRegister(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    journals: BTreeMap<u16, Vec<(Group, Hash)>>,
    homes: BTreeMap<TerminalId, Home>,
    rows: Vec<Row>,
    by_place: HashMap<Place, usize>,
    by_key: HashMap<RequestKey, Vec<usize>>,
    tallies: Tallies,
    books: RuleBooks,
}

/// A record, filed.
#[derive(Debug)]
struct Row {
    place: Place,
    record: Record,
    filing: Filing,
    taken: Taken,
    stands: bool,
    undone: bool,
}

impl Row {
    fn stay(&self) -> u64 {
        match self.taken {
            Taken::Stands { stay } => stay,
            Taken::Lost(_) => 0,
        }
    }

    /// Where it comes among its terminal's.
    fn order(&self) -> (u64, u64) {
        (self.stay(), self.place.sequence())
    }

    fn standing(&self) -> Standing {
        let standing = Standing::of(self.place, &self.record);
        if self.undone { Standing { taken: None, returned: None, ..standing } } else { standing }
    }
}

impl State {
    fn shipped(&self, node: u16) -> u64 {
        let last = self.journals.get(&node).and_then(|groups| groups.last());
        last.map_or(0, |(group, _)| group.last_sequence)
    }

    /// The standing records, other than reversals, of a request.
    fn standing(&self, key: &RequestKey) -> Option<Standing> {
        let mut rows = self.by_key.get(key).into_iter().flatten().filter_map(|at| self.rows.get(*at));
        let row = rows.rfind(|row| row.stands && key.mti != 400)?;
        let standing = row.standing();
        // A void whose purchase was reversed after it is about nothing.
        let of_nothing = standing.voids.is_some_and(|sale| self.is_undone(&sale));
        Some(if of_nothing { Standing { returned: None, ..standing } } else { standing })
    }

    fn is_undone(&self, key: &RequestKey) -> bool {
        let rows = self.by_key.get(key).into_iter().flatten().filter_map(|at| self.rows.get(*at));
        rows.filter(|row| row.stands).any(|row| row.undone)
    }

    fn told_before(&self, node: u16, known: &[(Group, Hash)]) -> Result<Vec<(u64, Taken)>, RegisterError> {
        let stored = self.journals.get(&node).map(Vec::as_slice).unwrap_or_default();
        let mut told = Vec::new();
        for (group, hash) in known {
            if !stored.iter().any(|(has, with)| has.first_sequence == group.first_sequence && with == hash) {
                return Err(RegisterError::OtherJournal { node, sequence: group.first_sequence });
            }
            let places = (group.first_sequence..=group.last_sequence).map(|sequence| Place::new(node, sequence));
            told.extend(places.filter_map(|place| {
                let row = self.rows.get(*self.by_place.get(&place)?)?;
                Some((place.sequence(), row.taken))
            }));
        }
        Ok(told)
    }

    fn take_in(&mut self, node: u16, groups: &[(Group, Hash)]) -> Result<Vec<(u64, Taken)>, RegisterError> {
        let shipped = self.shipped(node);
        let known = groups.iter().take_while(|(group, _)| group.last_sequence <= shipped).count();
        let (known, new) = groups.split_at(known);
        let mut outcomes = self.told_before(node, known)?;
        let Some((first, _)) = new.first() else { return Ok(outcomes) };
        if first.first_sequence != shipped + 1 {
            return Err(RegisterError::Gap { node, shipped, first: first.first_sequence });
        }
        let mut records = Vec::new();
        for (group, _) in new {
            records.extend(group.decode()?);
        }
        let mut sheet = self.sheet(Wants::of(records.iter().map(|(_, record)| record)));
        let taken = sheet.take_in(node, &records, &self.books);
        self.journals.entry(node).or_default().extend(new.iter().cloned());
        outcomes.extend(records.iter().map(|(sequence, _)| *sequence).zip(taken.iter().copied()));
        for ((sequence, record), taken) in records.into_iter().zip(taken) {
            self.file(Place::new(node, sequence), record, taken);
        }
        self.write_back(sheet);
        Ok(outcomes)
    }

    fn sheet(&self, wants: Wants) -> Sheet {
        let homes = wants.terminals.iter().filter_map(|terminal| Some((*terminal, *self.homes.get(terminal)?)));
        Sheet {
            homes: homes.collect(),
            standing: wants.requests.iter().filter_map(|key| Some((*key, self.standing(key)?))).collect(),
            tallies: self.tallies.clone(),
            ..Sheet::default()
        }
    }

    fn file(&mut self, place: Place, record: Record, taken: Taken) {
        let (at, filing) = (self.rows.len(), Filing::of(&record));
        self.by_place.insert(place, at);
        if let Some(key) = filing.key {
            self.by_key.entry(key).or_default().push(at);
        }
        self.rows.push(Row { place, record, filing, taken, stands: taken.stands(), undone: false });
    }

    fn write_back(&mut self, sheet: Sheet) {
        self.homes.extend(sheet.homes);
        self.tallies = sheet.tallies;
        for place in sheet.fallen {
            let row = self.by_place.get(&place).and_then(|at| self.rows.get_mut(*at));
            row.into_iter().for_each(|row| row.stands = false);
        }
        for key in sheet.undone {
            for at in self.by_key.get(&key).into_iter().flatten() {
                let row = self.rows.get_mut(*at).filter(|row| row.stands);
                row.into_iter().for_each(|row| row.undone = true);
            }
        }
    }

    fn open_batch(&self, terminal: TerminalId) -> u32 {
        self.homes.get(&terminal).map_or(FIRST_BATCH, |home| home.open_batch)
    }

    fn batch(&self, (terminal, merchant, batch): BatchId) -> BatchRecords {
        let of_batch = |key: &RequestKey| (key.terminal, key.merchant, key.batch) == (terminal, merchant, batch);
        let in_it = |row: &&Row| row.stands && row.filing.key.as_ref().is_some_and(of_batch);
        let mut rows: Vec<&Row> = self.rows.iter().filter(in_it).filter(|row| row.filing.lasting).collect();
        let mut harmless: Vec<&Row> = self.rows.iter().filter(in_it).filter(|row| !row.filing.lasting).collect();
        harmless.sort_by_key(|row| row.order());
        rows.extend(harmless.iter().rev().take(HARMLESS_KEPT));
        rows.sort_by_key(|row| row.order());
        let mut refunded = BTreeMap::<RequestKey, Fen>::new();
        for row in self.rows.iter().filter(|row| row.stands && !row.undone && !in_it(row)) {
            if let Some((sale, amount)) = row.filing.refunds.filter(|(sale, _)| of_batch(sale)) {
                let so_far = refunded.entry(sale).or_default();
                *so_far = so_far.plus(amount);
            }
        }
        BatchRecords {
            records: rows.iter().map(|row| (row.place, row.record.clone())).collect(),
            refunded: refunded.into_iter().collect(),
        }
    }

    fn sign_ins(&self, terminal: TerminalId) -> SignIns {
        let housekeeping = |row: &&Row| {
            let kind = matches!(row.record.plain(), Record::SignIn(_) | Record::SignOff(_));
            kind && row.stands && row.filing.terminal == terminal
        };
        let mut rows: Vec<&Row> = self.rows.iter().filter(housekeeping).collect();
        // As they were made, not as they came.
        rows.sort_by_key(|row| (row.filing.at_ms, row.order()));
        let kept = rows.iter().skip(rows.len().saturating_sub(SIGN_INS_KEPT));
        let sign_in = |row: &&Row| match row.record.plain() {
            Record::SignIn(sign_in) => Some((**sign_in).clone()),
            _ => None,
        };
        kept.map(sign_in).collect()
    }

    fn arrive(&mut self, node: u16, (terminal, merchant): (TerminalId, MerchantId), seen: u64) -> Option<Arrived> {
        let home = Home::moved(self.homes.get(&terminal).copied(), node, seen)?;
        self.homes.insert(terminal, home);
        let open = (terminal, merchant, self.open_batch(terminal));
        Some(Arrived { open, batch: self.batch(open), sign_ins: self.sign_ins(terminal) })
    }

    fn counts(&self, node: u16, holder: HolderNo, budgets: &[BenefitId]) -> CountsRead {
        let tallies = self.tallies.uses().filter(|(of, _)| *of == holder).map(|(_, tally)| *tally).collect();
        let spent = budgets.iter().map(|benefit| (*benefit, self.tallies.spent_on(*benefit))).collect();
        CountsRead { tallies, spent, through: self.shipped(node) }
    }

    fn sellers(&self, sale: SaleAt) -> Vec<TerminalId> {
        let is_it = |key: RequestKey| {
            (key.merchant, key.batch, key.stan) == (sale.merchant, sale.batch, sale.stan)
                && matches!(key.mti, 200 | 220)
        };
        let rows = self.rows.iter().filter(|row| row.stands && row.filing.lasting);
        let mut sellers: Vec<TerminalId> =
            rows.filter(|row| row.filing.key.is_some_and(is_it)).map(|row| row.filing.terminal).collect();
        sellers.sort();
        sellers.dedup();
        sellers
    }
}

/// A record as a register has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Where it is.
    pub place: Place,
    /// The record.
    pub record: Record,
    /// What became of it when it came in.
    pub taken: Taken,
    /// Whether it stands now.
    pub stands: bool,
}

impl MemoryRegister {
    /// Knows a rule book, for its limits.
    pub fn put_rules(&self, rules: std::sync::Arc<xingka_core::rules::RuleBook>) {
        self.0.lock().books.insert(rules.version(), rules);
    }

    /// Every record taken in, in the order in which they came.
    pub fn filed(&self) -> Vec<Filed> {
        let state = self.0.lock();
        let rows = state.rows.iter();
        rows.map(|Row { place, record, taken, stands, .. }| Filed {
            place: *place,
            record: record.clone(),
            taken: *taken,
            stands: *stands,
        })
        .collect()
    }

    /// A node's journal, as it was taken in.
    pub fn journal(&self, node: u16) -> Vec<(Group, Hash)> {
        self.0.lock().journals.get(&node).cloned().unwrap_or_default()
    }
}

impl Register for MemoryRegister {
    fn is_shared(&self) -> bool {
        true
    }

    fn shipped(&self, node: u16) -> Answer<'_, u64> {
        ready(Ok(self.0.lock().shipped(node))).boxed()
    }

    fn take_in<'a>(&'a self, node: u16, groups: &'a [(Group, Hash)]) -> Answer<'a, Vec<(u64, Taken)>> {
        ready(self.0.lock().take_in(node, groups)).boxed()
    }

    fn sign_ins(&self, terminal: TerminalId) -> Answer<'_, SignIns> {
        ready(Ok(self.0.lock().sign_ins(terminal))).boxed()
    }

    fn home(&self, terminal: TerminalId) -> Answer<'_, Option<Home>> {
        ready(Ok(self.0.lock().homes.get(&terminal).copied())).boxed()
    }

    fn bring_home(
        &self,
        node: u16,
        terminal: TerminalId,
        merchant: MerchantId,
        seen: u64,
    ) -> Answer<'_, Option<Arrived>> {
        ready(Ok(self.0.lock().arrive(node, (terminal, merchant), seen))).boxed()
    }

    fn batch(&self, id: BatchId) -> Answer<'_, BatchRecords> {
        ready(Ok(self.0.lock().batch(id))).boxed()
    }

    fn counts<'a>(&'a self, node: u16, holder: HolderNo, budgets: &'a [BenefitId]) -> Answer<'a, CountsRead> {
        ready(Ok(self.0.lock().counts(node, holder, budgets))).boxed()
    }

    fn sellers(&self, sale: SaleAt) -> Answer<'_, Vec<TerminalId>> {
        ready(Ok(self.0.lock().sellers(sale))).boxed()
    }

    fn record(&self, place: Place) -> Answer<'_, Option<Record>> {
        let state = self.0.lock();
        let row = state.by_place.get(&place).and_then(|at| state.rows.get(*at));
        ready(Ok(row.map(|row| row.record.clone()))).boxed()
    }
}
