//! What each holder has used of each benefit, and what each budget has spent.

use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::capsule::Effects;
use crate::facts::{Counts, Uses};
use crate::ids::{BenefitId, HolderNo};
use crate::money::Fen;
use crate::time::{Date, Month};
use crate::verdict::Use;

/// All holders' uses and all budgets.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    uses: HashMap<HolderNo, Vec<Tally>>,
    spent: HashMap<BenefitId, Fen>,
}

/// One holder's uses of one benefit.
#[derive(Debug, Clone, Copy)]
struct Tally {
    benefit: BenefitId,
    days: Latest<Date>,
    months: Latest<Month>,
    ever: u32,
}

/// Counts of the two latest days or months. Two, because requests of both sides of midnight are
/// under way at midnight, and what was decided offline arrives after it: each must find, and
/// count in, its own.
#[derive(Debug, Clone, Copy)]
struct Latest<T>([Option<(T, u32)>; 2]);

impl Tallies {
    /// What is used up of `limited`, by ascending id, as a decision of `today` must know it.
    pub(super) fn counts(&self, holder: HolderNo, limited: &[BenefitId], today: Date) -> Counts {
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
    pub(super) fn take(&mut self, effects: &Effects) {
        for used in &effects.uses {
            self.tally(effects.holder_no, used).add(effects.date);
            let spent = self.spent.entry(used.benefit).or_default();
            *spent = spent.plus(used.off);
        }
    }

    /// Gives them back.
    pub(super) fn give_back(&mut self, effects: &Effects) {
        for used in &effects.uses {
            self.tally(effects.holder_no, used).remove(effects.date);
            let spent = self.spent.entry(used.benefit).or_default();
            *spent = spent.less(used.off);
        }
    }

    fn tally(&mut self, holder: HolderNo, used: &Use) -> &mut Tally {
        let tallies = self.uses.entry(holder).or_default();
        let at = tallies.binary_search_by_key(&used.benefit, |tally| tally.benefit).unwrap_or_else(|at| {
            tallies.insert(at, Tally { benefit: used.benefit, days: Latest::NONE, months: Latest::NONE, ever: 0 });
            at
        });
        &mut tallies[at]
    }
}

impl Tally {
    /// The uses as they stand on a day.
    fn on(&self, day: Date) -> Uses {
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

impl<T: Copy + PartialEq + PartialOrd> Latest<T> {
    const NONE: Self = Self([None; 2]);

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
