//! Settlement, 0500 / 201: what the terminal thinks the batch adds up to.

use crate::encode::Writer;
use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Origin, fixed};

/// Half of field 48: one currency's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// What approved purchases charged, fen.
    pub debit_fen: u64,
    /// How many.
    pub debits: u32,
    /// What voids and refunds gave back, fen.
    pub credit_fen: u64,
    /// How many.
    pub credits: u32,
    /// 0 asked, 1 balanced, 2 not.
    pub flag: u8,
}

/// Digits in one half of field 48.
const HALF: usize = 31;

impl Totals {
    /// Field 48's two halves: domestic cards, then foreign ones.
    pub(crate) fn decode(fields: &Fields<'_>) -> Result<(Self, Self), Fault> {
        let digits = fields.digits(48).ok_or(Fault::missing(48))?;
        let half = |from| {
            let part = |at, count| digits.number_at(from + at, count).ok_or(Fault::new(48, FaultKind::Value));
            Ok(Self {
                debit_fen: part(0, 12)?,
                debits: part(12, 3)? as u32,
                credit_fen: part(15, 12)?,
                credits: part(27, 3)? as u32,
                flag: part(30, 1)? as u8,
            })
        };
        if digits.len() == 2 * HALF { Ok((half(0)?, half(HALF)?)) } else { Err(Fault::new(48, FaultKind::Value)) }
    }

    /// Field 48's 62 ASCII digits; `None` where a sum or a count has more digits than its place.
    pub fn ascii(domestic: &Self, foreign: &Self) -> Option<[u8; 2 * HALF]> {
        if !domestic.fits() || !foreign.fits() {
            return None;
        }
        let mut ascii = [b'0'; 2 * HALF];
        let (first, second) = ascii.split_at_mut(HALF);
        domestic.write(first);
        foreign.write(second);
        Some(ascii)
    }

    fn fits(&self) -> bool {
        let sums = self.debit_fen.max(self.credit_fen);
        sums < 1_000_000_000_000 && self.debits.max(self.credits) < 1_000 && self.flag < 10
    }

    fn write(&self, to: &mut [u8]) {
        let parts = [
            (self.debit_fen, 12),
            (u64::from(self.debits), 3),
            (self.credit_fen, 12),
            (u64::from(self.credits), 3),
            (u64::from(self.flag), 1),
        ];
        let digits = parts.into_iter().flat_map(|(value, count)| {
            (0..count).rev().map(move |place| b'0' + (value / 10_u64.pow(place) % 10) as u8)
        });
        to.iter_mut().zip(digits).for_each(|(to, digit)| *to = digit);
    }
}

/// Settlement, 0500.
#[derive(Debug, Clone, Copy)]
pub struct Settlement {
    /// Who asks.
    pub origin: Origin,
    /// Field 49.
    pub currency: [u8; 3],
    /// Field 48, domestic cards.
    pub domestic: Totals,
    /// Field 48, foreign cards.
    pub foreign: Totals,
}

impl Settlement {
    /// Its message type.
    pub const MTI: Mti = Mti(500);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let origin = Origin::decode(fields)?;
        let (domestic, foreign) = Totals::decode(fields)?;
        Ok(Self { origin, currency: fixed(fields, 49)?, domestic, foreign })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        write(&self.origin, 201, (&self.domestic, &self.foreign), &self.currency, writer);
    }
}

/// Fields 11, 41, 42, 48, 49 and 60.
pub(super) fn write(
    origin: &Origin,
    network_code: u64,
    (domestic, foreign): (&Totals, &Totals),
    currency: &[u8; 3],
    writer: &mut Writer<'_>,
) {
    writer.number(11, u64::from(origin.stan));
    writer.bytes(41, &origin.terminal);
    writer.bytes(42, &origin.merchant);
    match Totals::ascii(domestic, foreign) {
        Some(totals) => writer.digits(48, &totals),
        None => writer.refuse(48),
    }
    writer.bytes(49, currency);
    origin.write_private(0, network_code, writer);
}
