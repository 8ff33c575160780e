//! Why an answer was given: one sentence a holder understands, in Chinese and English.
//!
//! Says which benefits applied, and which didn't and why. It asks `Desk::hindrance`,
//! the very function that decided.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::capsule::Capsule;
use crate::city::{Holder, MerchantKind};
use crate::decide::{Desk, Hindrance};
use crate::facts::AskKind;
use crate::ids::BenefitId;
use crate::money::Fen;
use crate::rules::{Benefit, BenefitKind, Plan, Rule, RuleBook};
use crate::verdict::{Outcome, Price, Refusal, Verdict};

/// Titles named for each reason; the rest are counted.
const TITLES_NAMED: usize = 5;

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Explanation {
    fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    fn then(self, next: &Self) -> Self {
        Self { zh: self.zh + &next.zh, en: self.en + &next.en }
    }
}

/// Explains a recorded decision under the rule book it was made with.
pub fn explain(capsule: &Capsule, verdict: &Verdict, rules: &RuleBook) -> Explanation {
    let opening = opening(capsule);
    match (verdict.outcome, capsule.facts.holder) {
        (Outcome::Refused(refusal), _) => opening.then(&refused(refusal)),
        (_, Some(holder)) => opening.then(&granted(capsule, verdict, rules, &holder)),
        // No approval is ever decided without a holder; a record that says so still reads.
        (_, None) => opening.then(&Explanation::new("已办理。", "it was approved.")),
    }
}

fn opening(capsule: &Capsule) -> Explanation {
    let Capsule { at, ask, facts, rules, .. } = capsule;
    let (zh, en) = match (ask.kind, ask.amount) {
        (AskKind::Purchase, Some(amount)) => (format!("消费 {amount} 元"), format!("a purchase of {amount} yuan")),
        (AskKind::Purchase, None) => ("消费".into(), "a purchase without an amount".into()),
        (AskKind::StarInquiry, Some(amount)) => {
            (format!("查询消费 {amount} 元的优惠"), format!("an inquiry about {amount} yuan"))
        }
        (AskKind::StarInquiry, None) => ("查询优惠".into(), "an inquiry".to_string()),
        (AskKind::CounterService, _) => ("办理业务".into(), "a counter service".into()),
    };
    let (place, place_en) = match facts.merchant.kind {
        MerchantKind::Merchant => ("商户", "shop"),
        MerchantKind::Hall => ("办事大厅", "hall"),
        MerchantKind::Bank => ("银行网点", "bank branch"),
    };
    let id = facts.merchant.id;
    Explanation::new(
        format!("{at} 在{place} {id} {zh}，按规则第 {rules} 版："),
        format!("On {at} at {place_en} {id}, {en}, under rule book {rules}: "),
    )
}

fn refused(refusal: Refusal) -> Explanation {
    let zh = match refusal {
        Refusal::Currency => "只受理人民币",
        Refusal::Amount => "金额缺失或为零",
        Refusal::ReversedBefore => "该笔交易此前已被冲正",
        Refusal::Luhn => "卡号校验位不符",
        Refusal::UnknownCard => "没有发行过这张卡",
        Refusal::Lost => "卡已挂失",
        Refusal::Stolen => "卡已报失窃",
        Refusal::Frozen => "卡已冻结",
        Refusal::Expired => "卡已过有效期",
        Refusal::ChosenBenefit => "所选优惠此时不适用",
        _ => "请求未被受理",
    };
    Explanation::new(format!("{zh}，未予办理。"), format!("not approved, because {refusal}."))
}

fn granted(capsule: &Capsule, verdict: &Verdict, rules: &RuleBook, holder: &Holder) -> Explanation {
    let star = verdict.entitlement.star.level();
    let told = Explanation::new(format!("按 {star} 星，"), format!("with {star} stars, "));
    let benefits = rules.benefits_of(capsule.facts.merchant.id);
    let story = Story { desk: Desk::new(&capsule.ask, &capsule.facts, capsule.at), verdict, holder, rules };
    told.then(&story.applied(benefits)).then(&story.not_applied(benefits))
}

/// Why a benefit was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    PlaceGivesNone,
    NotShownHere,
    Category,
    Star,
    Service,
    Dates,
    Weekday,
    Hours,
    MinAmount,
    SpentToday,
    SpentThisMonth,
    SpentForGood,
    Budget,
    UsesUnknown,
    NotChosen,
    Group,
    Smaller,
    NothingOff,
}

impl Reason {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::PlaceGivesNone => ("该商户现不在诚信商圈内", "the shop is not in the business circle now"),
            Self::NotShownHere => ("该终端不办理优惠", "this terminal gives no discounts"),
            Self::Category => ("不适用于您的类别", "not for this kind of holder"),
            Self::Star => ("您的星级未达到", "the star is too low"),
            Self::Service => ("用于其他事项", "for another service"),
            Self::Dates => ("不在有效期内", "not valid on that date"),
            Self::Weekday => ("不在适用的星期", "not on that weekday"),
            Self::Hours => ("不在适用的时段", "not at that hour"),
            Self::MinAmount => ("未达到最低金额", "the amount is below its minimum"),
            Self::SpentToday => ("今日次数已用完", "today's uses are spent"),
            Self::SpentThisMonth => ("本月次数已用完", "this month's uses are spent"),
            Self::SpentForGood => ("次数已用完", "its uses are spent"),
            Self::UsesUnknown => ("暂时无法核对已用次数和余额", "how much of it is used up could not be asked for"),
            Self::Budget => ("预算余额不足", "its budget has too little left"),
            Self::NotChosen => ("您选用了另一项", "another one was chosen"),
            Self::Group => ("同组已有一项适用", "one of its group applied"),
            Self::Smaller => ("另一项更优惠", "another one gave more"),
            Self::NothingOff => ("没有可减的金额", "it had nothing to take off"),
        }
    }
}

impl From<Hindrance> for Reason {
    fn from(hindrance: Hindrance) -> Self {
        match hindrance {
            Hindrance::Service => Self::Service,
            Hindrance::Dates => Self::Dates,
            Hindrance::Weekday => Self::Weekday,
            Hindrance::Hours => Self::Hours,
            Hindrance::MinAmount => Self::MinAmount,
            Hindrance::SpentToday => Self::SpentToday,
            Hindrance::SpentThisMonth => Self::SpentThisMonth,
            Hindrance::SpentForGood => Self::SpentForGood,
            Hindrance::Budget => Self::Budget,
            Hindrance::UsesUnknown => Self::UsesUnknown,
        }
    }
}

struct Story<'a> {
    desk: Desk<'a>,
    verdict: &'a Verdict,
    holder: &'a Holder,
    rules: &'a RuleBook,
}

impl Story<'_> {
    fn applied(&self, benefits: &[Benefit]) -> Explanation {
        let entitlement = &self.verdict.entitlement;
        let mut zh = Vec::new();
        let mut en = Vec::new();
        for benefit in benefits {
            if let Some((zh_part, en_part)) = self.gave(benefit) {
                zh.push(zh_part);
                en.push(en_part);
            }
        }
        if zh.is_empty() {
            zh.push("没有适用的优惠".into());
            en.push("nothing applied".into());
        }
        if let Some(price) = &entitlement.price {
            zh.push(format!("应付 {} 元", price.payable()));
            en.push(format!("{} yuan to pay", price.payable()));
        }
        Explanation::new(zh.join("，"), en.join(", "))
    }

    fn gave(&self, benefit: &Benefit) -> Option<(String, String)> {
        let entitlement = &self.verdict.entitlement;
        let title = &benefit.title;
        let is = |id: BenefitId| id == benefit.id;
        if let Some(applied) = self.price().applied.iter().find(|applied| is(applied.benefit)) {
            let off = applied.off;
            return Some((format!("“{title}”减 {off} 元"), format!("“{title}” took {off} yuan off")));
        }
        if let Some(best) = entitlement.priority.filter(|best| is(best.benefit)) {
            let (zh, en) =
                if best.value > 1 { ("贵宾服务", "VIP service") } else { ("优先服务", "priority service") };
            return Some((format!("“{title}”给予{zh}"), format!("“{title}” gave {en}")));
        }
        if let Some(best) = entitlement.faster.filter(|best| is(best.benefit)) {
            let days = best.value;
            return Some((format!("“{title}”缩短 {days} 个工作日"), format!("“{title}” saved {days} working days")));
        }
        let waived = entitlement.waivers.contains(&benefit.id);
        waived.then(|| (format!("“{title}”免收费用"), format!("“{title}” waived a fee")))
    }

    fn not_applied(&self, benefits: &[Benefit]) -> Explanation {
        let mut left_out = BTreeMap::<Reason, Vec<&str>>::new();
        for benefit in benefits.iter().filter(|benefit| self.concerns(benefit)) {
            if let Some(reason) = self.reason(benefit) {
                left_out.entry(reason).or_default().push(&benefit.title);
            }
        }
        if left_out.is_empty() {
            return Explanation::new("。", ".");
        }
        let zh: Vec<String> = left_out.iter().map(|(reason, titles)| left_out_zh(*reason, titles)).collect();
        let en: Vec<String> = left_out.iter().map(|(reason, titles)| left_out_en(*reason, titles)).collect();
        Explanation::new(format!("；未用：{}。", zh.join("，")), format!("; not applied: {}.", en.join(", ")))
    }

    /// Whether a benefit is of a kind that the request could have got.
    fn concerns(&self, benefit: &Benefit) -> bool {
        match benefit.kind {
            BenefitKind::Discount => self.desk.ask.kind != AskKind::CounterService,
            BenefitKind::AmountOff => self.verdict.entitlement.price.is_some(),
            BenefitKind::Priority => true,
            BenefitKind::FeeWaiver | BenefitKind::Faster => self.desk.ask.kind == AskKind::CounterService,
        }
    }

    fn reason(&self, benefit: &Benefit) -> Option<Reason> {
        if self.gave(benefit).is_some() {
            return None;
        }
        if benefit.kind.reduces() && !self.desk.facts.merchant.gives_discounts() {
            return Some(Reason::PlaceGivesNone);
        }
        if benefit.kind.reduces() && !self.desk.reduces() {
            return Some(Reason::NotShownHere);
        }
        if !benefit.audience.includes(self.holder.category) {
            return Some(Reason::Category);
        }
        let Some(rule) = self.rule(benefit.id) else {
            return Some(Reason::Star);
        };
        let reduction = self.reduction(rule);
        let hindrance = self.desk.hindrance(rule, reduction);
        hindrance.map(Reason::from).or_else(|| self.outdone(benefit, rule, reduction))
    }

    /// Nothing hindered it, but something else came before it.
    fn outdone(&self, benefit: &Benefit, rule: &Rule, reduction: Option<(Fen, Fen)>) -> Option<Reason> {
        if benefit.kind == BenefitKind::FeeWaiver {
            return Some(Reason::Group);
        }
        if !benefit.kind.reduces() {
            return Some(Reason::Smaller);
        }
        if !self.desk.chosen(rule) {
            return Some(Reason::NotChosen);
        }
        match reduction {
            // An inquiry without an amount is told a rate; nothing was left out of it.
            None => None,
            Some((_, Fen::ZERO)) => Some(Reason::NothingOff),
            Some(_) if benefit.stacks => Some(Reason::Group),
            Some(_) => Some(Reason::Smaller),
        }
    }

    fn price(&self) -> &Price {
        const NONE: &Price = &Price { original: Fen::ZERO, applied: Vec::new() };
        self.verdict.entitlement.price.as_ref().unwrap_or(NONE)
    }

    /// The amount before any discount and what the rule would have taken off when its
    /// turn came.
    fn reduction(&self, rule: &Rule) -> Option<(Fen, Fen)> {
        let price = self.verdict.entitlement.price.as_ref().filter(|_| rule.kind.reduces())?;
        let plan = self.plan()?;
        let stacks = |id| plan.stacking.iter().any(|rule| rule.id == id);
        let before = price
            .applied
            .iter()
            .filter(|applied| stacks(rule.id) && (!stacks(applied.benefit) || applied.benefit < rule.id));
        let remaining = before.fold(price.original, |rest, applied| rest.less(applied.off));
        Some((price.original, rule.reduction(remaining)))
    }

    fn plan(&self) -> Option<&Plan> {
        self.rules.plan(self.desk.facts.merchant.id, self.holder.star(), self.holder.category)
    }

    fn rule(&self, benefit: BenefitId) -> Option<&Rule> {
        let plan = self.plan()?;
        let lists = [&plan.alone, &plan.stacking, &plan.priority, &plan.faster, &plan.waivers];
        lists.into_iter().flatten().find(|rule| rule.id == benefit)
    }
}

fn left_out_zh(reason: Reason, titles: &[&str]) -> String {
    let named: Vec<String> = titles.iter().take(TITLES_NAMED).map(|title| format!("“{title}”")).collect();
    let more = if titles.len() > TITLES_NAMED { format!("等 {} 项", titles.len()) } else { String::new() };
    format!("{}{more}（{}）", named.join("、"), reason.words().0)
}

fn left_out_en(reason: Reason, titles: &[&str]) -> String {
    let named: Vec<String> = titles.iter().take(TITLES_NAMED).map(|title| format!("“{title}”")).collect();
    let rest = titles.len().saturating_sub(TITLES_NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more} ({})", named.join(", "), reason.words().1)
}
