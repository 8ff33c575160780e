//! Decide: request, facts, rules and moment in, verdict out. Pure.
//!
//! A flat list of guards in wire.md's order of precedence, then what the holder gets.
//! `Desk::hindrance` is the one place that says whether a benefit applies; explanations
//! ask the same function, so that they can't tell another story than the decision.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::city::{Card, CardStatus, Holder, MerchantKind};
use crate::facts::{Ask, AskKind, AskedCard, Facts, UNKNOWN_USES, Uses};
use crate::money::{BasisPoints, Fen};
use crate::rules::{BenefitKind, Limits, Plan, Rule, RuleBook};
use crate::time::Moment;
use crate::verdict::{Applied, Best, Entitlement, Outcome, Price, Refusal, Use, Verdict};

/// The only currency there is: yuan.
pub const YUAN: [u8; 3] = *b"156";

/// The priority that is served at once.
const VIP: u8 = 2;

/// Decides one request.
pub fn decide(ask: &Ask, facts: &Facts, rules: &RuleBook, now: Moment) -> Verdict {
    let holder = match admit(ask, facts, now) {
        Ok(holder) => holder,
        Err(refusal) => return Verdict::refused(refusal),
    };
    let entitlement = Desk::new(ask, facts, now).entitle(holder, rules);
    if ask.kind == AskKind::Purchase && ask.chosen.is_some() && nothing_applied(&entitlement) {
        return Verdict::refused(Refusal::ChosenBenefit);
    }
    let vip = ask.kind == AskKind::CounterService
        && facts.merchant.kind == MerchantKind::Hall
        && entitlement.priority_level() == VIP;
    let outcome = if vip { Outcome::ApprovedVip } else { Outcome::Approved };
    let uses = if ask.uses_up() { uses(ask.kind, facts, outcome, &entitlement) } else { Vec::new() };
    Verdict { outcome, entitlement, uses }
}

/// The guards, in wire.md's order: currency, amount, original, card.
fn admit<'f>(ask: &Ask, facts: &'f Facts, now: Moment) -> Result<&'f Holder, Refusal> {
    if ask.currency != YUAN {
        return Err(Refusal::Currency);
    }
    if !amount_fits(ask) {
        return Err(Refusal::Amount);
    }
    if facts.reversed_before {
        return Err(Refusal::ReversedBefore);
    }
    usable(&ask.card, facts.card.as_ref(), now)?;
    facts.holder.as_ref().ok_or(Refusal::UnknownCard)
}

/// Whether a card may be used, its number's check digit first.
pub(crate) fn usable(asked: &AskedCard, card: Option<&Card>, now: Moment) -> Result<(), Refusal> {
    if let AskedCard::Number { luhn_ok: false, .. } = asked {
        return Err(Refusal::Luhn);
    }
    let card = card.ok_or(Refusal::UnknownCard)?;
    match card.status {
        CardStatus::Lost => return Err(Refusal::Lost),
        CardStatus::Stolen => return Err(Refusal::Stolen),
        CardStatus::Frozen => return Err(Refusal::Frozen),
        CardStatus::Active => {}
    }
    if card.expires < now.date.month() {
        return Err(Refusal::Expired);
    }
    Ok(())
}

/// A purchase needs an amount; an inquiry may have one; a counter service has none.
fn amount_fits(ask: &Ask) -> bool {
    match (ask.kind, ask.amount) {
        (AskKind::CounterService, _) | (AskKind::StarInquiry, None) => true,
        (AskKind::Purchase, None) => false,
        (AskKind::Purchase | AskKind::StarInquiry, Some(amount)) => amount > Fen::ZERO,
    }
}

fn nothing_applied(entitlement: &Entitlement) -> bool {
    entitlement.price.as_ref().is_none_or(|price| price.applied.is_empty())
}

/// What counts against limits: of a purchase the discounts and amounts off applied, of
/// a counter service what was answered. A priority that the terminal may not show and
/// that changes no answer was not answered.
fn uses(kind: AskKind, facts: &Facts, outcome: Outcome, entitlement: &Entitlement) -> Vec<Use> {
    let free = |benefit| Use { benefit, off: Fen::ZERO };
    if kind == AskKind::Purchase {
        let applied = entitlement.price.iter().flat_map(|price| &price.applied);
        return applied.map(|applied| Use { benefit: applied.benefit, off: applied.off }).collect();
    }
    let priority_told = facts.scope.priority || outcome == Outcome::ApprovedVip;
    let priority = entitlement.priority.filter(|_| priority_told);
    let best = priority.into_iter().chain(entitlement.faster);
    let waivers = entitlement.waivers.iter().copied();
    waivers.chain(best.map(|best| best.benefit)).map(free).collect()
}

/// Why a benefit doesn't apply here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// It is for another service.
    Service,
    /// Not begun yet, or over.
    Dates,
    /// Not on this weekday.
    Weekday,
    /// Not at this time of day.
    Hours,
    /// The amount is below its least.
    MinAmount,
    /// The holder's uses of today are spent.
    SpentToday,
    /// The holder's uses of this month are spent.
    SpentThisMonth,
    /// The holder's uses are spent for good.
    SpentForGood,
    /// What it would take off is more than its budget has left.
    Budget,
    /// How much of it is used up couldn't be asked for.
    UsesUnknown,
}

/// The request at hand, as every rule sees it.
pub(crate) struct Desk<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) facts: &'a Facts,
    now: Moment,
    /// Of now: each rule asks for it.
    weekday: u8,
    minute: u16,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(ask: &'a Ask, facts: &'a Facts, now: Moment) -> Self {
        Self { ask, facts, now, weekday: now.date.weekday(), minute: now.minute_of_day() }
    }

    fn entitle(&self, holder: &Holder, rules: &RuleBook) -> Entitlement {
        let star = holder.star();
        let none = Plan::default();
        let plan = rules.plan(self.facts.merchant.id, star, holder.category).unwrap_or(&none);
        let at_counter = self.ask.kind == AskKind::CounterService;
        Entitlement {
            star,
            price: self.amount().map(|original| self.price(original, plan)),
            highest_discount: self.asks_for_rate().then(|| self.highest_discount(plan)),
            priority: self.best(&plan.priority),
            faster: self.best(&plan.faster).filter(|_| at_counter),
            waivers: if at_counter { self.waivers(plan) } else { Vec::new() },
        }
    }

    /// The amount to price; a counter service has none, whatever field 4 says.
    fn amount(&self) -> Option<Fen> {
        self.ask.amount.filter(|_| self.ask.kind != AskKind::CounterService)
    }

    fn asks_for_rate(&self) -> bool {
        self.ask.kind == AskKind::StarInquiry && self.ask.amount.is_none()
    }

    /// Whether this place gives anything off to this terminal at all.
    pub(crate) fn reduces(&self) -> bool {
        self.facts.scope.discount && self.facts.merchant.gives_discounts()
    }

    /// DF04 names the one benefit to use; only purchases heed it.
    pub(crate) fn chosen(&self, rule: &Rule) -> bool {
        self.ask.kind != AskKind::Purchase || self.ask.chosen.is_none_or(|chosen| chosen == rule.id)
    }

    fn price(&self, original: Fen, plan: &Plan) -> Price {
        let mut price = Price { original, applied: Vec::new() };
        if !self.reduces() {
            return price;
        }
        let (mut remaining, mut groups) = (original, Groups::default());
        let mut apply = |rule: &Rule, off: Fen, remaining: &mut Fen| {
            price.applied.push(Applied { benefit: rule.id, off });
            *remaining = remaining.less(off);
        };
        if let Some((rule, off)) = self.best_alone(original, plan) {
            apply(rule, off, &mut remaining);
            groups.take(rule);
        }
        for rule in plan.stacking.iter().filter(|rule| self.chosen(rule)) {
            let open = !groups.taken(rule);
            if let Some(off) = self.off(rule, original, remaining).filter(|_| open) {
                apply(rule, off, &mut remaining);
                groups.take(rule);
            }
        }
        price
    }

    /// Of those that don't stack the one that takes most off; the lowest id of equals.
    ///
    /// Whether a rule applies is asked only of those that would take off more than the best so
    /// far: of many, few are.
    fn best_alone<'p>(&self, original: Fen, plan: &'p Plan) -> Option<(&'p Rule, Fen)> {
        let mut best: Option<(&Rule, Fen)> = None;
        for rule in plan.alone.iter().filter(|rule| self.chosen(rule)) {
            if best.is_some_and(|(_, most)| rule.reduction(original) <= most) {
                continue;
            }
            if let Some(off) = self.off(rule, original, original) {
                best = Some((rule, off));
            }
        }
        best
    }

    /// What a rule takes off `remaining`; nothing where it doesn't apply.
    fn off(&self, rule: &Rule, original: Fen, remaining: Fen) -> Option<Fen> {
        let off = rule.reduction(remaining);
        let applies = off > Fen::ZERO && self.hindrance(rule, Some((original, off))).is_none();
        applies.then_some(off)
    }

    /// What an inquiry without an amount is told: minimum amounts don't matter, and of
    /// a budget anything must be left.
    fn highest_discount(&self, plan: &Plan) -> BasisPoints {
        let rates = plan.alone.iter().filter(|rule| rule.kind == BenefitKind::Discount && self.reduces());
        let open = rates.filter(|rule| self.hindrance(rule, None).is_none());
        BasisPoints(open.map(|rule| rule.value.min(10_000)).max().unwrap_or(0))
    }

    /// The best that applies; the lowest id of equals.
    fn best(&self, rules: &[Rule]) -> Option<Best> {
        let open = rules.iter().filter(|rule| self.hindrance(rule, None).is_none());
        let best = open.reduce(|best, next| if next.value > best.value { next } else { best })?;
        Some(Best { benefit: best.id, value: u8::try_from(best.value).unwrap_or(u8::MAX) })
    }

    /// All that apply, of a group the lowest id.
    fn waivers(&self, plan: &Plan) -> Vec<crate::ids::BenefitId> {
        let (mut groups, mut waivers) = (Groups::default(), Vec::new());
        for rule in plan.waivers.iter().filter(|rule| self.hindrance(rule, None).is_none()) {
            if !groups.taken(rule) {
                groups.take(rule);
                waivers.push(rule.id);
            }
        }
        waivers
    }

    /// Why a rule doesn't apply here and now, if it doesn't. `reduction` is the amount
    /// before any discount and what this rule would take off, where there is an amount.
    pub(crate) fn hindrance(&self, rule: &Rule, reduction: Option<(Fen, Fen)>) -> Option<Hindrance> {
        if rule.service.is_some() && rule.service != self.ask.service {
            return Some(Hindrance::Service);
        }
        if !rule.days.contains(&self.now.date) {
            return Some(Hindrance::Dates);
        }
        if !(rule.weekdays.0..=rule.weekdays.1).contains(&self.weekday) {
            return Some(Hindrance::Weekday);
        }
        if !(rule.minutes.0..rule.minutes.1).contains(&self.minute) {
            return Some(Hindrance::Hours);
        }
        if reduction.is_some_and(|(original, _)| original < rule.min_amount) {
            return Some(Hindrance::MinAmount);
        }
        if rule.limits.any() { self.exhausted(rule, reduction.map(|(_, off)| off)) } else { None }
    }

    fn exhausted(&self, rule: &Rule, off: Option<Fen>) -> Option<Hindrance> {
        let uses = self.facts.counts.uses_of(rule.id);
        if uses.ever == UNKNOWN_USES {
            return Some(Hindrance::UsesUnknown);
        }
        let spent = spent_uses(&rule.limits, uses);
        spent.or_else(|| {
            let budget = rule.limits.budget.filter(|_| rule.kind.reduces())?;
            let rest = budget.less(self.facts.counts.spent_on(rule.id));
            // Without an amount, a benefit is open while its budget has anything left.
            (off.unwrap_or(Fen(1)) > rest).then_some(Hindrance::Budget)
        })
    }
}

/// Groups of which a benefit applies already. A set, because a provider may have thousands.
#[derive(Default)]
struct Groups(BTreeSet<u32>);

impl Groups {
    fn taken(&self, rule: &Rule) -> bool {
        rule.group != 0 && self.0.contains(&rule.group)
    }

    fn take(&mut self, rule: &Rule) {
        if rule.group != 0 {
            self.0.insert(rule.group);
        }
    }
}

fn spent_uses(limits: &Limits, uses: Uses) -> Option<Hindrance> {
    let spent = |limit: Option<u32>, used: u32| limit.is_some_and(|limit| used >= limit);
    if spent(limits.per_holder, uses.ever) {
        return Some(Hindrance::SpentForGood);
    }
    if spent(limits.per_month, uses.this_month) {
        return Some(Hindrance::SpentThisMonth);
    }
    spent(limits.per_day, uses.today).then_some(Hindrance::SpentToday)
}

impl Rule {
    /// What this rule takes off `remaining`, if it applies: never more than there is.
    pub(crate) fn reduction(&self, remaining: Fen) -> Fen {
        let off = match self.kind {
            BenefitKind::Discount => remaining.share(BasisPoints(self.value)),
            BenefitKind::AmountOff => Fen(u64::from(self.value)).min(remaining),
            BenefitKind::Priority | BenefitKind::FeeWaiver | BenefitKind::Faster => Fen::ZERO,
        };
        off.min(self.max_off)
    }
}
