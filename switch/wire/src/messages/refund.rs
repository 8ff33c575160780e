//! Refund, 0220: money given back for an earlier purchase.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Original, Presented};

pub(super) const KIND: Kind = (20, 0, 25);

/// Refund, 0220: money given back for an earlier purchase.
#[derive(Debug, Clone)]
pub struct Refund<'a> {
    /// The card, where and how; the amount is what is given back.
    pub presented: Presented<'a>,
    /// The purchase it is about.
    pub original: Original,
}

impl<'a> Refund<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(220);

    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        let original = Original::decode(fields)?.ok_or(Fault::missing(61))?;
        Ok(Self { presented: Presented::decode(fields)?, original })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        let extra = Extra { original: Some(self.original), ..Extra::default() };
        self.presented.write(KIND, &extra, writer);
    }
}
