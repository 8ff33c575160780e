//! What was decided, in the product's own words; [`crate::respond`] maps them to the wire.

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::city::Star;
use crate::ids::BenefitId;
use crate::money::{BasisPoints, Fen};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Approved.
    Approved,
    /// Approved, and the holder is served at once.
    ApprovedVip,
    /// Not approved.
    Refused(Refusal),
}

/// Why a request got no approval, in the order in which it is checked.
///
/// The variants' order is part of the record's format: new ones go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The message breaks the wire's rules.
    Format,
    /// No such message.
    UnknownMessage,
    /// No such terminal.
    UnknownTerminal,
    /// The terminal belongs to another merchant.
    WrongMerchant,
    /// Not at this kind of place, or not with this MAC.
    NotPermitted,
    /// The terminal hasn't signed in.
    NotSignedIn,
    /// The MAC is wrong.
    WrongMac,
    /// This key was used with other content.
    KeyReused,
    /// Not the open batch.
    BatchOutOfStep,
    /// Too late to decide.
    DeadlinePassed,
    /// Not in yuan.
    Currency,
    /// No amount, or nothing.
    Amount,
    /// A reversal of this request came before it.
    ReversedBefore,
    /// The card number's check digit is wrong.
    Luhn,
    /// No such card.
    UnknownCard,
    /// Lost.
    Lost,
    /// Stolen.
    Stolen,
    /// Frozen.
    Frozen,
    /// Past its month.
    Expired,
    /// The benefit the holder chose doesn't apply.
    ChosenBenefit,
    /// The node can't record, so it can't answer.
    Malfunction,
    /// A message of the wire that this version doesn't serve.
    NotServed,
    /// No such purchase with this card, or one that was voided or reversed, or too long ago.
    NoOriginal,
    /// More than remains of the purchase, or not all of it.
    NotTheOriginalAmount,
    /// Too much to do to answer in time; nothing was decided.
    Overloaded,
    /// What other nodes know of this terminal is needed, and can't be had.
    RegisterAway,
}

/// A discount or amount off that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which benefit.
    pub benefit: BenefitId,
    /// What it took off.
    pub off: Fen,
}

/// An amount, and what was taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Before any discount.
    pub original: Fen,
    /// What was taken off, in the order applied.
    pub applied: Vec<Applied>,
}

impl Price {
    /// Everything taken off.
    pub fn off(&self) -> Fen {
        self.applied.iter().fold(Fen::ZERO, |sum, applied| sum.plus(applied.off))
    }

    /// What is there to pay.
    pub fn payable(&self) -> Fen {
        self.original.less(self.off())
    }
}

/// A benefit's service, answered: how much, and from which benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// Which benefit; the lowest id of those as good.
    pub benefit: BenefitId,
    /// A priority, or working days.
    pub value: u8,
}

/// What a holder gets here and now, 应享待遇.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entitlement {
    /// The star that counts.
    pub star: Star,
    /// For purchases, and inquiries with an amount.
    pub price: Option<Price>,
    /// For inquiries without an amount: the highest discount that doesn't stack.
    pub highest_discount: Option<BasisPoints>,
    /// The best priority; nothing means ordinary service.
    pub priority: Option<Best>,
    /// The most days saved; counter services only.
    pub faster: Option<Best>,
    /// All fees waived; counter services only.
    pub waivers: Vec<BenefitId>,
}

impl Entitlement {
    /// 0 ordinary, 1 priority, 2 VIP.
    pub fn priority_level(&self) -> u8 {
        self.priority.map_or(0, |best| best.value)
    }

    /// Working days saved.
    pub fn days(&self) -> u8 {
        self.faster.map_or(0, |best| best.value)
    }
}

/// One use of a benefit that counts against its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Which benefit.
    pub benefit: BenefitId,
    /// What it takes from the budget.
    pub off: Fen,
}

/// One decision's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What the holder gets; nothing where refused.
    pub entitlement: Entitlement,
    /// What is used up by it.
    pub uses: Vec<Use>,
}

impl Verdict {
    /// A refusal: nothing is given, nothing used up.
    pub fn refused(refusal: Refusal) -> Self {
        Self { outcome: Outcome::Refused(refusal), entitlement: Entitlement::default(), uses: Vec::new() }
    }

    /// Whether it is an approval of either kind.
    pub fn approved(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "the message breaks the format",
            Self::UnknownMessage => "no such message",
            Self::UnknownTerminal => "no such terminal",
            Self::WrongMerchant => "the terminal belongs to another merchant",
            Self::NotPermitted => "not permitted at this terminal",
            Self::NotSignedIn => "the terminal has not signed in",
            Self::WrongMac => "the MAC is wrong",
            Self::KeyReused => "the STAN was used with other content",
            Self::BatchOutOfStep => "the batch is not the open one",
            Self::DeadlinePassed => "the deadline passed",
            Self::Currency => "only yuan (156) are taken",
            Self::Amount => "the amount is missing or nothing",
            Self::ReversedBefore => "it was reversed before it came",
            Self::Luhn => "the card number's check digit is wrong",
            Self::UnknownCard => "no such card",
            Self::Lost => "the card was reported lost",
            Self::Stolen => "the card was reported stolen",
            Self::Frozen => "the card is frozen",
            Self::Expired => "the card has expired",
            Self::ChosenBenefit => "the chosen benefit does not apply",
            Self::Malfunction => "the switch cannot record",
            Self::NotServed => "this message is not served yet",
            Self::NoOriginal => "there is no such purchase to give back",
            Self::RegisterAway => "what other nodes know of this terminal can't be had; try again",
            Self::Overloaded => "there is too much to do; try again",
            Self::NotTheOriginalAmount => "the amount is not what the purchase can give back",
        })
    }
}
