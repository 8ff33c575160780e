//! Terminals' session keys, as their recorded sign-ins made them.

use std::collections::HashMap;
use std::sync::Arc;

use xingka_core::capsule::{Record, SignIn};
use xingka_core::ids::TerminalId;
use xingka_core::ledger::BatchRecords;
use xingka_core::session::Session;
use xingka_store::City;
use xingka_store::register::SignIns;

use crate::security::SecurityModule;

/// Sessions of the terminals that are at home here.
pub(crate) type Sessions = HashMap<TerminalId, TerminalKeys>;

/// A terminal's sign-ins so far, and the session they made, if it is signed in.
#[derive(Debug, Clone, Default)]
pub(crate) struct TerminalKeys {
    pub(crate) serial: u32,
    pub(crate) session: Option<Arc<Session>>,
}

/// Opens recorded session keys.
pub(crate) struct Opener<'n> {
    pub(crate) city: &'n City,
    pub(crate) security: &'n SecurityModule,
}

impl Opener<'_> {
    /// What a terminal's sign-ins made, oldest first.
    pub(crate) fn open(&self, sign_ins: &SignIns) -> TerminalKeys {
        let mut keys = TerminalKeys::default();
        for sign_in in sign_ins {
            match sign_in {
                Some(sign_in) => self.sign_in(&mut keys, sign_in),
                None => keys.session = None,
            }
        }
        keys
    }

    fn sign_in(&self, keys: &mut TerminalKeys, sign_in: &SignIn) {
        // Nodes that didn't know of each other may have counted the same numbers.
        keys.serial = keys.serial.max(sign_in.key_serial);
        let Some(known) = self.city.terminal(&sign_in.terminal) else {
            return;
        };
        match self.security.open_session_key(known.terminal.mac, sign_in) {
            Ok(key) => keys.session = Some(Arc::new(Session::renewed(keys.session.as_deref(), key))),
            // Its MAC was changed since, say: the terminal is told to sign in again.
            Err(fault) => {
                keys.session = None;
                tracing::warn!(terminal = %sign_in.terminal, %fault, "a recorded session key can't be used any more");
            }
        }
    }
}

impl TerminalKeys {
    /// The keys that a batch's requests were made with are known to have arrived.
    pub(crate) fn confirm(mut self, batch: &BatchRecords) -> Self {
        for (_, record) in &batch.records {
            self.confirm_by(record);
        }
        self
    }

    fn confirm_by(&mut self, record: &Record) {
        let Some(asked) = record.asked() else { return };
        let session = self.session.as_ref();
        let confirmed = session.and_then(|session| session.confirmed(asked.key_serial, record.epoch_ms()));
        if let Some(session) = confirmed {
            self.session = Some(Arc::new(session));
        }
    }
}
