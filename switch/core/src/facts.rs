//! What a decision is asked, and what it knows when it answers.
//!
//! Both go into the record by value, so that the same answer can be reached again
//! whatever an import changes afterwards.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xingka_wire::integrity::IntegrityAnswer;
use xingka_wire::messages::{Presented, Request};
use xingka_wire::pan::CardRef;

use crate::capsule::Given;
use crate::city::{Card, Holder, Merchant, Scope};
use crate::ids::{BenefitId, PanKey};
use crate::money::Fen;
use crate::pan::{CardHasher, bin, last4, luhn_ok};
use crate::rules::ServiceCode;
use crate::verdict::Verdict;

/// What the terminal wants to know or do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskKind {
    /// 0200, processing code 31: what would this holder get here?
    StarInquiry,
    /// 0200, processing code 00: what is there to pay?
    Purchase,
    /// 0100, processing code 31: who stands at the counter?
    CounterService,
}

impl AskKind {
    /// Its name, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::StarInquiry => "inquiry",
            Self::Purchase => "purchase",
            Self::CounterService => "counter service",
        }
    }
}

/// How the card was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskedCard {
    /// By its number.
    Number {
        /// The number's keyed hash.
        key: PanKey,
        /// Its first six digits.
        bin: u32,
        /// Its last four digits.
        last4: u16,
        /// Whether its check digit is right.
        luhn_ok: bool,
    },
    /// By a credential scanned as a code; its SHA-256.
    Credential([u8; 32]),
}

impl AskedCard {
    pub(crate) fn of(card: &CardRef<'_>, hasher: &CardHasher) -> Self {
        match card {
            CardRef::Pan(pan) => {
                let digits = pan.as_ascii();
                Self::Number {
                    key: hasher.key_of(digits),
                    bin: bin(digits),
                    last4: last4(digits),
                    luhn_ok: luhn_ok(digits),
                }
            }
            CardRef::Credential(credential) => Self::Credential(Sha256::digest(credential).into()),
        }
    }

    /// Tells one presented card from another.
    pub const fn digest(&self) -> [u8; 32] {
        match self {
            Self::Number { key, .. } => key.0,
            Self::Credential(digest) => *digest,
        }
    }
}

/// A request, reduced to what its answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What is wanted.
    pub kind: AskKind,
    /// How the card was presented.
    pub card: AskedCard,
    /// Field 4, where there is one.
    pub amount: Option<Fen>,
    /// Field 49.
    pub currency: [u8; 3],
    /// DF01.
    pub service: Option<ServiceCode>,
    /// DF03: decide, but use nothing up.
    pub preview: bool,
    /// DF04: the benefit the holder chose.
    pub chosen: Option<BenefitId>,
}

impl Ask {
    /// The question in a request; `None` for requests that ask for no decision.
    pub fn of(request: &Request<'_>, hasher: &CardHasher) -> Option<Self> {
        let (kind, presented) = match request {
            Request::StarInquiry(message) => (AskKind::StarInquiry, &message.presented),
            Request::Purchase(message) => (AskKind::Purchase, &message.presented),
            Request::CounterService(message) => (AskKind::CounterService, &message.presented),
            Request::OfflineUpload(message) => (AskKind::Purchase, &message.presented),
            _ => return None,
        };
        let Presented { amount_fen, currency, integrity, .. } = presented;
        // What a terminal has sold is no preview, whatever it says.
        let preview = integrity.preview && !matches!(request, Request::OfflineUpload(_));
        Some(Self {
            kind,
            card: AskedCard::of(&presented.card, hasher),
            amount: amount_fen.map(Fen),
            currency: *currency,
            service: integrity.service.and_then(|code| ServiceCode::new(code).ok()),
            preview,
            chosen: integrity.chosen_benefit.map(BenefitId),
        })
    }

    /// Whether what applies is also used up.
    pub fn uses_up(&self) -> bool {
        self.kind != AskKind::StarInquiry && !self.preview
    }
}

impl Given {
    /// What a terminal gave offline, by its own account.
    pub fn of(given: &IntegrityAnswer<'_>) -> Self {
        Self {
            original: given.original_fen.map(Fen),
            payable: given.payable_fen.map(Fen),
            off: given.off_fen.map(Fen),
            benefits: given.benefits.iter().map(BenefitId).collect(),
        }
    }

    /// Whether the switch would have given anything else. What the terminal doesn't say is no
    /// difference.
    pub fn differs(&self, verdict: &Verdict) -> bool {
        let Some(price) = verdict.entitlement.price.as_ref().filter(|_| verdict.approved()) else {
            return true;
        };
        let another = |said: Option<Fen>, judged: Fen| said.is_some_and(|said| said != judged);
        let benefits = price.applied.iter().map(|applied| applied.benefit);
        another(self.original, price.original)
            || another(self.payable, price.payable())
            || another(self.off, price.off())
            || (self.payable.is_some() && !benefits.eq(self.benefits.iter().copied()))
    }
}

/// How often one holder has used one benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Uses {
    /// Today.
    pub today: u32,
    /// This month.
    pub this_month: u32,
    /// Ever.
    pub ever: u32,
}

/// What is already used up, of the limited benefits that could apply; what isn't
/// listed has not been used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// This holder's uses, by ascending id.
    pub uses: Vec<(BenefitId, Uses)>,
    /// What budgets have spent on all holders, by ascending id.
    pub spent: Vec<(BenefitId, Fen)>,
}

/// Stands for a count that couldn't be asked for.
pub(crate) const UNKNOWN_USES: u32 = u32::MAX;

impl Counts {
    /// Where nobody can be asked: none of these benefits, by ascending id, applies.
    pub fn unknown(limited: &[BenefitId]) -> Self {
        let uses = Uses { today: UNKNOWN_USES, this_month: UNKNOWN_USES, ever: UNKNOWN_USES };
        Self { uses: limited.iter().map(|benefit| (*benefit, uses)).collect(), spent: Vec::new() }
    }

    /// This holder's uses of a benefit.
    pub fn uses_of(&self, benefit: BenefitId) -> Uses {
        find(&self.uses, benefit).unwrap_or_default()
    }

    /// What a benefit's budget has spent.
    pub fn spent_on(&self, benefit: BenefitId) -> Fen {
        find(&self.spent, benefit).unwrap_or_default()
    }
}

fn find<T: Copy>(sorted: &[(BenefitId, T)], benefit: BenefitId) -> Option<T> {
    let at = sorted.binary_search_by_key(&benefit, |(id, _)| *id).ok()?;
    sorted.get(at).map(|(_, value)| *value)
}

/// What memory held when the decision was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Where the terminal stands.
    pub merchant: Merchant,
    /// What the terminal's answers may disclose.
    pub scope: Scope,
    /// The card, if it was issued.
    pub card: Option<Card>,
    /// Whose it is.
    pub holder: Option<Holder>,
    /// Whether a reversal of this very request came before it.
    pub reversed_before: bool,
    /// What is already used up.
    pub counts: Counts,
}
