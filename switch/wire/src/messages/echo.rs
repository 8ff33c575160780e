//! Echo, 0820 / 301: is anybody there?

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;
use crate::parameters;

use super::parts::Origin;

/// Echo, 0820 / 301: is anybody there?
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// Who asks.
    pub origin: Origin,
    /// Field 62, where it asks for parameters: the version that the terminal holds, 0 for none.
    pub holds: Option<u32>,
}

impl Echo {
    /// Its message type.
    pub const MTI: Mti = Mti(820);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        // What else may stand in field 62 is nobody's business.
        let holds = fields.bytes(62).and_then(parameters::asked_for);
        Origin::decode(fields).map(|origin| Self { origin, holds })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.origin.write_housekeeping(301, writer);
        self.holds.iter().for_each(|holds| writer.bytes(62, &parameters::ask(*holds)));
    }
}
