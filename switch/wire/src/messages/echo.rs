//! Echo, 0820 / 301: is anybody there?

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::Origin;

/// Echo, 0820 / 301: is anybody there?
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// Who asks.
    pub origin: Origin,
}

impl Echo {
    /// Its message type.
    pub const MTI: Mti = Mti(820);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Origin::decode(fields).map(|origin| Self { origin })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.origin.write_housekeeping(301, writer);
    }
}
