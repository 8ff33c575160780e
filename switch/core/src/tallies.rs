//! What each holder has used of each benefit, and what each budget has spent.
//!
//! Kept whole by whoever knows everything (a test, a simulation, the register for the rows at hand),
//! or as a cache: then what isn't in it is not known rather than nothing, is asked of the register
//! before it is needed, and changes to it are left to the register.

use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::capsule::Effects;
use crate::facts::{Counts, Uses};
use crate::ids::{BenefitId, HolderNo};
use crate::money::Fen;
use crate::planted::{self, Bug};
use crate::time::{Date, Month};
use crate::verdict::Use;

/// Holders' uses and budgets.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    uses: HashMap<HolderNo, Vec<Tally>>,
    spent: HashMap<BenefitId, Fen>,
    /// What isn't here is not known.
    cache: bool,
}

/// What a record takes from holders' uses and budgets, and what it gives back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Used up.
    pub taken: Vec<Effects>,
    /// Given back.
    pub returned: Vec<Effects>,
}

impl Change {
    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        self.taken.is_empty() && self.returned.is_empty()
    }
}

/// One holder's uses of one benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Which.
    pub benefit: BenefitId,
    /// By day.
    pub days: Latest<Date>,
    /// By month.
    pub months: Latest<Month>,
    /// In all.
    pub ever: u32,
}

/// Counts of the two latest days or months. Two, because requests of both sides of midnight are
/// under way at midnight, and what was decided offline arrives after it: each must find, and
/// count in, its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest<T>(pub [Option<(T, u32)>; 2]);

impl Tallies {
    /// A cache that holds nothing yet.
    pub fn cache() -> Self {
        Self { cache: true, ..Self::default() }
    }

    /// Whether what a decision about this holder and these benefits needs would have to be asked for.
    pub fn misses(&self, holder: HolderNo, limited: &[BenefitId]) -> bool {
        self.cache
            && !limited.is_empty()
            && (!self.uses.contains_key(&holder) || limited.iter().any(|benefit| !self.spent.contains_key(benefit)))
    }

    /// A holder's uses, as the register has them.
    pub fn put_uses(&mut self, holder: HolderNo, mut tallies: Vec<Tally>) {
        tallies.sort_unstable_by_key(|tally| tally.benefit);
        self.uses.insert(holder, tallies);
    }

    /// A budget, as the register has it.
    pub fn put_spent(&mut self, benefit: BenefitId, spent: Fen) {
        self.spent.insert(benefit, spent);
    }

    /// Whether a budget is here.
    pub(crate) fn knows_budget(&self, benefit: BenefitId) -> bool {
        self.spent.contains_key(&benefit)
    }

    /// A holder's uses of a benefit.
    pub fn tally_of(&self, holder: HolderNo, benefit: BenefitId) -> Option<&Tally> {
        let tallies = self.uses.get(&holder)?;
        tallies.get(tallies.binary_search_by_key(&benefit, |tally| tally.benefit).ok()?)
    }

    /// All uses that are here.
    pub fn uses(&self) -> impl Iterator<Item = (HolderNo, &Tally)> {
        self.uses.iter().flat_map(|(holder, tallies)| tallies.iter().map(|tally| (*holder, tally)))
    }

    /// All budgets that are here.
    pub fn budgets(&self) -> impl Iterator<Item = (BenefitId, Fen)> {
        self.spent.iter().map(|(benefit, spent)| (*benefit, *spent))
    }

    /// What a budget has spent.
    pub fn spent_on(&self, benefit: BenefitId) -> Fen {
        self.spent.get(&benefit).copied().unwrap_or_default()
    }

    /// Takes over everything that another one knows.
    pub(crate) fn take_from(&mut self, fresh: Self) {
        self.uses.extend(fresh.uses);
        self.spent.extend(fresh.spent);
    }

    /// Takes a change in.
    pub fn change(&mut self, change: &Change) {
        change.returned.iter().for_each(|effects| self.give_back(effects));
        if planted::has(Bug::GiveBackTwice) {
            change.returned.iter().for_each(|effects| self.give_back(effects));
        }
        change.taken.iter().for_each(|effects| self.take(effects));
    }

    /// What is used up of `limited`, by ascending id, as a decision of `today` must know it.
    pub fn counts(&self, holder: HolderNo, limited: &[BenefitId], today: Date) -> Counts {
        let mut counts = Counts::default();
        let tallies = self.uses.get(&holder).map_or(&[][..], Vec::as_slice);
        for benefit in limited {
            if let Ok(at) = tallies.binary_search_by_key(benefit, |tally| tally.benefit) {
                let uses = tallies.get(at).map(|tally| tally.on(today)).filter(|uses| uses.ever > 0);
                counts.uses.extend(uses.map(|uses| (*benefit, uses)));
            }
            let spent = self.spent.get(benefit).filter(|spent| **spent > Fen::ZERO);
            counts.spent.extend(spent.map(|spent| (*benefit, *spent)));
        }
        counts
    }

    /// Uses things up.
    fn take(&mut self, effects: &Effects) {
        self.each_tally(effects, |tally| tally.add(effects.date));
        self.each_budget(effects, Fen::plus);
    }

    /// Gives them back.
    fn give_back(&mut self, effects: &Effects) {
        self.each_tally(effects, |tally| tally.remove(effects.date));
        self.each_budget(effects, Fen::less);
    }

    fn each_tally(&mut self, effects: &Effects, change: impl Fn(&mut Tally)) {
        if self.cache && !self.uses.contains_key(&effects.holder_no) {
            return;
        }
        let tallies = self.uses.entry(effects.holder_no).or_default();
        for Use { benefit, .. } in &effects.uses {
            let at = tallies.binary_search_by_key(benefit, |tally| tally.benefit).unwrap_or_else(|at| {
                tallies.insert(at, Tally::none(*benefit));
                at
            });
            tallies.get_mut(at).into_iter().for_each(&change);
        }
    }

    fn each_budget(&mut self, effects: &Effects, change: impl Fn(Fen, Fen) -> Fen) {
        for Use { benefit, off } in &effects.uses {
            if self.cache && !self.spent.contains_key(benefit) {
                continue;
            }
            let spent = self.spent.entry(*benefit).or_default();
            *spent = change(*spent, *off);
        }
    }
}

impl Tally {
    /// Of a benefit never used.
    pub const fn none(benefit: BenefitId) -> Self {
        Self { benefit, days: Latest::NONE, months: Latest::NONE, ever: 0 }
    }

    /// The uses as they stand on a day.
    pub fn on(&self, day: Date) -> Uses {
        Uses { today: self.days.of(day), this_month: self.months.of(day.month()), ever: self.ever }
    }

    fn add(&mut self, day: Date) {
        self.days.add(day);
        self.months.add(day.month());
        self.ever = self.ever.saturating_add(1);
    }

    fn remove(&mut self, day: Date) {
        self.days.remove(day);
        self.months.remove(day.month());
        self.ever = self.ever.saturating_sub(1);
    }
}

impl<T: Copy> Latest<T> {
    /// No counts.
    pub const NONE: Self = Self([None; 2]);
}

impl<T: Copy + PartialEq + PartialOrd> Latest<T> {
    fn of(&self, when: T) -> u32 {
        self.0.iter().flatten().find(|(of, _)| *of == when).map_or(0, |(_, count)| *count)
    }

    /// Later ones push out the earliest; what is earlier than both is not counted any more.
    fn add(&mut self, when: T) {
        if let Some((_, count)) = self.0.iter_mut().flatten().find(|(of, _)| *of == when) {
            *count = count.saturating_add(1);
            return;
        }
        let [later, earlier] = self.0;
        if later.is_none_or(|(of, _)| of < when) {
            self.0 = [Some((when, 1)), later];
        } else if earlier.is_none_or(|(of, _)| of < when) {
            self.0 = [later, Some((when, 1))];
        }
    }

    fn remove(&mut self, when: T) {
        if let Some((_, count)) = self.0.iter_mut().flatten().find(|(of, _)| *of == when) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_counts_on_its_own_day_in_whatever_order_they_come() {
        let mut tally = Latest::NONE;
        for day in [10, 11, 10, 11, 11] {
            tally.add(day);
        }
        assert_eq!((tally.of(10), tally.of(11), tally.of(12)), (2, 3, 0));
        tally.add(12);
        tally.add(9);
        tally.remove(12);
        tally.remove(9);
        assert_eq!((tally.of(9), tally.of(10), tally.of(11), tally.of(12)), (0, 0, 3, 0));
    }
}
