//! The rooms in which keys are kept: one door, two of them behind it.
//!
//! Whoever comes to the door gets bytes under another key, or the result of a key's work; the keys
//! that others are encrypted under (terminal master keys) never come out. In the software room
//! everything is under a master key from file or environment; in a token's room
//! ([`crate::token`]) the master key is the token's own and can't be had at all.
//!
//! The software room wraps with AES-256-GCM-SIV and a nonce made from the context, on purpose without
//! randomness: the same secret in the same place always gives the same bytes. So importing a terminal again
//! changes nothing, an export equals the one before it, and the import can tell "same key"
//! from "new key" without opening either. With plain GCM a nonce that comes twice would
//! give the authentication key away; the SIV construction is made for that case (RFC 8452,
//! section 9), and all that shows is *whether* two secrets of one place are equal, which is
//! what the import wants to know. Two places never look alike: the context is in the nonce
//! and in the associated data, so a wrapped key moved to another terminal does not open.
//!
//! Refused: random nonces (every import would rewrite every terminal), and storing a hash
//! beside the wrapped key to compare by (a second form of the same secret to look after).

use std::fmt;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Cipher;

/// Why a room can't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoomFault {
    /// It isn't in a form that this room wraps.
    #[error("it isn't a wrapped key of this room")]
    Form,
    /// Another key wrapped it, or for another place, or it was changed.
    #[error("it was wrapped under another master key, for another place, or was changed since")]
    Key,
    /// The data don't fit the cipher.
    #[error("the key or what it is to encrypt has the wrong length for its cipher")]
    Length,
    /// The room has no such cipher.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The token can't do it, or isn't there.
    #[error("the token: {0}")]
    Token(String),
}

/// Where keys are kept.
pub trait Room: Send + Sync + fmt::Debug {
    /// A secret, to be stored. The same one in the same context always gives the same bytes.
    fn wrap(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, RoomFault>;

    /// What [`Room::wrap`] was given in this context.
    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault>;

    /// Another key, for the purpose that `label` names.
    fn derive(&self, label: &str) -> Result<[u8; 32], RoomFault>;

    /// A key that others are to be encrypted under: 16 bytes. The same one in the same context always
    /// gives the same bytes; it doesn't come out again.
    fn wrap_key(&self, context: &str, key: &[u8; 16]) -> Result<Vec<u8>, RoomFault>;

    /// Encrypts whole blocks, each by itself, under a key that [`Room::wrap_key`] took in.
    fn encrypt_under(&self, context: &str, wrapped: &[u8], cipher: Cipher, blocks: &mut [u8]) -> Result<(), RoomFault>;

    /// The key itself, for those who play terminals on trial deployments; a token refuses.
    fn reveal_key(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault>;
}

/// The form of a secret that the software room wrapped: this byte, then ciphertext and tag.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The software room: its master key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SoftwareRoom([u8; 32]);

impl SoftwareRoom {
    /// With its master key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
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

impl fmt::Debug for SoftwareRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareRoom(…)")
    }
}

impl Room for SoftwareRoom {
    fn wrap(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, RoomFault> {
        let payload = Payload { msg: secret, aad: context.as_bytes() };
        let sealed = self.cipher().encrypt(&self.nonce(context), payload).map_err(|_| RoomFault::Length)?;
        Ok([&[FORM], sealed.as_slice()].concat())
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        let Some((&FORM, sealed)) = wrapped.split_first() else {
            return Err(RoomFault::Form);
        };
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let opened = self.cipher().decrypt(&self.nonce(context), payload);
        opened.map(Zeroizing::new).map_err(|_| RoomFault::Key)
    }

    fn derive(&self, label: &str) -> Result<[u8; 32], RoomFault> {
        Ok(self.hmac(&[b"derive", &[0], label.as_bytes()]))
    }

    fn wrap_key(&self, context: &str, key: &[u8; 16]) -> Result<Vec<u8>, RoomFault> {
        self.wrap(context, key)
    }

    fn encrypt_under(&self, context: &str, wrapped: &[u8], cipher: Cipher, blocks: &mut [u8]) -> Result<(), RoomFault> {
        let key = self.unwrap(context, wrapped)?;
        cipher.encrypt(&key, blocks).ok_or(RoomFault::Length)
    }

    fn reveal_key(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        self.unwrap(context, wrapped)
    }
}
