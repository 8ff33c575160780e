//! Star inquiry, 0200: what would this holder get here? With an amount: of this purchase?

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Presented};

pub(super) const KIND: Kind = (31, 0, 1);

/// Star inquiry, 0200: what would this holder get here? With an amount: of this purchase?
#[derive(Debug, Clone)]
pub struct StarInquiry<'a> {
    /// The card, where and how.
    pub presented: Presented<'a>,
}

impl<'a> StarInquiry<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(200);

    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        Presented::decode(fields).map(|presented| Self { presented })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.presented.write(KIND, &Extra::default(), writer);
    }
}
