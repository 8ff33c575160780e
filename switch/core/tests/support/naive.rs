//! A second implementation of the contract's benefit rules, as a reader would write it
//! down: one benefit after the other, nothing compiled, nothing shared with the first.

use xingka_core::city::{CardStatus, Circle, HolderStatus, MerchantKind};
use xingka_core::facts::{Ask, AskKind, AskedCard, Facts};
use xingka_core::rules::{Benefit, BenefitKind};
use xingka_core::time::Moment;

/// What the naive reading says.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Answer {
    pub code: &'static str,
    pub star: u8,
    /// Benefit and fen off, in order; `None` where there is nothing to price.
    pub applied: Option<Vec<(u32, u64)>>,
    pub highest_discount: Option<u32>,
    pub priority: u8,
    pub days: u8,
    pub waivers: Vec<u32>,
    /// Which benefits a use is counted of, sorted.
    pub counted: Vec<u32>,
}

fn refused(code: &'static str) -> Answer {
    Answer { code, ..Answer::default() }
}

pub fn answer(ask: &Ask, facts: &Facts, benefits: &[Benefit], now: Moment) -> Answer {
    let purchase = ask.kind == AskKind::Purchase;
    let inquiry = ask.kind == AskKind::StarInquiry;
    let counter = ask.kind == AskKind::CounterService;
    if &ask.currency != b"156" {
        return refused("12");
    }
    if purchase && ask.amount.is_none() || !counter && ask.amount.is_some_and(|amount| amount.0 == 0) {
        return refused("13");
    }
    if facts.reversed_before {
        return refused("25");
    }
    if matches!(ask.card, AskedCard::Number { luhn_ok: false, .. }) {
        return refused("14");
    }
    let (Some(card), Some(holder)) = (facts.card, facts.holder) else {
        return refused("14");
    };
    match card.status {
        CardStatus::Lost => return refused("41"),
        CardStatus::Stolen => return refused("43"),
        CardStatus::Frozen => return refused("62"),
        CardStatus::Active => {}
    }
    let (year, month, _) = now.date.civil();
    if card.expires.to_string() < format!("{year:04}-{month:02}") {
        return refused("54");
    }

    let star = if holder.status == HolderStatus::Active { holder.rated.level() } else { 0 };
    let mut sorted: Vec<&Benefit> = benefits.iter().filter(|b| b.provider == facts.merchant.id).collect();
    sorted.sort_by_key(|b| b.id);
    let value = |b: &Benefit| {
        if star == 0 { 0 } else { b.values[usize::from(star) - 1] }
    };
    let open = |b: &Benefit| {
        let uses = facts.counts.uses_of(b.id);
        (b.service.is_none() || b.service == ask.service)
            && b.audience.includes(holder.category)
            && value(b) > 0
            && b.valid_from <= now.date
            && now.date <= b.valid_to
            && b.weekdays.is_none_or(|(first, last)| first <= now.date.weekday() && now.date.weekday() <= last)
            && b.hours.is_none_or(|(from, to)| from <= now.minute_of_day() && now.minute_of_day() < to)
            && b.limits.per_day.is_none_or(|limit| uses.today < limit)
            && b.limits.per_month.is_none_or(|limit| uses.this_month < limit)
            && b.limits.per_holder.is_none_or(|limit| uses.ever < limit)
    };
    let rest_of_budget = |b: &Benefit| match b.limits.budget {
        Some(budget) => budget.0.saturating_sub(facts.counts.spent_on(b.id).0),
        None => u64::MAX,
    };
    let in_circle = facts.merchant.kind != MerchantKind::Merchant || facts.merchant.circle == Circle::Member;
    let reduces = |b: &Benefit| matches!(b.kind, BenefitKind::Discount | BenefitKind::AmountOff);
    let off = |b: &Benefit, of: u64| {
        let wanted = match b.kind {
            BenefitKind::Discount => {
                let exact = u128::from(of) * u128::from(value(b));
                let (whole, part) = (exact / 10_000, exact % 10_000);
                u64::try_from(whole).unwrap() + u64::from(part >= 5_000)
            }
            _ => u64::from(value(b)),
        };
        wanted.min(of).min(b.max_off.map_or(u64::MAX, |most| most.0))
    };

    let mut answer = Answer { code: "00", star, ..Answer::default() };
    if let Some(amount) = ask.amount.filter(|_| !counter) {
        let mut applied: Vec<(u32, u64)> = Vec::new();
        let mut taken_groups: Vec<&str> = Vec::new();
        let mut rest = amount.0;
        if facts.scope.discount && in_circle {
            let chosen = |b: &Benefit| !purchase || ask.chosen.is_none_or(|id| id == b.id);
            let large_enough = |b: &Benefit| b.min_amount.is_none_or(|least| amount >= least);
            let mut best: Option<(&Benefit, u64)> = None;
            for b in sorted.iter().filter(|b| reduces(b) && !b.stacks && chosen(b) && open(b) && large_enough(b)) {
                let off = off(b, rest);
                if off > 0 && off <= rest_of_budget(b) && best.is_none_or(|(_, most)| off > most) {
                    best = Some((b, off));
                }
            }
            if let Some((b, off)) = best {
                applied.push((b.id.0, off));
                taken_groups.extend(b.group.as_deref());
                rest -= off;
            }
            for b in sorted.iter().filter(|b| reduces(b) && b.stacks && chosen(b) && open(b) && large_enough(b)) {
                if b.group.as_deref().is_some_and(|group| taken_groups.contains(&group)) {
                    continue;
                }
                let off = off(b, rest);
                if off > 0 && off <= rest_of_budget(b) {
                    applied.push((b.id.0, off));
                    taken_groups.extend(b.group.as_deref());
                    rest -= off;
                }
            }
        }
        if purchase && ask.chosen.is_some() && applied.is_empty() {
            return refused("12");
        }
        answer.applied = Some(applied);
    }
    if inquiry && ask.amount.is_none() {
        let rates = sorted.iter().filter(|b| b.kind == BenefitKind::Discount && !b.stacks && open(b));
        let affordable = rates.filter(|b| facts.scope.discount && in_circle && rest_of_budget(b) > 0);
        answer.highest_discount = Some(affordable.map(|b| value(b).min(10_000)).max().unwrap_or(0));
    }

    let best_of = |kind: BenefitKind| {
        let mut best: Option<(u32, u32)> = None;
        for b in sorted.iter().filter(|b| b.kind == kind && open(b)) {
            if best.is_none_or(|(_, most)| value(b) > most) {
                best = Some((b.id.0, value(b)));
            }
        }
        best
    };
    let priority = best_of(BenefitKind::Priority);
    answer.priority = priority.map_or(0, |(_, level)| level as u8);
    let mut counted = Vec::new();
    if counter {
        let faster = best_of(BenefitKind::Faster);
        answer.days = faster.map_or(0, |(_, days)| days as u8);
        let mut groups: Vec<&str> = Vec::new();
        for b in sorted.iter().filter(|b| b.kind == BenefitKind::FeeWaiver && open(b)) {
            if b.group.as_deref().is_none_or(|group| !groups.contains(&group)) {
                groups.extend(b.group.as_deref());
                answer.waivers.push(b.id.0);
            }
        }
        if facts.merchant.kind == MerchantKind::Hall && answer.priority == 2 {
            answer.code = "11";
        }
        counted.extend(&answer.waivers);
        counted.extend(faster.map(|(id, _)| id));
        if facts.scope.priority || answer.code == "11" {
            counted.extend(priority.map(|(id, _)| id));
        }
    } else if purchase {
        counted.extend(answer.applied.iter().flatten().map(|(id, _)| *id));
    }
    if !ask.preview && !inquiry {
        counted.sort_unstable();
        answer.counted = counted;
    }
    answer
}
