//! The typed messages, one to a file: what each needs, and how a terminal writes it.
//!
//! A message is recognised by its MTI, the first two digits of field 3, field 25, and of
//! field 60 the type and, where there is one, the network code: see [`Request::decode`].

mod batch_upload;
mod counter_service;
mod echo;
mod offline_upload;
mod parts;
mod purchase;
mod refund;
mod reversal;
mod settlement;
mod sign_in;
mod sign_off;
mod star_inquiry;
mod void;

pub use batch_upload::{BatchUpload, BatchUploadEnd};
pub use counter_service::CounterService;
pub use echo::Echo;
pub use offline_upload::OfflineUpload;
pub use parts::{Origin, Original, Presented};
pub use purchase::Purchase;
pub use refund::Refund;
pub use reversal::Reversal;
pub use settlement::{Settlement, Totals};
pub use sign_in::SignIn;
pub use sign_off::SignOff;
pub use star_inquiry::StarInquiry;
pub use void::Void;

use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::integrity::IntegrityRequest;
use crate::mti::Mti;

/// A request, recognised and with everything it needs.
#[derive(Debug, Clone)]
pub enum Request<'a> {
    /// 0200: what would this holder get here?
    StarInquiry(StarInquiry<'a>),
    /// 0200: what is there to pay?
    Purchase(Purchase<'a>),
    /// 0200: a purchase of the same day undone.
    Void(Void<'a>),
    /// 0220: money given back.
    Refund(Refund<'a>),
    /// 0220: a purchase that the terminal decided itself.
    OfflineUpload(OfflineUpload<'a>),
    /// 0100: who stands at the counter?
    CounterService(CounterService<'a>),
    /// 0400: a request whose answer didn't come.
    Reversal(Reversal<'a>),
    /// 0500: the batch's totals.
    Settlement(Settlement),
    /// 0320: one transaction of a batch out of balance.
    BatchUpload(BatchUpload),
    /// 0320: the last of them.
    BatchUploadEnd(BatchUploadEnd),
    /// 0800: new session keys.
    SignIn(SignIn),
    /// 0820: no more swipes today.
    SignOff(SignOff),
    /// 0820: is anybody there?
    Echo(Echo),
}

impl<'a> Request<'a> {
    /// Recognises a message and takes from it what it needs.
    pub fn decode(mti: Mti, fields: &Fields<'a>) -> Result<Self, Fault> {
        match mti.0 {
            100 | 200 | 220 => Self::presented(mti, fields),
            400 => Reversal::decode(fields).map(Self::Reversal),
            320 | 500 | 800 | 820 => Self::housekeeping(mti, fields),
            _ => Err(Fault::UNKNOWN_MESSAGE),
        }
    }

    /// Messages with a card: by processing code, condition and type.
    fn presented(mti: Mti, fields: &Fields<'a>) -> Result<Self, Fault> {
        match (mti.0, parts::kind(fields)?) {
            (200, star_inquiry::KIND) => StarInquiry::decode(fields).map(Self::StarInquiry),
            (200, purchase::KIND) => Purchase::decode(fields).map(Self::Purchase),
            (200, void::KIND) => Void::decode(fields).map(Self::Void),
            (220, refund::KIND) => Refund::decode(fields).map(Self::Refund),
            (220, offline_upload::KIND) => OfflineUpload::decode(fields).map(Self::OfflineUpload),
            (100, counter_service::KIND) => CounterService::decode(fields).map(Self::CounterService),
            _ => Err(Fault::UNKNOWN_MESSAGE),
        }
    }

    /// Messages without a card: by type and network code.
    fn housekeeping(mti: Mti, fields: &Fields<'a>) -> Result<Self, Fault> {
        let digits = fields.digits(60).ok_or(Fault::missing(60))?;
        let part = |from, count| digits.number_at(from, count).ok_or(Fault::new(60, FaultKind::Value));
        match (mti.0, part(0, 2)?, part(8, 3)?) {
            (500, 0, 201) => Settlement::decode(fields).map(Self::Settlement),
            (320, 0, 201) => BatchUpload::decode(fields).map(Self::BatchUpload),
            (320, 0, 202) => BatchUploadEnd::decode(fields).map(Self::BatchUploadEnd),
            (800, 0, code @ (1 | 3..=6)) => SignIn::decode(fields, code as u16).map(Self::SignIn),
            (820, 0, 2) => SignOff::decode(fields).map(Self::SignOff),
            (820, 0, 301) => Echo::decode(fields).map(Self::Echo),
            _ => Err(Fault::UNKNOWN_MESSAGE),
        }
    }

    /// Who asks, and which of its requests this is.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::StarInquiry(message) => &message.presented.origin,
            Self::Purchase(message) => &message.presented.origin,
            Self::Void(message) => &message.presented.origin,
            Self::Refund(message) => &message.presented.origin,
            Self::OfflineUpload(message) => &message.presented.origin,
            Self::CounterService(message) => &message.presented.origin,
            Self::Reversal(message) => &message.presented.origin,
            Self::Settlement(message) => &message.origin,
            Self::BatchUpload(message) => &message.origin,
            Self::BatchUploadEnd(message) => &message.origin,
            Self::SignIn(message) => &message.origin,
            Self::SignOff(message) => &message.origin,
            Self::Echo(message) => &message.origin,
        }
    }

    /// Field 57 of messages that have a card.
    pub fn integrity(&self) -> Option<&IntegrityRequest<'a>> {
        match self {
            Self::StarInquiry(message) => Some(&message.presented.integrity),
            Self::Purchase(message) => Some(&message.presented.integrity),
            Self::Void(message) => Some(&message.presented.integrity),
            Self::Refund(message) => Some(&message.presented.integrity),
            Self::OfflineUpload(message) => Some(&message.presented.integrity),
            Self::CounterService(message) => Some(&message.presented.integrity),
            Self::Reversal(message) => Some(&message.presented.integrity),
            _ => None,
        }
    }

    /// Whether it is an 08xx message, which carries no MAC.
    pub const fn is_housekeeping(&self) -> bool {
        matches!(self, Self::SignIn(_) | Self::SignOff(_) | Self::Echo(_))
    }
}
