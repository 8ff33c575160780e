//! A node's memory, rebuilt from its journal: at start, and after writing had failed.
//!
//! The journal is followed along its hash chain, so a node never starts on a record that
//! was tampered with.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use xingka_core::capsule::{Asked, Record, SignIn};
use xingka_core::ids::TerminalId;
use xingka_core::ledger::Ledger;
use xingka_core::session::Session;
use xingka_store::City;
use xingka_store::journal::chain::Hash;
use xingka_store::journal::{JournalError, JournalReader, Stored};

use crate::security::SecurityModule;

/// Everything the journal adds up to.
pub(crate) struct Memory {
    pub(crate) ledger: Ledger,
    pub(crate) sessions: Sessions,
    pub(crate) head: (u64, Hash),
}

/// Terminals' sessions.
pub(crate) type Sessions = HashMap<TerminalId, TerminalKeys>;

/// A terminal's sign-ins so far, and the session they made, if it is signed in.
#[derive(Debug, Clone, Default)]
pub(crate) struct TerminalKeys {
    pub(crate) serial: u32,
    pub(crate) session: Option<Arc<Session>>,
}

/// Reads the journal from its beginning.
pub(crate) async fn rebuild(journal: &Path, city: &City, security: &SecurityModule) -> Result<Memory, JournalError> {
    let mut reader = JournalReader::open(journal).await?;
    let mut memory =
        Memory { ledger: Ledger::default(), sessions: HashMap::new(), head: (0, Hash::genesis(reader.node())) };
    let head = reader.each_verified(|stored| memory.take(&stored, city, security)).await?;
    Ok(Memory { head, ..memory })
}

impl Memory {
    fn take(&mut self, stored: &Stored, city: &City, security: &SecurityModule) {
        self.ledger.apply(stored.sequence, &stored.record);
        match &stored.record {
            Record::SignIn(sign_in) => self.sign_in(sign_in, city, security),
            Record::SignOff(sign_off) => self.sessions.entry(sign_off.terminal).or_default().session = None,
            record => {
                if let Some(asked) = record.asked() {
                    self.confirm(asked, record.epoch_ms());
                }
            }
        }
    }

    fn sign_in(&mut self, sign_in: &SignIn, city: &City, security: &SecurityModule) {
        let keys = self.sessions.entry(sign_in.terminal).or_default();
        keys.serial = sign_in.key_serial;
        let Some(known) = city.terminal(&sign_in.terminal) else {
            return;
        };
        match security.open_session_key(known.terminal.mac, sign_in) {
            Ok(key) => keys.session = Some(Arc::new(Session::renewed(keys.session.as_deref(), key))),
            // Its MAC was changed since, say: the terminal is told to sign in again.
            Err(fault) => {
                keys.session = None;
                tracing::warn!(terminal = %sign_in.terminal, %fault, "a recorded session key can't be used any more");
            }
        }
    }

    fn confirm(&mut self, asked: &Asked, at_ms: i64) {
        let Some(keys) = self.sessions.get_mut(&asked.key.terminal) else {
            return;
        };
        let confirmed = keys.session.as_ref().and_then(|session| session.confirmed(asked.key_serial, at_ms));
        if let Some(session) = confirmed {
            keys.session = Some(Arc::new(session));
        }
    }
}
