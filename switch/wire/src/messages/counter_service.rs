//! Counter service, 0100: who stands at the counter, for the service in DF01?

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;

use super::parts::{Extra, Kind, Presented};

pub(super) const KIND: Kind = (31, 0, 1);

/// Counter service, 0100: who stands at the counter, for the service in DF01?
#[derive(Debug, Clone)]
pub struct CounterService<'a> {
    /// The card, where and how.
    pub presented: Presented<'a>,
}

impl<'a> CounterService<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(100);

    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        Presented::decode(fields).map(|presented| Self { presented })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.presented.write(KIND, &Extra::default(), writer);
    }
}
