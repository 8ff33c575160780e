//! The register: which records stand, on however many nodes.
//!
//! Every record goes into the journal of the node that made it, and from there, in order, into the
//! register, which is the same for all nodes. It takes a record in only if it may stand:
//!
//! * its terminal is at home at the node that sends it. A terminal has one home at a time; a node makes
//!   itself the home before it decides anything for it, and is told then what other nodes have
//!   decided. So at most one node's decisions about a terminal are taken in, each having seen all that
//!   came before it;
//! * no use goes beyond its limit and no budget beyond its amount, counted over all nodes.
//!
//! Where several nodes share a register, an answer leaves only when its record stands in it; what
//! doesn't stand was never answered, and is decided again. A stand-in record, made while the register
//! couldn't be asked, has been answered already: it stands unless its request was answered elsewhere
//! too. Where it comes from a node that isn't its terminal's home, nobody is from then on: neither
//! that node nor the home has seen what the other one did, and whoever becomes the home next has.
//!
//! A node becomes a home only where the terminal is as the node saw it: a database may carry out a
//! question long after the one who asked has given up, and then it must change nothing.
//!
//! Pure, as decisions are. Whoever keeps the register (a database, a simulation) looks up what a batch
//! of records [`Wants`], fills a [`Sheet`] with it, has the batch [taken in](Sheet::take_in), and writes
//! the sheet back, all as one act.
//!
//! Refused: a lock a terminal with a time-out (a node that stalls past it would go on deciding), and
//! asking the register before each decision as well as after it (twice the waiting, for the same).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::capsule::{Capsule, Effects, GiveBack, GiveBackKind, Record, RequestKey, Swipe, WithdrawnFor};
use crate::ids::{BenefitId, HolderNo, Place, RuleBookVersion, TerminalId};
use crate::ledger::{FIRST_BATCH, REVERSAL_MTI, REVERSIBLE_MTIS, next_batch};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::rules::{Limits, RuleBook};
use crate::tallies::{Change, Tallies, Tally};
use crate::time::Date;
use crate::verdict::Outcome;

/// Where a terminal's requests are decided, when nobody may.
pub const NOBODY: u16 = u16::MAX;

/// Where a terminal's requests are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The node.
    pub node: u16,
    /// Counts the terminal's moves: records of one stay at home in their order.
    pub stay: u64,
    /// The batch its requests must carry.
    pub open_batch: u32,
}

impl Home {
    /// A terminal's first.
    pub const fn first(node: u16) -> Self {
        Self { node, stay: 1, open_batch: FIRST_BATCH }
    }

    /// A terminal's home after a node has asked to be it; `None` where the terminal isn't as that node saw
    /// it, at this stay (0: nowhere yet).
    pub fn moved(home: Option<Self>, node: u16, seen: u64) -> Option<Self> {
        match home {
            None => (seen == 0).then_some(Self::first(node)),
            Some(home) if home.stay != seen => None,
            Some(home) if home.node == node => Some(home),
            Some(home) => Some(Self { node, stay: home.stay + 1, ..home }),
        }
    }
}

/// A standing record, as far as later ones ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where it is.
    pub place: Place,
    /// What it used up.
    pub taken: Option<Effects>,
    /// What it gave back, where it is a void.
    pub returned: Option<Effects>,
    /// The purchase that it undid, where it is a void.
    pub voids: Option<RequestKey>,
}

impl Standing {
    /// A record's, as long as nothing has undone it.
    pub fn of(place: Place, record: &Record) -> Self {
        let void = void_of(record);
        Self {
            place,
            taken: swipe_of(record).and_then(Swipe::effects),
            returned: void.and_then(|void| void.returned.clone()),
            voids: void.and_then(|void| void.facts.sale).map(|sale| sale.key),
        }
    }
}

/// What a batch of records must be looked at with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Homes.
    pub terminals: BTreeSet<TerminalId>,
    /// Standing records.
    pub requests: BTreeSet<RequestKey>,
    /// Uses.
    pub uses: BTreeSet<(HolderNo, BenefitId)>,
    /// Budgets.
    pub budgets: BTreeSet<BenefitId>,
    /// Rule books.
    pub rule_books: BTreeSet<RuleBookVersion>,
}

impl Wants {
    /// What these records want, but for what follows from standing records: see [`Self::also`].
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut wants = Self::default();
        records.into_iter().for_each(|record| wants.add(record));
        wants
    }

    fn add(&mut self, record: &Record) {
        self.terminals.extend(terminals(record));
        if let Record::StandIn(_) = record {
            self.requests.extend(record.asked().map(|asked| asked.key));
        }
        self.rule_books.extend(swipe_of(record).map(|swipe| swipe.capsule.rules));
        match record.plain() {
            Record::Swipe(swipe) => self.also(swipe.effects().as_ref()),
            Record::Offline(offline) => self.also(offline.swipe.effects().as_ref()),
            Record::Reversal(reversal) => {
                self.requests.extend(REVERSIBLE_MTIS.map(|mti| RequestKey { mti, ..reversal.asked.key }));
                reversal.returned.iter().for_each(|effects| self.also(Some(effects)));
            }
            Record::GiveBack(give_back) => {
                self.requests
                    .extend(give_back.facts.sale.filter(|_| give_back.returned.is_some()).map(|sale| sale.key));
                self.also(give_back.returned.as_ref());
            }
            Record::UploadEnd(end) => {
                self.requests.extend(&end.undone);
                end.returned.iter().for_each(|effects| self.also(Some(effects)));
            }
            Record::Withdrawn(withdrawn) => self.requests.extend([withdrawn.key]),
            Record::Settlement(_)
            | Record::Uploaded(_)
            | Record::SignIn(_)
            | Record::SignOff(_)
            | Record::StandIn(_) => {}
        }
    }

    /// The uses and budgets of some effects.
    pub fn also(&mut self, effects: Option<&Effects>) {
        let Some(effects) = effects else { return };
        self.uses.extend(effects.uses.iter().map(|used| (effects.holder_no, used.benefit)));
        self.budgets.extend(effects.uses.iter().map(|used| used.benefit));
    }
}

/// The part of the register that a batch of records touches.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// Where terminals are at home. One that isn't here has none.
    pub homes: BTreeMap<TerminalId, Home>,
    /// Standing records of requests.
    pub standing: BTreeMap<RequestKey, Standing>,
    /// Uses and budgets.
    pub tallies: Tallies,
    /// Requests whose refunds and voids were undone.
    pub undone: Vec<RequestKey>,
    /// Records that stood and don't any more.
    pub fallen: Vec<Place>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It stands, as one of this stay of its terminal.
    Stands {
        /// See [`Home::stay`].
        stay: u64,
    },
    /// It doesn't, and its answer must not leave.
    Lost(WithdrawnFor),
}

impl Taken {
    /// Whether it stands.
    pub fn stands(&self) -> bool {
        matches!(self, Self::Stands { .. })
    }
}

/// The rule books that swipes were decided under; where one isn't known, there are no limits.
pub type RuleBooks = BTreeMap<RuleBookVersion, Arc<RuleBook>>;

fn limits(books: &RuleBooks, capsule: &Capsule, benefit: BenefitId) -> Limits {
    let book = books.get(&capsule.rules);
    let found = book.and_then(|book| book.benefit(capsule.facts.merchant.id, benefit));
    found.map_or(Limits::default(), |benefit| benefit.limits)
}

impl Sheet {
    /// Takes a node's records in, in the order of its journal.
    pub fn take_in(&mut self, node: u16, records: &[(u64, Record)], books: &RuleBooks) -> Vec<Taken> {
        let taken = records.iter().map(|(sequence, record)| {
            let place = Place::new(node, *sequence);
            match self.may_stand(place, record, books) {
                Ok(()) => Taken::Stands { stay: self.stand(place, record) },
                Err(reason) => Taken::Lost(reason),
            }
        });
        taken.collect()
    }

    fn may_stand(&self, place: Place, record: &Record, books: &RuleBooks) -> Result<(), WithdrawnFor> {
        if let Record::StandIn(_) = record {
            let doubled = record.asked().is_some_and(|asked| self.standing.contains_key(&asked.key));
            return if doubled { Err(WithdrawnFor::Doubled) } else { Ok(()) };
        }
        let at_home = |terminal| self.homes.get(&terminal).is_some_and(|home| home.node == place.node());
        if !terminals(record).into_iter().all(at_home) && !planted::has(Bug::HomeUnchecked) {
            return Err(WithdrawnFor::Moved);
        }
        match swipe_of(record) {
            Some(swipe) => self.within_limits(swipe, books),
            None => Ok(()),
        }
    }

    fn within_limits(&self, swipe: &Swipe, books: &RuleBooks) -> Result<(), WithdrawnFor> {
        let Some(effects) = swipe.effects() else { return Ok(()) };
        for used in &effects.uses {
            let limits = limits(books, &swipe.capsule, used.benefit);
            let tally = self.tallies.tally_of(effects.holder_no, used.benefit);
            let spent = self.tallies.spent_on(used.benefit);
            let over_budget = limits.budget.is_some_and(|budget| spent.plus(used.off) > budget);
            let over_uses = tally.is_some_and(|tally| spends_too_much(&limits, tally, effects.date));
            if over_budget && !planted::has(Bug::BudgetUnchecked) || over_uses && !planted::has(Bug::UsesUnchecked) {
                return Err(WithdrawnFor::Exhausted(used.benefit));
            }
        }
        Ok(())
    }

    /// Has a record stand; gives its terminal's stay.
    fn stand(&mut self, place: Place, record: &Record) -> u64 {
        if let Record::StandIn(_) = record {
            self.leave_other_home(record.terminal(), place.node());
        }
        let change = self.change_of(record);
        self.tallies.change(&change);
        if let Some(key) = record.asked().map(|asked| asked.key) {
            self.standing.insert(key, Standing::of(place, record));
        }
        let home = self.homes.entry(record.terminal()).or_insert(Home::first(place.node()));
        if let Some(batch) = closes(record) {
            home.open_batch = next_batch(batch);
        }
        home.stay
    }

    /// A node has decided about a terminal by itself: where another one is its home, nobody is any more.
    fn leave_other_home(&mut self, terminal: TerminalId, node: u16) {
        if let Some(home) = self.homes.get_mut(&terminal).filter(|home| home.node != node) {
            let left_to = if planted::has(Bug::StandInTakesHome) { node } else { NOBODY };
            *home = Home { node: left_to, stay: home.stay + 1, ..*home };
        }
    }

    fn change_of(&mut self, record: &Record) -> Change {
        let mut change = Change::default();
        match record.plain() {
            Record::Swipe(swipe) => change.taken.extend(swipe.effects()),
            Record::Offline(offline) => change.taken.extend(offline.swipe.effects()),
            Record::GiveBack(give_back) => {
                let sale = give_back.facts.sale.map(|sale| sale.key);
                change.returned = self.taken_by(sale, give_back.returned.as_slice());
            }
            Record::Reversal(reversal) => {
                let keys = REVERSIBLE_MTIS.map(|mti| RequestKey { mti, ..reversal.asked.key });
                change.returned = self.taken_by(keys, &reversal.returned);
                change.taken.extend(keys.into_iter().filter_map(|key| self.undo(key)));
            }
            Record::UploadEnd(end) => {
                change.returned = self.taken_by(end.undone.iter().copied(), &end.returned);
                change.taken.extend(end.undone.iter().filter_map(|key| self.undo(*key)));
            }
            Record::Withdrawn(withdrawn) => {
                let key = withdrawn.key;
                if self.standing.get(&key).is_some_and(|standing| standing.place == withdrawn.place) {
                    self.fallen.push(withdrawn.place);
                    change.returned.extend(self.standing.remove(&key).and_then(|standing| standing.taken));
                }
            }
            Record::Settlement(_)
            | Record::Uploaded(_)
            | Record::SignIn(_)
            | Record::SignOff(_)
            | Record::StandIn(_) => {}
        }
        change
    }

    /// Of what a record gives back, what these requests have really used up: one of them may have been turned
    /// down after the node that made the record counted on it.
    fn taken_by(&self, keys: impl IntoIterator<Item = RequestKey>, returned: &[Effects]) -> Vec<Effects> {
        let taken = keys.into_iter().filter_map(|key| self.standing.get(&key)?.taken.clone());
        taken.filter(|taken| returned.contains(taken)).collect()
    }

    /// Undoes a request; a void undone puts its purchase in force again: gives what that uses up.
    fn undo(&mut self, key: RequestKey) -> Option<Effects> {
        let standing = self.standing.get_mut(&key)?;
        standing.taken = None;
        self.undone.push(key);
        let again = standing.returned.take();
        // With its purchase gone, a void is about nothing.
        self.standing.values_mut().filter(|void| void.voids == Some(key)).for_each(|void| void.returned = None);
        again
    }
}

fn swipe_of(record: &Record) -> Option<&Swipe> {
    match record.plain() {
        Record::Swipe(swipe) => Some(swipe),
        Record::Offline(offline) => Some(&offline.swipe),
        _ => None,
    }
}

fn void_of(record: &Record) -> Option<&GiveBack> {
    match record.plain() {
        Record::GiveBack(give_back) if give_back.ask.kind == GiveBackKind::Void => Some(give_back),
        _ => None,
    }
}

/// The terminals whose books a record changes: its own, and of a refund the one that sold.
pub fn terminals(record: &Record) -> Vec<TerminalId> {
    let mut terminals = Vec::from([record.terminal()]);
    if let Record::GiveBack(give_back) = record.plain() {
        let sale = give_back.facts.sale.filter(|_| give_back.outcome == Outcome::Approved);
        terminals.extend(sale.map(|sale| sale.key.terminal).filter(|seller| *seller != record.terminal()));
    }
    terminals
}

/// The batch that a record closes.
fn closes(record: &Record) -> Option<u32> {
    match record.plain() {
        Record::Settlement(settlement) if settlement.balanced() => Some(settlement.asked.key.batch),
        Record::UploadEnd(end) if end.outcome == Outcome::Approved => Some(end.asked.key.batch),
        _ => None,
    }
}

fn spends_too_much(limits: &Limits, tally: &Tally, day: Date) -> bool {
    let uses = tally.on(day);
    let spent = |limit: Option<u32>, used: u32| limit.is_some_and(|limit| used >= limit);
    spent(limits.per_day, uses.today) || spent(limits.per_month, uses.this_month) || spent(limits.per_holder, uses.ever)
}

/// What the register files a record under, so that it is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// Its terminal.
    pub terminal: TerminalId,
    /// Its request; housekeeping has none.
    pub key: Option<RequestKey>,
    /// Whose card.
    pub holder: Option<HolderNo>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whether it moved or used something, or must be known as long as its batch is: the latest
    /// others only, see [`HARMLESS_KEPT`](crate::ledger::HARMLESS_KEPT).
    pub lasting: bool,
    /// Of an approved refund, the purchase, and how much.
    pub refunds: Option<(RequestKey, Fen)>,
}

impl Filing {
    /// A record's.
    pub fn of(record: &Record) -> Self {
        let key = record.asked().map(|asked| asked.key);
        Self {
            terminal: record.terminal(),
            key,
            holder: holder(record),
            at_ms: record.epoch_ms(),
            lasting: lasting(record),
            refunds: refunds(record),
        }
    }
}

fn holder(record: &Record) -> Option<HolderNo> {
    let card = match record.plain() {
        Record::GiveBack(give_back) => give_back.facts.card,
        record => swipe_of(record)?.capsule.facts.card,
    };
    card.map(|card| card.holder_no)
}

fn lasting(record: &Record) -> bool {
    let moves = |swipe: &Swipe| swipe.charged().is_some() || !swipe.verdict.uses.is_empty();
    match record.plain() {
        Record::GiveBack(give_back) => give_back.outcome == Outcome::Approved,
        plain => match swipe_of(plain) {
            Some(swipe) => moves(swipe),
            None => plain.asked().is_some_and(|asked| matches!(asked.key.mti, REVERSAL_MTI | 320 | 500)),
        },
    }
}

fn refunds(record: &Record) -> Option<(RequestKey, Fen)> {
    let Record::GiveBack(give_back) = record.plain() else { return None };
    let approved = give_back.outcome == Outcome::Approved && give_back.ask.kind == GiveBackKind::Refund;
    let sale = give_back.facts.sale.filter(|_| approved)?;
    Some((sale.key, give_back.ask.amount?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_becomes_a_home_only_where_the_terminal_is_as_it_saw_it() {
        let home = Home { node: 1, stay: 4, open_batch: 7 };
        assert_eq!(Home::moved(None, 2, 0), Some(Home::first(2)));
        assert_eq!(Home::moved(None, 2, 1), None, "it was somewhere, and the register was put back");
        assert_eq!(Home::moved(Some(home), 1, 4), Some(home));
        assert_eq!(Home::moved(Some(home), 2, 4), Some(Home { node: 2, stay: 5, open_batch: 7 }));
        for late in [0, 3, 5] {
            assert_eq!(Home::moved(Some(home), 2, late), None);
            assert_eq!(Home::moved(Some(home), 1, late), None);
        }
    }
}
