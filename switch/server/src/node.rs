//! What all connections of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use xingka_core::answer::{Number, Source, Stamp};
use xingka_core::ids::TerminalId;
use xingka_core::ledger::Ledger;
use xingka_core::pan::CardHasher;
use xingka_core::planted::{self, Bug};
use xingka_core::session::{Session, SessionKey};
use xingka_core::time::Moment;
use xingka_store::City;
use xingka_store::journal::chain::Hash;
use xingka_store::journal::{Journal, JournalAt, JournalError, JournalReader};
use xingka_store::register::Register;

use crate::clock::Clock;
use crate::commands::Offered;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::newcomers::Newcomers;
use crate::pressure::Pressure;
use crate::reach::Reach;
use crate::security::SecurityModule;
use crate::settings::Settings;
use crate::terminal_keys::{Sessions, TerminalKeys};

/// A node: the city, the journal, and what it knows of what all journals add up to.
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) city: City,
    pub(crate) journal: Journal,
    pub(crate) journal_at: JournalAt,
    pub(crate) hasher: CardHasher,
    pub(crate) security: SecurityModule,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) newcomers: Arc<Newcomers>,
    pub(crate) offered: Option<Offered>,
    pub(crate) pressure: Pressure,
    pub(crate) register: Arc<dyn Register>,
    pub(crate) reach: Reach,
    /// Held while a request is decided and put into the journal, so that the journal's
    /// order is the order in which decisions saw each other's effects.
    ledger: Mutex<Ledger>,
    sessions: RwLock<Sessions>,
    /// For repeats: their answers are read back from the journal.
    reader: tokio::sync::Mutex<JournalReader>,
    unrecorded: AtomicU64,
    stopping: AtomicBool,
}

impl Node {
    pub(crate) fn new(
        (settings, clock): (Settings, Clock),
        city: City,
        (hasher, security): (CardHasher, SecurityModule),
        (journal, reader, journal_at): (Journal, JournalReader, JournalAt),
        (register, shipped): (Arc<dyn Register>, u64),
    ) -> Arc<Self> {
        let alone = !register.is_shared();
        // Counted on from the clock, so that a restart doesn't begin again.
        let unrecorded = AtomicU64::new(clock.now().epoch_ms.unsigned_abs() / 100);
        let limits = Limits::new(settings.limits);
        let offered = Offered::new(settings.terminals.parameters);
        Arc::new(Self {
            settings,
            clock,
            city,
            journal,
            journal_at,
            hasher,
            security,
            metrics: Metrics::new(),
            limits,
            newcomers: Arc::default(),
            offered,
            pressure: Pressure::default(),
            register,
            reach: Reach::new(shipped),
            ledger: Mutex::new(Ledger::cache(alone)),
            sessions: RwLock::default(),
            reader: tokio::sync::Mutex::new(reader),
            unrecorded,
            stopping: AtomicBool::new(false),
        })
    }

    /// The ledger, alone.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// A terminal's keys, if it is at home here.
    pub(crate) fn keys(&self, terminal: &TerminalId) -> Option<TerminalKeys> {
        self.sessions.read().get(terminal).cloned()
    }

    /// A terminal has come home. To be called with the ledger locked, as whatever moves one.
    pub(crate) fn settle_in(&self, terminal: TerminalId, keys: TerminalKeys) {
        self.sessions.write().insert(terminal, keys);
    }

    /// A terminal has moved away.
    pub(crate) fn move_out(&self, terminal: &TerminalId) {
        self.sessions.write().remove(terminal);
    }

    /// The serial of a terminal's next sign-in.
    pub(crate) fn next_serial(&self, terminal: &TerminalId) -> u32 {
        let sessions = self.sessions.read();
        sessions.get(terminal).map_or(1, |keys| keys.serial.wrapping_add(1))
    }

    /// The session after a sign-in.
    pub(crate) fn signed_in(&self, terminal: TerminalId, key: Arc<SessionKey>) {
        let mut sessions = self.sessions.write();
        let Some(keys) = sessions.get_mut(&terminal) else { return };
        keys.serial = key.serial;
        keys.session = Some(Arc::new(Session::renewed(keys.session.as_deref(), key)));
    }

    /// No session after a sign-off.
    pub(crate) fn signed_off(&self, terminal: TerminalId) {
        let mut sessions = self.sessions.write();
        if let Some(keys) = sessions.get_mut(&terminal) {
            keys.session = None;
        }
    }

    /// A key verified a request: where it is the first one with it, the older keys' time begins
    /// to run out.
    pub(crate) fn confirm(&self, terminal: &TerminalId, session: &Session, serial: u32, now: Moment) {
        if session.confirmed(serial, now.epoch_ms).is_none() {
            return;
        }
        let mut sessions = self.sessions.write();
        let Some(keys) = sessions.get_mut(terminal) else {
            return;
        };
        // Looked at again under the lock: a sign-in may have come in between.
        if let Some(confirmed) = keys.session.as_ref().and_then(|session| session.confirmed(serial, now.epoch_ms)) {
            keys.session = Some(Arc::new(confirmed));
        }
    }

    /// Forgets everything, and goes on where the journal really ends: the register knows what led there.
    pub(crate) fn begin_anew(&self, head: (u64, Hash)) {
        let mut ledger = self.ledger();
        if !planted::has(Bug::KeepMemory) {
            *ledger = Ledger::cache(!self.register.is_shared());
        }
        ledger.shipped(head.0);
        self.sessions.write().clear();
        self.journal.reopen(head);
    }

    /// The journal, to read one record back.
    pub(crate) async fn reader(&self) -> tokio::sync::MutexGuard<'_, JournalReader> {
        self.reader.lock().await
    }

    /// From here on connections take no new work.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Closes the journal, which is then one file.
    pub(crate) async fn close(self) -> Result<(), JournalError> {
        self.reader.into_inner().close().await?;
        self.journal.close().await
    }

    /// The stamp of an answer that has no record.
    pub(crate) fn unrecorded_stamp(&self) -> Stamp {
        let number = self.unrecorded.fetch_add(1, Ordering::Relaxed);
        Stamp { at: self.clock.now(), number: Number::Unrecorded(number), source: Source::Live }
    }
}
