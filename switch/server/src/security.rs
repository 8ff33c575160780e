//! The security module: makes and opens session keys.
//!
//! The one door for keys. Whoever calls gets a MAC key to verify and seal with, or bytes
//! under another key; never a clear key. Terminal master keys work in a room behind it (software or a
//! token, see `xingka_security`); session keys work here, because every swipe needs them twice, in memory
//! that is wiped.

use std::sync::Arc;

use thiserror::Error;
use xingka_core::capsule::SignIn;
use xingka_core::city::Terminal;
use xingka_core::ids::TerminalId;
use xingka_core::record::NewKeys;
use xingka_core::session::SessionKey;
use xingka_security::Cipher;
use xingka_store::CityTerminal;
use xingka_store::vault::{MasterKey, RoomFault};
use xingka_wire::mac::{MacAlgorithm, MacKey, WrongKeyLength};
use xingka_wire::session_keys::{KeyFault, KeyLayout, MAX_KEY_FIELD_BYTES, SessionKeys};
use zeroize::Zeroizing;

/// Why the security module can't do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum SecurityFault {
    /// The keys of that network code can't serve the terminal's MAC.
    #[error(transparent)]
    Layout(#[from] KeyFault),
    /// A wrapped key doesn't open, or the room can't work with it.
    #[error("a key of terminal {0} can't be used: {1}")]
    Wrapped(TerminalId, RoomFault),
    /// A key has the wrong length.
    #[error(transparent)]
    Length(#[from] WrongKeyLength),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// The door.
pub(crate) struct SecurityModule {
    master: MasterKey,
}

const KEYS: usize = 3;
const KEY_BYTES: usize = 16;

impl SecurityModule {
    pub(crate) fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// Makes a terminal's next session keys.
    pub(crate) fn make_session_keys(
        &self,
        terminal: &CityTerminal,
        layout: KeyLayout,
        (serial, made_ms): (u32, i64),
    ) -> Result<(NewKeys, Arc<SessionKey>), SecurityFault> {
        let CityTerminal { terminal: Terminal { id, mac, .. }, tmk_wrapped, .. } = terminal;
        let mut random = Zeroizing::new([[0; KEY_BYTES]; KEYS]);
        getrandom::fill(random.as_flattened_mut()).map_err(SecurityFault::Random)?;
        let keys = SessionKeys::from_random(layout, *mac, &random)?;
        let mut field = [0; MAX_KEY_FIELD_BYTES];
        let cipher = if layout.is_sm4() { Cipher::Sm4 } else { Cipher::Tdes };
        let length = keys
            .wrap_by(layout, &mut field, |key| self.master.encrypt_under_tmk(*id, tmk_wrapped, cipher, key))
            .map_err(|fault| SecurityFault::Wrapped(*id, fault))?;
        let new = NewKeys {
            serial,
            network_code: layout.network_code(),
            for_terminal: field.get(..length).unwrap_or_default().to_vec(),
            wrapped: self
                .master
                .wrap(&session_context(*id, serial), random.as_flattened())
                .map_err(|fault| SecurityFault::Wrapped(*id, fault))?,
        };
        Ok((new, session_key(*mac, &keys, serial, made_ms)?))
    }

    /// Opens the session key of a recorded sign-in.
    pub(crate) fn open_session_key(
        &self,
        mac: MacAlgorithm,
        sign_in: &SignIn,
    ) -> Result<Arc<SessionKey>, SecurityFault> {
        let context = session_context(sign_in.terminal, sign_in.key_serial);
        let opened = self.master.unwrap(&context, &sign_in.wrapped_keys);
        let bytes = opened.map_err(|fault| SecurityFault::Wrapped(sign_in.terminal, fault))?;
        let mut random = Zeroizing::new([[0; KEY_BYTES]; KEYS]);
        let flat = random.as_flattened_mut();
        flat.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        let layout = KeyLayout::by_network_code(sign_in.network_code).ok_or(KeyFault::Layout)?;
        let keys = SessionKeys::from_random(layout, mac, &random)?;
        session_key(mac, &keys, sign_in.key_serial, sign_in.at.epoch_ms)
    }
}

fn session_key(
    mac: MacAlgorithm,
    keys: &SessionKeys,
    serial: u32,
    made_ms: i64,
) -> Result<Arc<SessionKey>, SecurityFault> {
    Ok(Arc::new(SessionKey { serial, made_ms, mac: MacKey::new(mac, keys.mac_key())? }))
}

/// Where a sign-in's session keys are wrapped for.
fn session_context(terminal: TerminalId, serial: u32) -> String {
    format!("session {terminal} {serial}")
}
