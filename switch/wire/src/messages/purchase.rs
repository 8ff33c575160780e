//! Purchase with entitlement, 0200. Its amount may be missing: that is answered 13, not 30.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Presented};

pub(super) const KIND: Kind = (0, 0, 22);

/// Purchase with entitlement, 0200. Its amount may be missing: that is answered 13, not 30.
#[derive(Debug, Clone)]
pub struct Purchase<'a> {
    /// The card, where and how.
    pub presented: Presented<'a>,
}

impl<'a> Purchase<'a> {
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
