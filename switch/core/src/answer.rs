//! Answers: the only map from what was decided to response codes and integrity data.
//!
//! Composed here, given in [`crate::respond`]: an answer is part of its record, so it is there
//! before anybody may be told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use xingka_wire::answer::{AnswerParts, write_answer};
use xingka_wire::code::ResponseCode;
use xingka_wire::dialect::TextEncoding;
use xingka_wire::encode::EncodeFault;
use xingka_wire::fields::Fields;
use xingka_wire::integrity::{Ids, IntegrityAnswer, MAX_TEXT_BYTES};
use xingka_wire::messages::Totals;
use xingka_wire::mti::Mti;
use xingka_wire::text::encode_text;

use crate::capsule::{BatchTotals, Capsule};
use crate::facts::AskKind;
use crate::ids::Place;
use crate::time::Moment;
use crate::verdict::{Outcome, Refusal, Verdict};

/// The longest answer without frame and MAC, in bytes; answers are far shorter.
const MAX_ANSWER_BYTES: usize = 2_048;

/// The response code of an outcome.
pub const fn code_of(outcome: Outcome) -> ResponseCode {
    match outcome {
        Outcome::Approved => ResponseCode::APPROVED,
        Outcome::ApprovedVip => ResponseCode::APPROVED_VIP,
        Outcome::Refused(refusal) => refusal_code(refusal),
    }
}

/// The response code of a refusal.
pub const fn refusal_code(refusal: Refusal) -> ResponseCode {
    match refusal {
        Refusal::Format => ResponseCode::FORMAT_ERROR,
        Refusal::UnknownMessage | Refusal::NotServed => ResponseCode::UNKNOWN_MESSAGE,
        Refusal::UnknownTerminal => ResponseCode::UNKNOWN_TERMINAL,
        Refusal::WrongMerchant | Refusal::NotPermitted => ResponseCode::NOT_PERMITTED,
        Refusal::NotSignedIn | Refusal::BatchOutOfStep => ResponseCode::OUT_OF_STEP,
        Refusal::WrongMac => ResponseCode::WRONG_MAC,
        Refusal::KeyReused => ResponseCode::DUPLICATE,
        Refusal::DeadlinePassed => ResponseCode::TOO_LATE,
        Refusal::Currency | Refusal::ChosenBenefit => ResponseCode::INVALID_TRANSACTION,
        Refusal::Amount | Refusal::NotTheOriginalAmount => ResponseCode::INVALID_AMOUNT,
        Refusal::ReversedBefore | Refusal::NoOriginal => ResponseCode::NO_ORIGINAL,
        Refusal::Luhn | Refusal::UnknownCard => ResponseCode::UNKNOWN_CARD,
        Refusal::Lost => ResponseCode::LOST,
        Refusal::Stolen => ResponseCode::STOLEN,
        Refusal::Frozen => ResponseCode::FROZEN,
        Refusal::Expired => ResponseCode::EXPIRED,
        Refusal::Malfunction => ResponseCode::MALFUNCTION,
        Refusal::Overloaded | Refusal::RegisterAway => ResponseCode::AWAY,
    }
}

/// What tells one answer from another: when it was made, and its number.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Fields 12 and 13.
    pub at: Moment,
    /// Field 37 and, where approved, 38.
    pub number: Number,
    /// DF1D.
    pub source: Source,
}

/// What an answer was decided with: DF1D.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Everything that is known.
    #[default]
    Live,
    /// What this node knows: others couldn't be asked, and no limited benefit applied.
    StandIn,
}

/// Where an answer's number comes from.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Its record's place.
    Recorded(Place),
    /// A count of the answers that have no record.
    Unrecorded(u64),
}

impl Stamp {
    /// Field 37: twelve digits, or `R` and eleven where there is no record to refer to.
    fn reference(&self) -> [u8; 12] {
        let (number, first) = match self.number {
            Number::Recorded(place) => (place.reference(), None),
            Number::Unrecorded(number) => (number, Some(b'R')),
        };
        let mut digits = digits::<12>(number);
        if let (Some(to), Some(letter)) = (digits.first_mut(), first) {
            *to = letter;
        }
        digits
    }

    fn auth_code(&self) -> [u8; 6] {
        match self.number {
            Number::Recorded(place) => digits::<6>(place.reference()),
            Number::Unrecorded(number) => digits::<6>(number),
        }
    }

    /// An answer's parts, with what every answer has.
    fn parts<'p>(&self, code: ResponseCode) -> AnswerParts<'p> {
        AnswerParts {
            code,
            local_time: self.at.hhmmss(),
            local_date: self.at.mmdd(),
            reference: self.reference(),
            auth_code: code.approves().then(|| self.auth_code()),
            amount_fen: None,
            batch: None,
            totals: None,
            integrity: None,
            keys: None,
        }
    }
}

fn digits<const N: usize>(number: u64) -> [u8; N] {
    core::array::from_fn(|at| {
        let place = u32::try_from(N - 1 - at).unwrap_or(0);
        b'0' + (number / 10_u64.saturating_pow(place) % 10) as u8
    })
}

/// The request as far as an answer needs it.
#[derive(Clone, Copy)]
pub struct RequestView<'m, 'a> {
    /// Its message type.
    pub mti: Mti,
    /// Its fields, as far as they could be read.
    pub fields: &'m Fields<'a>,
}

impl RequestView<'_, '_> {
    fn write(&self, sealed: bool, parts: &AnswerParts<'_>) -> Result<Vec<u8>, EncodeFault> {
        let mut buffer = [0; MAX_ANSWER_BYTES];
        write_answer(self.mti, self.fields, sealed, parts, &mut buffer).map(<[u8]>::to_vec)
    }
}

/// A refusal from before anything was decided.
pub(crate) fn compose_refusal(
    asked: RequestView<'_, '_>,
    sealed: bool,
    stamp: Stamp,
    refusal: Refusal,
) -> Result<Vec<u8>, EncodeFault> {
    asked.write(sealed, &stamp.parts(refusal_code(refusal)))
}

/// An answer that approves without deciding anything: reversals, sign-offs.
pub(crate) fn compose_plain(asked: RequestView<'_, '_>, sealed: bool, stamp: Stamp) -> Result<Vec<u8>, EncodeFault> {
    asked.write(sealed, &stamp.parts(ResponseCode::APPROVED))
}

/// An echo's answer, with parameters in field 62 where there are any.
pub(crate) fn compose_echo(
    asked: RequestView<'_, '_>,
    stamp: Stamp,
    parameters: Option<&[u8]>,
) -> Result<Vec<u8>, EncodeFault> {
    let plain = stamp.parts(ResponseCode::APPROVED);
    asked.write(false, &AnswerParts { keys: parameters, ..plain })
}

/// An answer of which its code says everything: voids, refunds, uploaded transactions.
pub(crate) fn compose_code(asked: RequestView<'_, '_>, stamp: Stamp, outcome: Outcome) -> Result<Vec<u8>, EncodeFault> {
    asked.write(true, &stamp.parts(code_of(outcome)))
}

/// A batch's totals with the flags of both halves, of domestic cards and of foreign ones, of which
/// there are none; just the code where it is refused.
pub(crate) fn compose_totals(
    asked: RequestView<'_, '_>,
    stamp: Stamp,
    outcome: Outcome,
    (totals, (domestic, foreign)): (&BatchTotals, (u8, u8)),
) -> Result<Vec<u8>, EncodeFault> {
    let plain = stamp.parts(code_of(outcome));
    let none = BatchTotals::default().on_wire(foreign);
    let totals = Totals::ascii(&totals.on_wire(domestic), &none).ok_or(EncodeFault::Content(48))?;
    let totals = (outcome == Outcome::Approved).then_some(&totals[..]);
    asked.write(true, &AnswerParts { totals, ..plain })
}

/// A sign-in's answer: the open batch, and the session keys under the TMK.
pub(crate) fn compose_sign_in(
    asked: RequestView<'_, '_>,
    stamp: Stamp,
    batch: u32,
    keys: &[u8],
) -> Result<Vec<u8>, EncodeFault> {
    let plain = stamp.parts(ResponseCode::APPROVED);
    asked.write(false, &AnswerParts { batch: Some(batch), keys: Some(keys), ..plain })
}

/// A decision's answer, its text as the terminal's profile encodes texts.
pub(crate) fn compose_swipe(
    asked: RequestView<'_, '_>,
    encoding: TextEncoding,
    stamp: Stamp,
    capsule: &Capsule,
    verdict: &Verdict,
) -> Result<Vec<u8>, EncodeFault> {
    let mut buffer = [0; MAX_TEXT_BYTES];
    let text = text(capsule, verdict);
    let text = encode_text(&text, encoding, &mut buffer);
    let price = verdict.entitlement.price.as_ref();
    let applied = price.iter().flat_map(|price| &price.applied).map(|applied| applied.benefit.0);
    let benefits: Vec<u32> = applied.take(MAX_IDS_TOLD).collect();
    let room = MAX_IDS_TOLD - benefits.len();
    let waivers: Vec<u32> = verdict.entitlement.waivers.iter().map(|benefit| benefit.0).take(room).collect();
    let mut integrity = IntegrityAnswer {
        rule_book: Some(capsule.rules.0),
        text: Some(text),
        decision_id: Some(capsule.id.0),
        source: Some(match stamp.source {
            Source::Live => 0,
            Source::StandIn => 1,
        }),
        ..IntegrityAnswer::default()
    };
    if verdict.approved() {
        disclose(capsule, verdict, &mut integrity);
        integrity.waivers = Ids::List(&waivers);
        if integrity.original_fen.is_some() {
            integrity.benefits = Ids::List(&benefits);
        }
    }
    let charged = price.filter(|_| verdict.approved() && capsule.ask.kind == AskKind::Purchase);
    let plain = stamp.parts(code_of(verdict.outcome));
    let amount_fen = charged.map(|price| price.payable().0);
    asked.write(true, &AnswerParts { amount_fen, integrity: Some(&integrity), ..plain })
}

/// Benefits and waivers that an answer names at the most: field 57 has 512 bytes, of which
/// everything else takes up to 157 and an id 7. More may apply; all of them are recorded.
const MAX_IDS_TOLD: usize = 50;

/// What an approved answer tells: no more than the terminal's scope allows.
fn disclose(capsule: &Capsule, verdict: &Verdict, answer: &mut IntegrityAnswer<'_>) {
    let (scope, entitlement) = (capsule.facts.scope, &verdict.entitlement);
    answer.star = scope.star.then(|| entitlement.star.level());
    answer.priority = scope.priority.then(|| entitlement.priority_level());
    answer.days = (capsule.ask.kind == AskKind::CounterService).then(|| entitlement.days());
    if !scope.discount {
        return;
    }
    let rate = entitlement.highest_discount;
    if let Some(price) = &entitlement.price {
        answer.original_fen = Some(price.original.0);
        answer.payable_fen = Some(price.payable().0);
        answer.off_fen = Some(price.off().0);
    }
    let rate = entitlement.price.as_ref().map(|price| price.off().rate_of(price.original)).or(rate);
    answer.discount_bp = rate.and_then(|rate| u16::try_from(rate.0).ok());
}

/// What an answer disclosed, for whoever asks what was told about a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    /// The response code.
    pub code: ResponseCode,
    /// DF11, where the terminal's scope let it be told.
    pub star: Option<u8>,
    /// DF13.
    pub discount_bp: Option<u16>,
    /// DF17.
    pub priority: Option<u8>,
    /// DF1C.
    pub days: Option<u8>,
    /// DF1A.
    pub text: String,
}

/// What a swipe's answer disclosed.
pub fn disclosed(capsule: &Capsule, verdict: &Verdict) -> Disclosed {
    let mut integrity = IntegrityAnswer::default();
    if verdict.approved() {
        disclose(capsule, verdict, &mut integrity);
    }
    let IntegrityAnswer { star, discount_bp, priority, days, .. } = integrity;
    Disclosed { code: code_of(verdict.outcome), star, discount_bp, priority, days, text: text(capsule, verdict) }
}

/// DF1A: at most 80 bytes, and nothing that the other tags don't tell.
fn text(capsule: &Capsule, verdict: &Verdict) -> String {
    if let Outcome::Refused(refusal) = verdict.outcome {
        return refusal_text(refusal).into();
    }
    let (scope, entitlement) = (capsule.facts.scope, &verdict.entitlement);
    let discount = entitlement.price.as_ref().filter(|_| scope.discount);
    let priority =
        if scope.priority || verdict.outcome == Outcome::ApprovedVip { entitlement.priority_level() } else { 0 };
    let rate = entitlement.highest_discount.map_or(0, |rate| rate.0);
    match (capsule.ask.kind, discount) {
        (AskKind::CounterService, _) => counter_text(priority, entitlement.days(), entitlement.waivers.len()),
        (_, Some(price)) if !price.applied.is_empty() => {
            format!("诚信优惠 {}，应付 {}", price.off(), price.payable())
        }
        (_, Some(price)) => format!("应付 {}", price.payable()),
        (AskKind::StarInquiry, None) if rate > 0 && scope.discount => {
            format!("可享优惠 {}.{:02}%", rate / 100, rate % 100)
        }
        (AskKind::StarInquiry, None) => ["诚信卡有效", "优先服务", "贵宾服务"][usize::from(priority.min(2))].into(),
        (AskKind::Purchase, None) => "交易成功".into(),
    }
}

fn counter_text(priority: u8, days: u8, waivers: usize) -> String {
    let mut text = String::from(["普通服务", "优先服务", "贵宾服务，请即办理"][usize::from(priority.min(2))]);
    if days > 0 {
        text += &format!("，缩短{days}日");
    }
    if waivers > 0 {
        text += "，免收费用";
    }
    text
}

const fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Currency => "仅受理人民币",
        Refusal::Amount => "金额无效",
        Refusal::ReversedBefore => "交易已冲正",
        Refusal::Luhn | Refusal::UnknownCard => "卡号无效",
        Refusal::Lost | Refusal::Stolen | Refusal::Frozen => "此卡不能使用，请联系发卡行",
        Refusal::Expired => "卡已过期",
        Refusal::ChosenBenefit => "所选优惠不适用",
        _ => "交易未受理",
    }
}
