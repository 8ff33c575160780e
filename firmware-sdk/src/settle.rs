//! The end of a batch: its totals, and its upload where these don't agree.

use xingka_wire::code::ResponseCode;
use xingka_wire::messages::{BatchUpload, BatchUploadEnd, Settlement, Totals};
use xingka_wire::pan::Pan;

use crate::{Sent, Terminal, TerminalFault};

/// What the switch says of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Whether it agrees. If so, the next batch is open.
    pub balanced: bool,
    /// Its own totals.
    pub totals: Totals,
}

/// The flag of totals that agree.
const BALANCED: u8 = 1;

/// The largest batch number; 1 comes after it.
const LAST_BATCH: u32 = 999_999;

impl Terminal {
    /// Writes a settlement with the totals of the batch as the terminal knows them.
    pub fn settle(&mut self, totals: Totals, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let foreign = Totals::default();
        let request = Settlement { origin: self.origin(), currency: *b"156", domestic: totals, foreign };
        self.write(Settlement::MTI, true, frame, |writer| request.encode(writer))
    }

    /// Takes the answer to a settlement, or to the end of a batch upload.
    pub fn settled(&mut self, sent: &Sent, frame: &[u8]) -> Result<Settled, TerminalFault> {
        let answer = self.read(sent, frame)?;
        if answer.code != ResponseCode::APPROVED {
            return Err(TerminalFault::Refused(answer.code));
        }
        let (totals, _) = answer.totals().ok_or(TerminalFault::Missing(48))?;
        let settled = Settled { balanced: totals.flag == BALANCED, totals };
        if settled.balanced {
            self.batch = sent.batch % LAST_BATCH + 1;
        }
        Ok(settled)
    }

    /// Writes one transaction of the batch: its STAN is the transaction's own.
    pub fn upload(&self, transaction: &Transaction, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let Transaction { stan, pan, amount_fen, local_time, local_date, reference } = transaction;
        let mut origin = self.origin();
        origin.stan = *stan;
        let request = BatchUpload {
            origin,
            pan: pan.clone(),
            amount_fen: Some(*amount_fen),
            local_time: *local_time,
            local_date: *local_date,
            reference: *reference,
            currency: *b"156",
        };
        self.write_as(BatchUpload::MTI, *stan, true, frame, |writer| request.encode(writer))
    }

    /// Writes the end of a batch upload; [`Self::settled`] takes its answer.
    pub fn upload_end(&mut self, totals: Totals, frame: &mut [u8]) -> Result<Sent, TerminalFault> {
        let foreign = Totals::default();
        let request = BatchUploadEnd { origin: self.origin(), currency: *b"156", domestic: totals, foreign };
        self.write(BatchUploadEnd::MTI, true, frame, |writer| request.encode(writer))
    }
}

/// One transaction of a batch, as its slip has it.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Its STAN.
    pub stan: u32,
    /// The card.
    pub pan: Pan,
    /// What it charged or gave back, fen.
    pub amount_fen: u64,
    /// Field 12 of its answer, hhmmss.
    pub local_time: u32,
    /// Field 13 of its answer, MMDD.
    pub local_date: u32,
    /// Field 37 of its answer.
    pub reference: [u8; 12],
}
