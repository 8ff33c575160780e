//! Reversal, 0400: undoes a request whose answer didn't come, or came wrong.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Original, Presented, fixed, kind};
use super::{offline_upload, purchase, refund, star_inquiry, void};

/// Reversal, 0400. Everything in it is as in the original, the STAN and batch too.
#[derive(Debug, Clone)]
pub struct Reversal<'a> {
    /// The card, where and how.
    pub presented: Presented<'a>,
    /// Field 39: `98` no answer, `A0` bad MAC, `96` other.
    pub reason: [u8; 2],
    /// Field 61, where there is one.
    pub original: Option<Original>,
    kind: Kind,
}

impl<'a> Reversal<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(400);

    /// The reversal of a purchase.
    pub const fn of_purchase(presented: Presented<'a>, reason: [u8; 2]) -> Self {
        Self { presented, reason, original: None, kind: purchase::KIND }
    }

    /// The reversal of a star inquiry or a counter service.
    pub const fn of_inquiry(presented: Presented<'a>, reason: [u8; 2]) -> Self {
        Self { presented, reason, original: None, kind: star_inquiry::KIND }
    }

    /// The reversal of a void.
    pub const fn of_void(presented: Presented<'a>, reason: [u8; 2]) -> Self {
        Self { presented, reason, original: None, kind: void::KIND }
    }

    /// The reversal of a refund.
    pub const fn of_refund(presented: Presented<'a>, reason: [u8; 2]) -> Self {
        Self { presented, reason, original: None, kind: refund::KIND }
    }

    /// The reversal of an offline upload.
    pub const fn of_offline_upload(presented: Presented<'a>, reason: [u8; 2]) -> Self {
        Self { presented, reason, original: None, kind: offline_upload::KIND }
    }

    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        let kind = match kind(fields)? {
            // A counter service has the kind of a star inquiry.
            kind @ (star_inquiry::KIND | purchase::KIND | void::KIND | refund::KIND | offline_upload::KIND) => kind,
            _ => return Err(Fault::UNKNOWN_MESSAGE),
        };
        let presented = Presented::decode(fields)?;
        Ok(Self { presented, reason: fixed(fields, 39)?, original: Original::decode(fields)?, kind })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        let extra = Extra { reason: Some(self.reason), original: self.original, ..Extra::default() };
        self.presented.write(self.kind, &extra, writer);
    }
}
