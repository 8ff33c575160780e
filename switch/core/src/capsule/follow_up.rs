//! What the journal keeps of all that follows swipes: voids and refunds, purchases decided
//! offline, and the end of a batch.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::{Asked, Effects, RequestKey, Swipe};
use crate::city::Card;
use crate::facts::AskedCard;
use crate::ids::{BenefitId, Place};
use crate::money::Fen;
use crate::time::{Date, Moment};
use crate::verdict::Outcome;

/// How money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GiveBackKind {
    /// A purchase undone whole, at its own terminal, in its batch and on its day.
    Void,
    /// Up to what remains of a purchase, at any terminal of the merchant.
    Refund,
}

/// Field 61: which purchase is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRef {
    /// Its batch.
    pub batch: u32,
    /// Its STAN.
    pub stan: u32,
    /// Its date, MMDD.
    pub mmdd: u32,
}

/// What a void or refund asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackAsk {
    /// Which of the two.
    pub kind: GiveBackKind,
    /// The card; it must be the purchase's.
    pub card: AskedCard,
    /// Field 4.
    pub amount: Option<Fen>,
    /// Field 49.
    pub currency: [u8; 3],
    /// Field 61.
    pub original: OriginalRef,
}

/// A purchase as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSale {
    /// Its key.
    pub key: RequestKey,
    /// Its record's place.
    pub place: Place,
    /// What it charged.
    pub charged: Fen,
    /// What refunds have given back of it.
    pub refunded: Fen,
    /// The business day it counts in.
    pub day: Date,
    /// Whether it is neither voided nor reversed.
    pub stands: bool,
}

/// What memory held when a void or refund was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackFacts {
    /// The purchase meant, if there is one with this card.
    pub sale: Option<FoundSale>,
    /// The card, if it was issued.
    pub card: Option<Card>,
    /// Whether a reversal of this very request came before it.
    pub reversed_before: bool,
}

/// A void or a refund, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBack {
    /// The request.
    pub asked: Asked,
    /// When.
    pub at: Moment,
    /// The question.
    pub ask: GiveBackAsk,
    /// What memory held.
    pub facts: GiveBackFacts,
    /// How it ended.
    pub outcome: Outcome,
    /// What a void gave back of uses and budgets; a refund gives none.
    pub returned: Option<Effects>,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}

/// What a terminal says it gave while its line was away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// DF14.
    pub original: Option<Fen>,
    /// DF15.
    pub payable: Option<Fen>,
    /// DF16.
    pub off: Option<Fen>,
    /// DF18.
    pub benefits: Vec<BenefitId>,
}

/// A purchase that a terminal decided itself, judged again on arrival: its capsule's moment
/// is the purchase's, by the terminal's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// The purchase as the switch judges it.
    pub swipe: Swipe,
    /// When it arrived.
    pub received: Moment,
    /// What the terminal had given.
    pub given: Given,
    /// Whether that is anything else.
    pub differs: bool,
}

/// What a batch adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BatchTotals {
    /// What approved purchases charged.
    pub debit: Fen,
    /// How many.
    pub debits: u32,
    /// What voids and refunds gave back.
    pub credit: Fen,
    /// How many.
    pub credits: u32,
}

/// A settlement: both sides' totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The request; its key names the batch.
    pub asked: Asked,
    /// When.
    pub at: Moment,
    /// What the terminal says: of domestic cards and of foreign ones.
    pub theirs: [BatchTotals; 2],
    /// What the ledger says; there are no foreign cards.
    pub ours: BatchTotals,
    /// Why it got no totals, if it got none.
    pub outcome: Outcome,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}

impl Settlement {
    /// Whether both sides agree, which closes the batch.
    pub fn balanced(&self) -> bool {
        self.outcome == Outcome::Approved
            && self.theirs[0].agrees(&self.ours)
            && self.theirs[1] == BatchTotals::default()
    }
}

impl BatchTotals {
    /// Whether they are the same on the wire, which has twelve digits for a sum and three for a count.
    pub fn agrees(&self, other: &Self) -> bool {
        self.on_wire(0) == other.on_wire(0)
    }
}

/// One transaction of a batch that is out of balance, as the terminal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// The request; its STAN is the transaction's.
    pub asked: Asked,
    /// When.
    pub at: Moment,
    /// Field 4.
    pub amount: Option<Fen>,
    /// Field 37.
    pub reference: [u8; 12],
    /// The ledger's transaction that it is, if it is one.
    pub transaction: Option<RequestKey>,
    /// How it ended.
    pub outcome: Outcome,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}

/// The end of a batch upload: the batch is closed with the totals agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadEnd {
    /// The request; its key names the batch.
    pub asked: Asked,
    /// When.
    pub at: Moment,
    /// What the terminal says: of domestic cards and of foreign ones.
    pub theirs: [BatchTotals; 2],
    /// The totals agreed on.
    pub agreed: BatchTotals,
    /// Transactions whose answers the terminal never got, undone by this.
    pub undone: Vec<RequestKey>,
    /// What that gave back.
    pub returned: Vec<Effects>,
    /// How it ended.
    pub outcome: Outcome,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}
