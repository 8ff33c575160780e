//! Void, 0200: a purchase of the same batch and day, undone.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Original, Presented};

pub(super) const KIND: Kind = (20, 0, 23);

/// Void, 0200: a purchase of the same batch and day, undone.
#[derive(Debug, Clone)]
pub struct Void<'a> {
    /// The card, where and how; the amount is what the purchase charged.
    pub presented: Presented<'a>,
    /// The purchase it is about.
    pub original: Original,
}

impl<'a> Void<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(200);

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
