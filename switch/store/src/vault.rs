//! Secrets at rest: the deployment's master key, wherever it is kept.
//!
//! In a file or the environment it is a software room's, in a token the token's own; whoever holds this
//! can't tell, and needn't. See `xingka_security::room`.

use std::sync::Arc;

use thiserror::Error;
use xingka_core::ids::TerminalId;
use xingka_security::Cipher;
use xingka_security::room::SoftwareRoom;
pub use xingka_security::room::{Room, RoomFault};
use zeroize::Zeroizing;

/// The deployment's master key: wraps terminal master keys, and other keys come from it.
#[derive(Debug, Clone)]
pub struct MasterKey(Arc<dyn Room>);

/// A master key that can't be read. Says nothing of what was there instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a master key is written as 64 hexadecimal digits")]
pub struct BadMasterKey;

impl MasterKey {
    /// Of the software room, from its 32 bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(SoftwareRoom::new(key)))
    }

    /// Of the software room, from the text of a key file; white space around it doesn't matter.
    pub fn from_hex(text: &str) -> Result<Self, BadMasterKey> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut()).map_err(|_| BadMasterKey)?;
        Ok(Self::new(*key))
    }

    /// Of another room: a token's.
    pub fn in_room(room: impl Room + 'static) -> Self {
        Self(Arc::new(room))
    }

    /// The same secret in the same context always gives the same bytes.
    pub fn wrap(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, RoomFault> {
        self.0.wrap(context, secret)
    }

    /// Opens what [`MasterKey::wrap`] gave for this context.
    pub fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        self.0.unwrap(context, wrapped)
    }

    /// Another key, for the purpose that `label` names.
    pub fn derive(&self, label: &str) -> Result<[u8; 32], RoomFault> {
        self.0.derive(label)
    }

    /// A terminal's master key, to be stored.
    pub fn wrap_tmk(&self, terminal: TerminalId, tmk: &[u8; 16]) -> Result<Vec<u8>, RoomFault> {
        self.0.wrap_key(&tmk_context(terminal), tmk)
    }

    /// The check value of a terminal's master key: K(00…00) under two-key 3DES, which every room has.
    pub fn check_tmk(&self, terminal: TerminalId, wrapped: &[u8]) -> Result<[u8; 4], RoomFault> {
        let mut block = [0; 8];
        self.0.encrypt_under(&tmk_context(terminal), wrapped, Cipher::Tdes, &mut block)?;
        Ok(block.first_chunk().copied().unwrap_or_default())
    }

    /// Encrypts whole blocks, each by itself, under a terminal's master key.
    pub fn encrypt_under_tmk(
        &self,
        terminal: TerminalId,
        wrapped: &[u8],
        cipher: Cipher,
        blocks: &mut [u8],
    ) -> Result<(), RoomFault> {
        self.0.encrypt_under(&tmk_context(terminal), wrapped, cipher, blocks)
    }

    /// A terminal's master key itself, for those who play terminals; a token refuses.
    pub fn reveal_tmk(&self, terminal: TerminalId, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        self.0.reveal_key(&tmk_context(terminal), wrapped)
    }
}

/// The context in which a terminal's master key is wrapped.
fn tmk_context(terminal: TerminalId) -> String {
    format!("tmk {terminal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMK: [u8; 16] = [0x5A; 16];

    fn key(byte: u8) -> MasterKey {
        MasterKey::new([byte; 32])
    }

    fn terminal(id: &str) -> TerminalId {
        id.parse().unwrap()
    }

    #[test]
    fn what_is_wrapped_works_again_and_in_its_place_only() {
        let wrap = || key(1).wrap_tmk(terminal("T0000001"), &TMK).unwrap();
        let wrapped = wrap();
        assert_eq!(wrap(), wrapped, "an import again changes nothing");
        assert_eq!(key(1).reveal_tmk(terminal("T0000001"), &wrapped).unwrap().as_slice(), TMK);
        assert!(key(1).check_tmk(terminal("T0000001"), &wrapped).is_ok());
        assert_eq!(key(2).check_tmk(terminal("T0000001"), &wrapped).unwrap_err(), RoomFault::Key);
        assert_eq!(key(1).check_tmk(terminal("T0000002"), &wrapped).unwrap_err(), RoomFault::Key);
        assert_eq!(key(1).check_tmk(terminal("T0000001"), &[2, 0, 0]).unwrap_err(), RoomFault::Form);
        assert_ne!(wrapped, key(1).wrap_tmk(terminal("T0000002"), &TMK).unwrap());
        assert_ne!(wrapped, key(2).wrap_tmk(terminal("T0000001"), &TMK).unwrap());
    }

    /// Stores are older than the rooms: what was wrapped before opens as it did.
    #[test]
    fn the_software_rooms_form_stays() {
        let wrapped = key(1).wrap("tmk T0000001", &TMK).unwrap();
        assert_eq!(wrapped.len(), 33);
        assert_eq!(wrapped, key(1).wrap_tmk(terminal("T0000001"), &TMK).unwrap());
        for at in 1..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(key(1).unwrap("tmk T0000001", &changed).unwrap_err(), RoomFault::Key);
        }
    }

    #[test]
    fn keys_are_read_from_hex_and_never_shown() {
        let text = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n";
        let key = MasterKey::from_hex(text).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(SoftwareRoom(…))");
        assert_eq!(MasterKey::from_hex("0011").unwrap_err(), BadMasterKey);
    }

    #[test]
    fn derived_keys_depend_on_label_and_master() {
        assert_ne!(key(1).derive("a"), key(1).derive("b"));
        assert_ne!(key(1).derive("a"), key(2).derive("a"));
        assert_eq!(key(1).derive("a"), key(1).derive("a"));
    }
}
