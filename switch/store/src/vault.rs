//! Secrets at rest: what wraps terminal master keys, and what other keys are derived from.
//!
//! AES-256-GCM-SIV with a nonce made from the context, on purpose without randomness: the
//! same key in the same place always gives the same bytes. So importing a terminal again
//! changes nothing, an export equals the one before it, and the import can tell "same key"
//! from "new key" without opening either. With plain GCM a nonce that comes twice would
//! give the authentication key away; the SIV construction is made for that case (RFC 8452,
//! section 9), and all that shows is *whether* two secrets of one place are equal, which is
//! what the import wants to know. Two places never look alike: the context is in the nonce
//! and in the associated data, so a wrapped key moved to another terminal does not open.
//!
//! Refused: random nonces (every import would rewrite every terminal), and storing a hash
//! beside the wrapped key to compare by (a second form of the same secret to look after).

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use thiserror::Error;
use xingka_core::ids::TerminalId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The form of a wrapped secret: this byte, then ciphertext and tag.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The deployment's master key: wraps terminal master keys, and other keys come from it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// A master key that can't be read. Says nothing of what was there instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a master key is written as 64 hexadecimal digits")]
pub struct BadMasterKey;

/// A wrapped secret that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOpened {
    /// It isn't in a form that this version wraps.
    #[error("it isn't a wrapped key of this version")]
    Form,
    /// Another key wrapped it, or for another place, or it was changed.
    #[error("it was wrapped under another master key, for another place, or was changed since")]
    Key,
}

impl MasterKey {
    /// From its 32 bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// From the text of a key file; white space around it doesn't matter.
    pub fn from_hex(text: &str) -> Result<Self, BadMasterKey> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut()).map_err(|_| BadMasterKey)?;
        Ok(Self(*key))
    }

    /// The same secret in the same context always gives the same bytes.
    pub fn wrap(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: secret, aad: context.as_bytes() };
        // The cipher refuses only what is longer than 64 GiB; nothing, then, opens nowhere.
        let sealed = self.cipher().encrypt(&self.nonce(context), payload).unwrap_or_default();
        [&[FORM], sealed.as_slice()].concat()
    }

    /// Opens what [`MasterKey::wrap`] gave for this context.
    pub fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let Some((&FORM, sealed)) = wrapped.split_first() else {
            return Err(NotOpened::Form);
        };
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let opened = self.cipher().decrypt(&self.nonce(context), payload);
        opened.map(Zeroizing::new).map_err(|_| NotOpened::Key)
    }

    /// Another key, for the purpose that `label` names: HMAC-SHA-256 of the label.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.hmac(&[b"derive", &[0], label.as_bytes()])
    }

    /// The key that wraps is itself derived, so that no other use of the master key meets it.
    fn cipher(&self) -> Aes256GcmSiv {
        let key = Zeroizing::new(self.hmac(&[b"wrap"]));
        Aes256GcmSiv::new(&(*key).into())
    }

    fn nonce(&self, context: &str) -> Nonce {
        let digest = self.hmac(&[b"nonce", &[0], context.as_bytes()]);
        std::array::from_fn::<u8, NONCE_BYTES, _>(|at| digest[at]).into()
    }

    fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so the error has no way to come about.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| Hmac::new(&Default::default()));
        parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The context in which a terminal's master key is wrapped.
pub fn tmk_context(terminal: TerminalId) -> String {
    format!("tmk {terminal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMK: &[u8] = &[0x5A; 16];

    fn key(byte: u8) -> MasterKey {
        MasterKey::new([byte; 32])
    }

    #[test]
    fn what_is_wrapped_opens_again() {
        let wrapped = key(1).wrap("tmk T0000001", TMK);
        assert_eq!(key(1).unwrap("tmk T0000001", &wrapped).unwrap().as_slice(), TMK);
    }

    #[test]
    fn wrapping_again_gives_the_same() {
        let wrap = || key(1).wrap("tmk T0000001", TMK);
        assert_eq!(wrap(), wrap());
        assert_ne!(wrap(), key(1).wrap("tmk T0000002", TMK));
        assert_ne!(wrap(), key(2).wrap("tmk T0000001", TMK));
    }

    #[test]
    fn nothing_opens_under_another_key_or_elsewhere_or_changed() {
        let wrapped = key(1).wrap("tmk T0000001", TMK);
        assert_eq!(key(2).unwrap("tmk T0000001", &wrapped).unwrap_err(), NotOpened::Key);
        assert_eq!(key(1).unwrap("tmk T0000002", &wrapped).unwrap_err(), NotOpened::Key);
        for at in 1..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(key(1).unwrap("tmk T0000001", &changed).unwrap_err(), NotOpened::Key);
        }
        assert_eq!(key(1).unwrap("tmk T0000001", &[]).unwrap_err(), NotOpened::Form);
        assert_eq!(key(1).unwrap("tmk T0000001", &[2, 0, 0]).unwrap_err(), NotOpened::Form);
    }

    #[test]
    fn keys_are_read_from_hex_and_never_shown() {
        let text = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n";
        let key = MasterKey::from_hex(text).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
        assert_eq!(MasterKey::from_hex("0011").unwrap_err(), BadMasterKey);
    }

    #[test]
    fn derived_keys_depend_on_label_and_master() {
        assert_ne!(key(1).derive("a"), key(1).derive("b"));
        assert_ne!(key(1).derive("a"), key(2).derive("a"));
        assert_eq!(key(1).derive("a"), key(1).derive("a"));
    }
}
