//! The token's room: a PKCS#11 token keeps the master keys, and does what is done with them.
//!
//! In the token are two keys that never leave it: an AES-256 key that wraps, and one for HMAC-SHA-256 that
//! binds what is wrapped to its place. Terminal master keys are wrapped by the token (RFC 3394, which is
//! deterministic) and work in it as session objects for as long as one sign-in takes. Small secrets (a
//! session's keys, between two starts of the switch) are under AES-GCM with a nonce that the HMAC makes
//! of context and secret: the same one never meets another secret.
//!
//! What a token doesn't do: session MAC keys work in the switch's memory, because every swipe needs them
//! twice; SM4, which PKCS#11 has no name for. See docs/decisions/0005-two-rooms.md.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Cipher;
use crate::room::{Room, RoomFault};

/// The label of the key that wraps.
const WRAPPING: &str = "xingka-master";
/// The label of the key that binds.
const BINDING: &str = "xingka-master-hmac";

/// The form of a small secret: this byte, nonce, ciphertext and tag.
const SECRET_FORM: u8 = 2;
/// The form of a wrapped key: this byte, the wrapped key, half an HMAC that binds it to its place.
const KEY_FORM: u8 = 3;

const NONCE_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const BOUND_BYTES: usize = 16;

/// A token, with somebody logged in.
pub struct Token {
    /// PKCS#11 sessions aren't to be used by two threads at a time.
    session: Mutex<Session>,
    library: Pkcs11,
    label: String,
    pin: AuthPin,
}

/// The token's master keys, as one session has them.
struct Masters {
    wrapping: ObjectHandle,
    binding: ObjectHandle,
}

impl From<Error> for RoomFault {
    fn from(error: Error) -> Self {
        Self::Token(error.to_string())
    }
}

impl Token {
    /// Opens the token with this label, by the library of whoever made it.
    pub fn open(library: &Path, label: &str, pin: &str) -> Result<Self, RoomFault> {
        let library = Pkcs11::new(library)
            .map_err(|error| RoomFault::Token(format!("the library {} can't be loaded: {error}", library.display())))?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let pin = AuthPin::new(pin.into());
        let session = Mutex::new(log_in(&library, label, &pin)?);
        Ok(Self { session, library, label: label.to_owned(), pin })
    }

    /// Makes the master keys, where the token has none; whether it made any.
    pub fn provision(&self) -> Result<bool, RoomFault> {
        let session = self.session();
        let wrapping = find(&session, WRAPPING)?;
        let binding = find(&session, BINDING)?;
        match (wrapping, binding) {
            (Some(_), Some(_)) => Ok(false),
            (None, None) => {
                make_masters(&session)?;
                Ok(true)
            }
            _ => Err(RoomFault::Token(format!("it has only one of {WRAPPING} and {BINDING}: restore the other"))),
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        // Somebody's panic leaves a session as good as it was.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something in the token. A session that the token has lost is opened again, once.
    fn with<T>(&self, work: impl Fn(&Session, &Masters) -> Result<T, RoomFault>) -> Result<T, RoomFault> {
        let mut session = self.session();
        let first = masters(&session).and_then(|masters| work(&session, &masters));
        match first {
            Err(RoomFault::Token(_)) if session.get_session_info().is_err() => {
                *session = log_in(&self.library, &self.label, &self.pin)?;
                let masters = masters(&session)?;
                work(&session, &masters)
            }
            done => done,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.label)
    }
}

fn log_in(library: &Pkcs11, label: &str, pin: &AuthPin) -> Result<Session, RoomFault> {
    let slots = library.get_slots_with_token()?;
    let is_it = |slot: &cryptoki::slot::Slot| library.get_token_info(*slot).is_ok_and(|token| token.label() == label);
    let slot = slots.into_iter().find(is_it);
    let slot = slot.ok_or_else(|| RoomFault::Token(format!("there is none with the label {label:?}")))?;
    let session = library.open_rw_session(slot)?;
    match session.login(UserType::User, Some(pin)) {
        // Another session of this process is logged in, and with it every one.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(error) => Err(error.into()),
    }
}

fn find(session: &Session, label: &str) -> Result<Option<ObjectHandle>, RoomFault> {
    let template = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.as_bytes().to_vec())];
    Ok(session.find_objects(&template)?.first().copied())
}

fn masters(session: &Session) -> Result<Masters, RoomFault> {
    let missing = || RoomFault::Token("it has no master keys yet: xingka token provision".into());
    Ok(Masters {
        wrapping: find(session, WRAPPING)?.ok_or_else(missing)?,
        binding: find(session, BINDING)?.ok_or_else(missing)?,
    })
}

fn make_masters(session: &Session) -> Result<(), RoomFault> {
    let kept = |label: &str| {
        vec![
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::ValueLen(32.into()),
        ]
    };
    let mut wrapping = kept(WRAPPING);
    for allowed in [Attribute::Wrap(true), Attribute::Unwrap(true), Attribute::Encrypt(true), Attribute::Decrypt(true)]
    {
        wrapping.push(allowed);
    }
    session.generate_key(&Mechanism::AesKeyGen, &wrapping)?;
    let mut binding = kept(BINDING);
    binding.extend([Attribute::KeyType(KeyType::GENERIC_SECRET), Attribute::Sign(true), Attribute::Verify(true)]);
    session.generate_key(&Mechanism::GenericSecretKeyGen, &binding)?;
    Ok(())
}

fn hmac(session: &Session, masters: &Masters, parts: &[&[u8]]) -> Result<[u8; 32], RoomFault> {
    let digest = session.sign(&Mechanism::Sha256Hmac, masters.binding, &parts.concat())?;
    digest.try_into().map_err(|_| RoomFault::Token("an HMAC of another length".into()))
}

fn gcm<T>(nonce: &[u8], context: &str, work: impl FnOnce(&Mechanism<'_>) -> Result<T, Error>) -> Result<T, RoomFault> {
    let mut nonce = nonce.to_vec();
    let params = GcmParams::new(&mut nonce, context.as_bytes(), TAG_BITS.into())?;
    Ok(work(&Mechanism::AesGcm(params))?)
}

/// A key as an object of this session, which doesn't show it to anybody.
fn key_object(session: &Session, key: &[u8], extractable: bool) -> Result<ObjectHandle, RoomFault> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(extractable),
        Attribute::Value(key.to_vec()),
    ];
    Ok(session.create_object(&template)?)
}

/// What binds a wrapped key to its place.
fn bound(session: &Session, masters: &Masters, context: &str, wrapped: &[u8]) -> Result<Vec<u8>, RoomFault> {
    let digest = hmac(session, masters, &[b"key", &[0], context.as_bytes(), &[0], wrapped])?;
    Ok(digest.get(..BOUND_BYTES).unwrap_or_default().to_vec())
}

impl Room for Token {
    fn wrap(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, RoomFault> {
        self.with(|session, masters| {
            let digest = hmac(session, masters, &[b"nonce", &[0], context.as_bytes(), &[0], secret])?;
            let nonce = digest.get(..NONCE_BYTES).unwrap_or_default();
            let sealed = gcm(nonce, context, |mechanism| session.encrypt(mechanism, masters.wrapping, secret))?;
            Ok([&[SECRET_FORM], nonce, &sealed].concat())
        })
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        let Some((&SECRET_FORM, rest)) = wrapped.split_first() else {
            return Err(RoomFault::Form);
        };
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(RoomFault::Form)?;
        self.with(|session, masters| {
            let opened = gcm(nonce, context, |mechanism| session.decrypt(mechanism, masters.wrapping, sealed));
            match opened {
                Ok(opened) => Ok(Zeroizing::new(opened)),
                // Whatever a library calls it: the session is fine, so it is the bytes.
                Err(_) if session.get_session_info().is_ok() => Err(RoomFault::Key),
                Err(fault) => Err(fault),
            }
        })
    }

    fn derive(&self, label: &str) -> Result<[u8; 32], RoomFault> {
        self.with(|session, masters| hmac(session, masters, &[b"derive", &[0], label.as_bytes()]))
    }

    fn wrap_key(&self, context: &str, key: &[u8; 16]) -> Result<Vec<u8>, RoomFault> {
        self.with(|session, masters| {
            let object = key_object(session, key, true)?;
            let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, masters.wrapping, object);
            session.destroy_object(object)?;
            let wrapped = wrapped?;
            let bound = bound(session, masters, context, &wrapped)?;
            Ok([&[KEY_FORM], wrapped.as_slice(), &bound].concat())
        })
    }

    fn encrypt_under(&self, context: &str, wrapped: &[u8], cipher: Cipher, blocks: &mut [u8]) -> Result<(), RoomFault> {
        if cipher != Cipher::Tdes {
            return Err(RoomFault::Unsupported(
                "the token has no SM4: have this terminal sign in with network code 003 or 004, or keep its key in the \
                 software room",
            ));
        }
        let Some((&KEY_FORM, rest)) = wrapped.split_first() else {
            return Err(RoomFault::Form);
        };
        let (wrapped, binding) =
            rest.len().checked_sub(BOUND_BYTES).and_then(|at| rest.split_at_checked(at)).ok_or(RoomFault::Form)?;
        let encrypted = self.with(|session, masters| {
            let right = bound(session, masters, context, wrapped)?;
            if !bool::from(right.as_slice().ct_eq(binding)) {
                return Err(RoomFault::Key);
            }
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::DES2),
                Attribute::Token(false),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Encrypt(true),
            ];
            let object = session.unwrap_key(&Mechanism::AesKeyWrap, masters.wrapping, wrapped, &template)?;
            let encrypted = session.encrypt(&Mechanism::Des3Ecb, object, blocks);
            session.destroy_object(object)?;
            Ok(encrypted?)
        })?;
        if encrypted.len() != blocks.len() {
            return Err(RoomFault::Length);
        }
        blocks.copy_from_slice(&encrypted);
        Ok(())
    }

    fn reveal_key(&self, _: &str, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, RoomFault> {
        Err(RoomFault::Unsupported(
            "a terminal master key doesn't leave the token, so nobody can play this terminal here: use the terminal \
             itself, or a trial deployment with its key in the software room",
        ))
    }
}
