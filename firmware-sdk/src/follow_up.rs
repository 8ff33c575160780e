//! What follows a swipe: void, refund, reversal, and the upload of what was decided offline.

use xingka_wire::integrity::IntegrityAnswer;
use xingka_wire::messages::{OfflineUpload, Original, Refund, Reversal, Void};

use crate::{Sent, Swipe, Terminal, TerminalFault};

/// What a reversal can be of: its messages look like those of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reversible {
    /// A purchase.
    Purchase,
    /// A star inquiry or a counter service.
    Inquiry,
    /// A void.
    Void,
    /// A refund.
    Refund,
    /// An offline upload.
    OfflineUpload,
}

/// What a terminal decided while its line was away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline<'a> {
    /// When, by the terminal's clock: hhmmss.
    pub local_time: u32,
    /// On which day: MMDD.
    pub local_date: u32,
    /// What it gave: original, payable and discount amount, and the benefits.
    pub given: IntegrityAnswer<'a>,
}

impl Terminal {
    /// Writes a void: a purchase of this batch and day undone, for the amount it charged.
    pub fn void(
        &mut self,
        swipe: &Swipe<'_>,
        charged_fen: u64,
        original: Original,
        frame: &mut [u8],
    ) -> Result<Sent, TerminalFault> {
        let request = Void { presented: self.presented(swipe, Some(charged_fen)), original };
        self.write(Void::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Writes a refund of a part of what a purchase charged, or of all of it.
    pub fn refund(
        &mut self,
        swipe: &Swipe<'_>,
        refund_fen: u64,
        original: Original,
        frame: &mut [u8],
    ) -> Result<Sent, TerminalFault> {
        let request = Refund { presented: self.presented(swipe, Some(refund_fen)), original };
        self.write(Refund::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Writes the upload of a purchase that was decided here.
    pub fn offline_upload(
        &mut self,
        swipe: &Swipe<'_>,
        amount_fen: u64,
        offline: Offline<'_>,
        frame: &mut [u8],
    ) -> Result<Sent, TerminalFault> {
        let Offline { local_time, local_date, given } = offline;
        let request =
            OfflineUpload { presented: self.presented(swipe, Some(amount_fen)), local_time, local_date, given };
        self.write(OfflineUpload::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Writes the reversal of a request whose answer didn't come (`98`), had a wrong MAC
    /// (`A0`), or is unwanted for another reason (`96`). `amount_fen` is the original's.
    pub fn reverse(
        &self,
        original: (&Sent, Reversible),
        swipe: &Swipe<'_>,
        amount_fen: Option<u64>,
        reason: [u8; 2],
        frame: &mut [u8],
    ) -> Result<Sent, TerminalFault> {
        let (original, kind) = original;
        let mut presented = self.presented(swipe, amount_fen);
        (presented.origin.stan, presented.origin.batch) = (original.stan, original.batch);
        let request = match kind {
            Reversible::Purchase => Reversal::of_purchase(presented, reason),
            Reversible::Inquiry => Reversal::of_inquiry(presented, reason),
            Reversible::Void => Reversal::of_void(presented, reason),
            Reversible::Refund => Reversal::of_refund(presented, reason),
            Reversible::OfflineUpload => Reversal::of_offline_upload(presented, reason),
        };
        let sent = self.write_as(Reversal::MTI, original.stan, true, frame, |writer| request.encode(writer))?;
        Ok(Sent { batch: original.batch, ..sent })
    }
}
