//! Sign-in, 0800 / 001, 003 to 006: new session keys, and which batch is open.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mti::Mti;
use crate::session_keys::KeyLayout;

use super::parts::Origin;

/// Sign-in, 0800. The network code says which keys are wanted.
#[derive(Debug, Clone, Copy)]
pub struct SignIn {
    /// Who asks.
    pub origin: Origin,
    /// Cipher and layout of the keys.
    pub layout: KeyLayout,
}

impl SignIn {
    /// Its message type.
    pub const MTI: Mti = Mti(800);

    pub(super) fn decode(fields: &Fields<'_>, network_code: u16) -> Result<Self, Fault> {
        let layout = KeyLayout::by_network_code(network_code).ok_or(Fault::UNKNOWN_MESSAGE)?;
        Origin::decode(fields).map(|origin| Self { origin, layout })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        self.origin.write_housekeeping(u64::from(self.layout.network_code()), writer);
    }
}
