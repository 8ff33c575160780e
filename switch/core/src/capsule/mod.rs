//! What the journal keeps: the entries, and what stands in them.
//!
//! An entry holds everything needed to reach the same answer again and to give it again:
//! the request's key, the capsule (question, facts by value, rule book, moment), the verdict,
//! and the answer's fields as they went out. No card number, track or PIN block is in it.
//!
//! The format is postcard's; variants and fields are only ever added as new variants at the
//! end, so that every later version reads every older journal.

mod follow_up;

use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use follow_up::{
    BatchTotals, FoundSale, GiveBack, GiveBackAsk, GiveBackFacts, GiveBackKind, Given, Offline, OriginalRef,
    Settlement, UploadEnd, Uploaded,
};

use crate::facts::{Ask, Facts};
use crate::ids::{BenefitId, DecisionId, HolderNo, MerchantId, Place, RuleBookVersion, TerminalId};
use crate::pan::Content;
use crate::time::{Date, Moment};
use crate::verdict::{Use, Verdict};

/// What makes a request the same one when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestKey {
    /// Field 42.
    pub merchant: MerchantId,
    /// Field 41.
    pub terminal: TerminalId,
    /// Of field 60.
    pub batch: u32,
    /// Field 11.
    pub stan: u32,
    /// As four decimal digits: 200, 400.
    pub mti: u16,
}

/// The request a record answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its key.
    pub key: RequestKey,
    /// What it said, so that other content under the same key is noticed.
    pub content: Content,
    /// Which of the terminal's session keys verified it.
    pub key_serial: u32,
    /// DF05, where the terminal sent one.
    pub request_id: Option<[u8; 16]>,
}

/// A decision, 判定, with everything needed to reach it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capsule {
    /// Its id, which is also on the answer.
    pub id: DecisionId,
    /// When.
    pub at: Moment,
    /// Under which rule book.
    pub rules: RuleBookVersion,
    /// The question.
    pub ask: Ask,
    /// What memory held.
    pub facts: Facts,
}

/// An inquiry, purchase or counter service, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swipe {
    /// The request.
    pub asked: Asked,
    /// The decision.
    pub capsule: Capsule,
    /// What was decided.
    pub verdict: Verdict,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}

/// What a request used up, as far as it can be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Whose uses.
    pub holder_no: HolderNo,
    /// On which day.
    pub date: Date,
    /// Which.
    pub uses: Vec<Use>,
}

/// A reversal: what it undid, or that there was nothing to undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// The request.
    pub asked: Asked,
    /// When.
    pub at: Moment,
    /// Where the originals that it undid are recorded.
    pub originals: Vec<Place>,
    /// What that gave back.
    pub returned: Vec<Effects>,
    /// The answer from its MTI to before its MAC field.
    pub answer: Vec<u8>,
}

/// A sign-in: new session keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub terminal: TerminalId,
    /// When.
    pub at: Moment,
    /// Counts the terminal's sign-ins.
    pub key_serial: u32,
    /// The network code, which says cipher and layout: 001, 003 to 006.
    pub network_code: u16,
    /// The session keys, wrapped under the deployment's master key.
    pub wrapped_keys: Vec<u8>,
    /// The answer from its MTI on.
    pub answer: Vec<u8>,
}

/// A sign-off: no session until the next sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    /// Who.
    pub terminal: TerminalId,
    /// When.
    pub at: Moment,
    /// The answer from its MTI on.
    pub answer: Vec<u8>,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An inquiry, purchase or counter service.
    Swipe(Box<Swipe>),
    /// A reversal.
    Reversal(Box<Reversal>),
    /// A sign-in.
    SignIn(Box<SignIn>),
    /// A sign-off.
    SignOff(Box<SignOff>),
    /// A void or refund.
    GiveBack(Box<GiveBack>),
    /// A purchase that the terminal decided.
    Offline(Box<Offline>),
    /// A settlement.
    Settlement(Box<Settlement>),
    /// One transaction of a batch upload.
    Uploaded(Box<Uploaded>),
    /// A batch upload's end.
    UploadEnd(Box<UploadEnd>),
    /// A record made while the register was away: what other nodes know was not asked, and no limited
    /// benefit applied.
    StandIn(Box<Record>),
    /// An earlier record of this journal doesn't hold; its answer was never given.
    Withdrawn(Box<Withdrawn>),
}

/// An earlier record that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Its place.
    pub place: Place,
    /// The request it was about.
    pub key: RequestKey,
    /// When that was found.
    pub at: Moment,
    /// Why.
    pub reason: WithdrawnFor,
}

/// Why a record doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WithdrawnFor {
    /// The terminal had moved to another node.
    Moved,
    /// What it was to use up had been used up elsewhere.
    Exhausted(BenefitId),
    /// The register couldn't be asked in time.
    Unconfirmed,
    /// Another node had answered the same request meanwhile.
    Doubled,
}

/// Bytes that are no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a record this version can read: {0}")]
pub struct BadRecord(postcard::Error);

impl Record {
    /// Appends the record's bytes to `to`.
    pub fn encode(&self, to: Vec<u8>) -> Result<Vec<u8>, BadRecord> {
        postcard::to_extend(self, to).map_err(BadRecord)
    }

    /// Reads a record; every byte must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        match postcard::take_from_bytes(bytes) {
            Ok((record, [])) => Ok(record),
            Ok(_) => Err(BadRecord(postcard::Error::DeserializeBadEncoding)),
            Err(error) => Err(BadRecord(error)),
        }
    }

    /// When it was made, in milliseconds since 1970.
    pub fn epoch_ms(&self) -> i64 {
        let at = match self {
            Self::Swipe(swipe) => swipe.capsule.at,
            Self::Reversal(reversal) => reversal.at,
            Self::SignIn(sign_in) => sign_in.at,
            Self::SignOff(sign_off) => sign_off.at,
            Self::GiveBack(give_back) => give_back.at,
            Self::Offline(offline) => offline.received,
            Self::Settlement(settlement) => settlement.at,
            Self::Uploaded(uploaded) => uploaded.at,
            Self::UploadEnd(end) => end.at,
            Self::StandIn(record) => return record.epoch_ms(),
            Self::Withdrawn(withdrawn) => withdrawn.at,
        };
        at.epoch_ms
    }

    /// The request it answers; housekeeping has no key.
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Swipe(swipe) => Some(&swipe.asked),
            Self::Reversal(reversal) => Some(&reversal.asked),
            Self::SignIn(_) | Self::SignOff(_) | Self::Withdrawn(_) => None,
            Self::StandIn(record) => record.asked(),
            Self::GiveBack(give_back) => Some(&give_back.asked),
            Self::Offline(offline) => Some(&offline.swipe.asked),
            Self::Settlement(settlement) => Some(&settlement.asked),
            Self::Uploaded(uploaded) => Some(&uploaded.asked),
            Self::UploadEnd(end) => Some(&end.asked),
        }
    }

    pub(crate) fn answer(&self) -> &[u8] {
        match self {
            Self::Swipe(swipe) => &swipe.answer,
            Self::Reversal(reversal) => &reversal.answer,
            Self::SignIn(sign_in) => &sign_in.answer,
            Self::SignOff(sign_off) => &sign_off.answer,
            Self::GiveBack(give_back) => &give_back.answer,
            Self::Offline(offline) => &offline.swipe.answer,
            Self::Settlement(settlement) => &settlement.answer,
            Self::Uploaded(uploaded) => &uploaded.answer,
            Self::UploadEnd(end) => &end.answer,
            Self::StandIn(record) => record.answer(),
            Self::Withdrawn(_) => &[],
        }
    }

    /// The record itself, whether or not it was made as a stand-in.
    pub fn plain(&self) -> &Self {
        match self {
            Self::StandIn(record) => record.plain(),
            record => record,
        }
    }

    /// The terminal that it is about.
    pub fn terminal(&self) -> TerminalId {
        match self.plain() {
            Self::SignIn(sign_in) => sign_in.terminal,
            Self::SignOff(sign_off) => sign_off.terminal,
            Self::Withdrawn(withdrawn) => withdrawn.key.terminal,
            record => record.asked().map_or(TerminalId([0; 8]), |asked| asked.key.terminal),
        }
    }
}
