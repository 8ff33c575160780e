//! Sign-off, 0820 / 002: no requests until the next sign-in.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::Origin;

/// Sign-off, 0820 / 002: no requests until the next sign-in.
#[derive(Debug, Clone, Copy)]
pub struct SignOff {
    /// Who asks.
    pub origin: Origin,
}

impl SignOff {
    /// Its message type.
    pub const MTI: Mti = Mti(820);

    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Origin::decode(fields).map(|origin| Self { origin })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.origin.write_housekeeping(2, writer);
    }
}
