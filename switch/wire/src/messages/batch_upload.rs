//! Batch upload, 0320 / 201, and its end, 0320 / 202: after a settlement out of balance.

use crate::encode::Writer;
use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::mti::Mti;
use crate::pan::Pan;

use super::parts::{Origin, day_of_year, fixed, time_of_day};
use super::settlement::{self, Totals};

/// Batch upload, 0320 / 201: one transaction of the batch.
#[derive(Debug, Clone)]
pub struct BatchUpload {
    /// Who asks; the STAN is the transaction's.
    pub origin: Origin,
    /// Field 2.
    pub pan: Pan,
    /// Field 4, fen. It may be missing: that is answered 13, not 30.
    pub amount_fen: Option<u64>,
    /// Field 12, hhmmss.
    pub local_time: u32,
    /// Field 13, MMDD.
    pub local_date: u32,
    /// Field 37, as the switch answered it.
    pub reference: [u8; 12],
    /// Field 49.
    pub currency: [u8; 3],
}

impl BatchUpload {
    /// Its message type.
    pub const MTI: Mti = Mti(320);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let pan = fields.digits(2).ok_or(Fault::missing(2))?;
        Ok(Self {
            origin: Origin::decode(fields)?,
            pan: Pan::from_digits(pan).ok_or(Fault::new(2, FaultKind::Value))?,
            amount_fen: fields.number(4),
            local_time: time_of_day(fields)?,
            local_date: day_of_year(fields)?,
            reference: fixed(fields, 37)?,
            currency: fixed(fields, 49)?,
        })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        writer.digits(2, self.pan.as_ascii());
        self.amount_fen.iter().for_each(|amount| writer.number(4, *amount));
        writer.number(11, u64::from(self.origin.stan));
        writer.number(12, u64::from(self.local_time));
        writer.number(13, u64::from(self.local_date));
        writer.bytes(37, &self.reference);
        writer.bytes(41, &self.origin.terminal);
        writer.bytes(42, &self.origin.merchant);
        writer.bytes(49, &self.currency);
        self.origin.write_private(0, 201, writer);
    }
}

/// The end of a batch upload, 0320 / 202.
#[derive(Debug, Clone, Copy)]
pub struct BatchUploadEnd {
    /// Who asks.
    pub origin: Origin,
    /// Field 49.
    pub currency: [u8; 3],
    /// Field 48, domestic cards.
    pub domestic: Totals,
    /// Field 48, foreign cards.
    pub foreign: Totals,
}

impl BatchUploadEnd {
    /// Its message type.
    pub const MTI: Mti = Mti(320);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let origin = Origin::decode(fields)?;
        let (domestic, foreign) = Totals::decode(fields)?;
        Ok(Self { origin, currency: fixed(fields, 49)?, domestic, foreign })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        settlement::write(&self.origin, 202, (&self.domestic, &self.foreign), &self.currency, writer);
    }
}
