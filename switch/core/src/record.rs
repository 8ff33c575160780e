//! Record: what goes into the journal, and the proof that it did.
//!
//! A record holds everything needed to reach the same answer again and to give it
//! again: the request's key, the capsule (question, facts by value, rule book, moment),
//! the verdict, and the answer's fields as they went out. No card number, track or PIN
//! block is in it.
//!
//! The format is postcard's; variants and fields are only ever added as new variants
//! at the end, so that every later version reads every older journal.

use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xingka_wire::encode::EncodeFault;

use crate::authenticate::{Admitted, Identified};
use crate::facts::{Ask, Facts};
use crate::ids::{DecisionId, HolderNo, MerchantId, RuleBookVersion, TerminalId};
use crate::pan::Content;
use crate::respond::{self, Number, Stamp};
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
    /// The journal's places of the originals it undid.
    pub originals: Vec<u64>,
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
        match self {
            Self::Swipe(swipe) => swipe.capsule.at.epoch_ms,
            Self::Reversal(reversal) => reversal.at.epoch_ms,
            Self::SignIn(sign_in) => sign_in.at.epoch_ms,
            Self::SignOff(sign_off) => sign_off.at.epoch_ms,
        }
    }

    fn answer(&self) -> &[u8] {
        match self {
            Self::Swipe(swipe) => &swipe.answer,
            Self::Reversal(reversal) => &reversal.answer,
            Self::SignIn(sign_in) => &sign_in.answer,
            Self::SignOff(sign_off) => &sign_off.answer,
        }
    }
}

/// A journal's word that it is durable through a place. Made by journals, after the
/// commit and by nothing else; `cargo xtask tidy` holds that line.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    through: u64,
}

impl Receipt {
    /// For journals: everything up to and including this place survives a power cut.
    pub const fn durable_through(sequence: u64) -> Self {
        Self { through: sequence }
    }
}

/// An answer whose record is on its way into the journal. Nothing but a receipt opens it.
#[derive(Debug)]
#[must_use = "an answer that is never committed is never given"]
pub struct Pending {
    sequence: u64,
    answer: Vec<u8>,
}

impl Pending {
    fn new(sequence: u64, record: &Record) -> Self {
        Self { sequence, answer: record.answer().to_vec() }
    }

    /// Its record's place in the journal.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The proof, once the journal is durable that far; `None` while it isn't.
    pub fn committed(self, receipt: Receipt) -> Option<Recorded> {
        (self.sequence <= receipt.through).then_some(Recorded { answer: self.answer })
    }
}

/// Proof that an answer is in the journal: [`crate::respond`] gives no other.
#[derive(Debug)]
pub struct Recorded {
    pub(crate) answer: Vec<u8>,
}

impl Recorded {
    /// The answer of a record that was read back from the journal.
    pub fn read_back(record: &Record) -> Self {
        Self { answer: record.answer().to_vec() }
    }
}

/// A record, and the answer that waits for it.
pub type Prepared = (Record, Pending);

fn prepare(sequence: u64, record: Record) -> Prepared {
    let pending = Pending::new(sequence, &record);
    (record, pending)
}

fn stamp(at: Moment, sequence: u64) -> Stamp {
    Stamp { at, number: Number::Recorded(sequence) }
}

/// Records a decision at a place in the journal.
pub fn record_swipe(
    admitted: &Admitted<'_>,
    capsule: Capsule,
    verdict: Verdict,
    sequence: u64,
) -> Result<Prepared, EncodeFault> {
    let answer = respond::compose_swipe(admitted.answering(), stamp(capsule.at, sequence), &capsule, &verdict)?;
    let swipe = Swipe { asked: *admitted.asked(), capsule, verdict, answer };
    Ok(prepare(sequence, Record::Swipe(Box::new(swipe))))
}

/// Records a reversal, and what it undoes.
pub fn record_reversal(
    admitted: &Admitted<'_>,
    at: Moment,
    (originals, returned): (Vec<u64>, Vec<Effects>),
    sequence: u64,
) -> Result<Prepared, EncodeFault> {
    let answer = respond::compose_plain(admitted.answering(), true, stamp(at, sequence))?;
    let reversal = Reversal { asked: *admitted.asked(), at, originals, returned, answer };
    Ok(prepare(sequence, Record::Reversal(Box::new(reversal))))
}

/// New session keys: as the terminal gets them, and as the deployment keeps them.
#[derive(Debug, Clone)]
pub struct NewKeys {
    /// Counts the terminal's sign-ins.
    pub serial: u32,
    /// The network code of their layout.
    pub network_code: u16,
    /// Field 62: under the terminal's master key.
    pub for_terminal: Vec<u8>,
    /// Under the deployment's master key.
    pub wrapped: Vec<u8>,
}

/// Records a sign-in.
pub fn record_sign_in(
    identified: &Identified<'_>,
    at: Moment,
    batch: u32,
    keys: NewKeys,
    sequence: u64,
) -> Result<Prepared, EncodeFault> {
    let stamp = stamp(at, sequence);
    let answer = respond::compose_sign_in(identified.answering(), stamp, batch, &keys.for_terminal)?;
    let NewKeys { serial: key_serial, network_code, wrapped: wrapped_keys, .. } = keys;
    let terminal = identified.terminal().id;
    let sign_in = SignIn { terminal, at, key_serial, network_code, wrapped_keys, answer };
    Ok(prepare(sequence, Record::SignIn(Box::new(sign_in))))
}

/// Records a sign-off.
pub fn record_sign_off(identified: &Identified<'_>, at: Moment, sequence: u64) -> Result<Prepared, EncodeFault> {
    let answer = respond::compose_plain(identified.answering(), false, stamp(at, sequence))?;
    let sign_off = SignOff { terminal: identified.terminal().id, at, answer };
    Ok(prepare(sequence, Record::SignOff(Box::new(sign_off))))
}
