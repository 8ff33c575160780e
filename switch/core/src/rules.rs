//! Benefits, and the rule book they make together.
//!
//! A rule book is immutable once made. It is compiled per provider, star and category,
//! so that a decision only looks at the few benefits that could apply to this holder;
//! what the holder's moment adds (date, hour, amount, uses) is asked of those.
//! Refused: one list filtered from the top at every swipe, which reads five thousand
//! benefits to apply two.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::city::{BadWord, Category, Star};
use crate::ids::{BenefitId, MerchantId, RuleBookVersion};
use crate::money::Fen;
use crate::time::Date;

/// What a benefit gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BenefitKind {
    /// Basis points off the amount.
    Discount,
    /// Fen off the amount.
    AmountOff,
    /// A service priority: 1 priority, 2 VIP.
    Priority,
    /// A fee that isn't taken.
    FeeWaiver,
    /// Working days by which handling is shorter.
    Faster,
}

impl BenefitKind {
    /// The word that `benefits.csv` uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Discount => "discount",
            Self::AmountOff => "amount_off",
            Self::Priority => "priority",
            Self::FeeWaiver => "fee_waiver",
            Self::Faster => "faster",
        }
    }

    /// Whether it takes something off a price.
    pub const fn reduces(self) -> bool {
        matches!(self, Self::Discount | Self::AmountOff)
    }

    /// The largest value that makes sense for it: what the wire has room for.
    pub const fn largest_value(self) -> u32 {
        match self {
            Self::Discount | Self::AmountOff | Self::FeeWaiver => u32::MAX,
            Self::Priority => 2,
            Self::Faster => 255,
        }
    }
}

impl FromStr for BenefitKind {
    type Err = BadWord;

    fn from_str(word: &str) -> Result<Self, BadWord> {
        [Self::Discount, Self::AmountOff, Self::Priority, Self::FeeWaiver, Self::Faster]
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or(BadWord { allowed: "discount, amount_off, priority, fee_waiver, faster" })
    }
}

/// Who pays for a benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bearer {
    /// The merchant that gives it.
    Merchant,
    /// The city's integrity office.
    Office,
    /// The bank.
    Bank,
}

impl Bearer {
    /// The word that `benefits.csv` uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Office => "office",
            Self::Bank => "bank",
        }
    }
}

impl FromStr for Bearer {
    type Err = BadWord;

    fn from_str(word: &str) -> Result<Self, BadWord> {
        [Self::Merchant, Self::Office, Self::Bank]
            .into_iter()
            .find(|bearer| bearer.word() == word)
            .ok_or(BadWord { allowed: "merchant, office, bank" })
    }
}

/// What a swipe is for: a hall's matter or a class of goods. DF01, up to 16 letters
/// and digits; never empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceCode {
    bytes: [u8; 16],
    length: u8,
}

/// A service code that can't go over the wire.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a service code has 1 to 16 letters or digits")]
pub struct BadServiceCode;

impl ServiceCode {
    /// From what DF01 or a file carries.
    pub fn new(code: &[u8]) -> Result<Self, BadServiceCode> {
        let fits = (1..=16).contains(&code.len()) && code.iter().all(u8::is_ascii_alphanumeric);
        if !fits {
            return Err(BadServiceCode);
        }
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes, length: code.len() as u8 })
    }
}

impl fmt::Display for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.bytes.iter().take(usize::from(self.length));
        code.copied().try_for_each(|byte| write!(f, "{}", char::from(byte)))
    }
}

impl fmt::Debug for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceCode({self})")
    }
}

/// The categories of holder a benefit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Audience(u8);

impl Audience {
    /// Everybody.
    pub const ALL: Self = Self(0b1111);

    /// Whether holders of this category are meant.
    pub const fn includes(self, category: Category) -> bool {
        self.0 & 1 << category as u8 != 0
    }
}

impl FromStr for Audience {
    type Err = BadWord;

    /// Categories joined with `+`; empty means all.
    fn from_str(text: &str) -> Result<Self, BadWord> {
        if text.is_empty() {
            return Ok(Self::ALL);
        }
        text.split('+').try_fold(Self(0), |audience, word| {
            let category: Category = word.parse()?;
            Ok(Self(audience.0 | 1 << category as u8))
        })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meant = Category::ALL.iter().filter(|category| self.includes(**category));
        let mut joint = "";
        for category in meant.filter(|_| *self != Self::ALL) {
            write!(f, "{joint}{category}")?;
            joint = "+";
        }
        Ok(())
    }
}

/// How often and how much: nothing where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Uses by one holder in one day.
    pub per_day: Option<u32>,
    /// Uses by one holder in one month.
    pub per_month: Option<u32>,
    /// Uses by one holder ever.
    pub per_holder: Option<u32>,
    /// What all uses together may take off.
    pub budget: Option<Fen>,
}

impl Limits {
    /// Whether anything is limited.
    pub const fn any(&self) -> bool {
        self.per_day.is_some() || self.per_month.is_some() || self.per_holder.is_some() || self.budget.is_some()
    }
}

/// One benefit of `benefits.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benefit {
    /// Which.
    pub id: BenefitId,
    /// Who gives it.
    pub provider: MerchantId,
    /// What people call it.
    pub title: String,
    /// What it gives.
    pub kind: BenefitKind,
    /// Only for this service, where there is one.
    pub service: Option<ServiceCode>,
    /// Only for these holders.
    pub audience: Audience,
    /// What stars 1 to 5 get, in the kind's unit; 0 gets nothing.
    pub values: [u32; 5],
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_to: Date,
    /// First and last weekday, 1 for Monday; nothing means every day.
    pub weekdays: Option<(u8, u8)>,
    /// From this minute of the day until before that one; nothing means the whole day.
    pub hours: Option<(u16, u16)>,
    /// The least amount before any discount.
    pub min_amount: Option<Fen>,
    /// The most it takes off.
    pub max_off: Option<Fen>,
    /// How often and how much.
    pub limits: Limits,
    /// Of a group only one applies.
    pub group: Option<String>,
    /// Whether it comes on top of others.
    pub stacks: bool,
    /// The document that allows it.
    pub legal_basis: String,
    /// Who pays.
    pub bearer: Bearer,
}

impl Benefit {
    /// What a star gets.
    pub fn value(&self, star: Star) -> u32 {
        let place = usize::from(star.level()).checked_sub(1);
        place.and_then(|place| self.values.get(place)).copied().unwrap_or(0)
    }
}

/// A benefit as a decision reads it: what it is worth to one star, its conditions as
/// plain numbers, no text.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: BenefitId,
    pub(crate) kind: BenefitKind,
    /// What the plan's star gets.
    pub(crate) value: u32,
    pub(crate) service: Option<ServiceCode>,
    pub(crate) days: RangeInclusive<Date>,
    pub(crate) weekdays: (u8, u8),
    pub(crate) minutes: (u16, u16),
    pub(crate) min_amount: Fen,
    pub(crate) max_off: Fen,
    pub(crate) limits: Limits,
    /// The provider's groups, numbered from 1; 0 stands alone.
    pub(crate) group: u32,
}

/// The rules that could apply to one star and category at one provider, each list by
/// ascending benefit id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Discounts and amounts off that don't stack.
    pub(crate) alone: Vec<Rule>,
    /// Discounts and amounts off that do.
    pub(crate) stacking: Vec<Rule>,
    pub(crate) priority: Vec<Rule>,
    pub(crate) faster: Vec<Rule>,
    pub(crate) waivers: Vec<Rule>,
    /// Those of all the above whose uses or budget are limited.
    pub(crate) limited: Vec<BenefitId>,
}

/// Everything one provider gives.
#[derive(Debug, Clone, Default)]
struct Provider {
    benefits: Vec<Benefit>,
    /// By star, 1 first, then by category.
    plans: [[Plan; 4]; 5],
}

/// A set of benefits in force from a moment on.
#[derive(Debug, Clone)]
pub struct RuleBook {
    version: RuleBookVersion,
    providers: BTreeMap<MerchantId, Box<Provider>>,
}

impl RuleBook {
    /// Compiles benefits, in any order.
    pub fn new(version: RuleBookVersion, benefits: impl IntoIterator<Item = Benefit>) -> Self {
        let mut providers = BTreeMap::<MerchantId, Box<Provider>>::new();
        for benefit in benefits {
            providers.entry(benefit.provider).or_default().benefits.push(benefit);
        }
        providers.values_mut().for_each(|provider| provider.compile());
        Self { version, providers }
    }

    /// Its version.
    pub const fn version(&self) -> RuleBookVersion {
        self.version
    }

    /// What a provider gives, by ascending id.
    pub fn benefits_of(&self, provider: MerchantId) -> &[Benefit] {
        self.providers.get(&provider).map_or(&[], |provider| &provider.benefits)
    }

    /// A provider's benefit.
    pub fn benefit(&self, provider: MerchantId, id: BenefitId) -> Option<&Benefit> {
        let benefits = self.benefits_of(provider);
        benefits.get(benefits.binary_search_by_key(&id, |benefit| benefit.id).ok()?)
    }

    /// The limited benefits at a provider that could apply to such a holder: those
    /// whose counts a decision needs to know.
    pub fn limited(&self, provider: MerchantId, star: Star, category: Category) -> &[BenefitId] {
        self.plan(provider, star, category).map_or(&[], |plan| &plan.limited)
    }

    pub(crate) fn plan(&self, provider: MerchantId, star: Star, category: Category) -> Option<&Plan> {
        let star = usize::from(star.level()).checked_sub(1)?;
        self.providers.get(&provider)?.plans.get(star)?.get(category as usize)
    }
}

impl Provider {
    fn compile(&mut self) {
        self.benefits.sort_by_key(|benefit| benefit.id);
        let groups = Groups::of(&self.benefits);
        for (plans, level) in self.plans.iter_mut().zip(1..) {
            let star = Star::new(level).unwrap_or_default();
            for (plan, category) in plans.iter_mut().zip(Category::ALL) {
                for benefit in self.benefits.iter().filter(|benefit| benefit.audience.includes(*category)) {
                    plan.add(benefit, star, &groups);
                }
            }
        }
    }
}

impl Plan {
    fn add(&mut self, benefit: &Benefit, star: Star, groups: &Groups<'_>) {
        if benefit.value(star) == 0 {
            return;
        }
        if benefit.limits.any() {
            self.limited.push(benefit.id);
        }
        let list = match benefit.kind {
            BenefitKind::Discount | BenefitKind::AmountOff if benefit.stacks => &mut self.stacking,
            BenefitKind::Discount | BenefitKind::AmountOff => &mut self.alone,
            BenefitKind::Priority => &mut self.priority,
            BenefitKind::FeeWaiver => &mut self.waivers,
            BenefitKind::Faster => &mut self.faster,
        };
        list.push(Rule::new(benefit, star, groups));
    }
}

impl Rule {
    fn new(benefit: &Benefit, star: Star, groups: &Groups<'_>) -> Self {
        Self {
            id: benefit.id,
            kind: benefit.kind,
            value: benefit.value(star),
            service: benefit.service,
            days: benefit.valid_from..=benefit.valid_to,
            weekdays: benefit.weekdays.unwrap_or((1, 7)),
            minutes: benefit.hours.unwrap_or((0, u16::MAX)),
            min_amount: benefit.min_amount.unwrap_or(Fen::ZERO),
            max_off: benefit.max_off.unwrap_or(Fen(u64::MAX)),
            limits: benefit.limits,
            group: groups.number(benefit.group.as_deref()),
        }
    }
}

/// A provider's group names, numbered, so that a decision compares numbers.
struct Groups<'b>(BTreeMap<&'b str, u32>);

impl<'b> Groups<'b> {
    fn of(benefits: &'b [Benefit]) -> Self {
        let mut names: Vec<&str> = benefits.iter().filter_map(|benefit| benefit.group.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into_iter().zip(1..).collect())
    }

    fn number(&self, name: Option<&str>) -> u32 {
        name.and_then(|name| self.0.get(name)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn audiences_are_read_as_they_are_written() {
        for text in ["", "farmer", "farmer+resident", "staff+enterprise"] {
            assert_eq!(text.parse::<Audience>().unwrap().to_string(), text);
        }
        assert!("farmer+".parse::<Audience>().is_err());
    }

    #[test]
    fn service_codes_fit_the_wire() {
        assert_eq!(ServiceCode::new(b"S01").unwrap().to_string(), "S01");
        for bad in [&b""[..], b"12345678901234567", b"S 1", "服务".as_bytes()] {
            assert_eq!(ServiceCode::new(bad), Err(BadServiceCode));
        }
    }
}
