//! Whether the register can be asked, and what follows when it can't, or has turned a record down.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use xingka_core::capsule::{Record, RequestKey, Withdrawn, WithdrawnFor};
use xingka_core::ids::{Place, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::planted::{self, Bug};
use xingka_core::register::terminals;

use crate::node::Node;

/// Records that didn't stand, remembered for those who wait for their answers.
const LOST_REMEMBERED: usize = 65_536;

/// What a node knows of the register's state.
pub(crate) struct Reach {
    away: AtomicBool,
    /// Records that were made with the register at hand, and that it hasn't taken in yet; of swipes, which
    /// can be decided again, the request.
    unconfirmed: Mutex<BTreeMap<u64, Option<RequestKey>>>,
    /// Records of this journal that don't stand.
    lost: Mutex<BTreeMap<u64, WithdrawnFor>>,
    /// Terminals that have moved away, and the last record made here before that was noticed.
    moved: Mutex<HashMap<TerminalId, u64>>,
    /// The register has taken in the journal through here.
    shipped: AtomicU64,
    /// Wakes those who wait for more of it, in the order in which they began to: a simulation is the same
    /// every time.
    arrived: Notify,
}

impl Reach {
    pub(crate) fn new(shipped: u64) -> Self {
        let (shipped, arrived) = (AtomicU64::new(shipped), Notify::new());
        let (lost, moved, unconfirmed) = Default::default();
        Self { away: AtomicBool::new(false), unconfirmed, lost, moved, shipped, arrived }
    }

    /// Whether the register can't be asked.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(crate) fn set_shipped(&self, through: u64) {
        self.shipped.store(through, Ordering::Release);
        self.moved.lock().retain(|_, last| *last > through);
        let mut unconfirmed = self.unconfirmed.lock();
        *unconfirmed = unconfirmed.split_off(&(through + 1));
        drop(unconfirmed);
        self.arrived.notify_waiters();
    }

    /// A record was made with the register at hand.
    fn await_confirmation(&self, sequence: u64, record: &Record) {
        let swipe = matches!(record, Record::Swipe(_) | Record::Offline(_));
        let key = record.asked().map(|asked| asked.key).filter(|_| swipe);
        self.unconfirmed.lock().insert(sequence, key);
    }

    /// Whether a record of this node's, made with the register at hand, may yet turn out not to stand: its
    /// answer must not leave.
    pub(crate) fn is_unconfirmed(&self, place: Place) -> bool {
        self.unconfirmed.lock().contains_key(&place.sequence())
    }

    /// How far the register has taken in the journal.
    pub(crate) fn shipped(&self) -> u64 {
        self.shipped.load(Ordering::Acquire)
    }

    /// Waits until the register has taken in the journal through here.
    pub(crate) async fn until_shipped(&self, through: u64) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // Listening before looking: nothing that arrives in between is missed.
            arrived.as_mut().enable();
            if self.shipped() >= through {
                return;
            }
            arrived.await;
        }
    }

    /// Why a record doesn't stand, if it doesn't.
    pub(crate) fn lost(&self, place: Place) -> Option<WithdrawnFor> {
        self.lost.lock().get(&place.sequence()).copied()
    }

    fn lose(&self, place: Place, reason: WithdrawnFor) {
        let mut lost = self.lost.lock();
        lost.insert(place.sequence(), reason);
        if lost.len() > LOST_REMEMBERED {
            lost.pop_first();
        }
    }
}

impl Node {
    /// Whether answers wait until their records stand in the register.
    pub(crate) fn is_shared(&self) -> bool {
        self.register.is_shared()
    }

    /// Whether what is decided now is a stand-in. To be asked with the ledger locked.
    pub(crate) fn stands_in(&self) -> bool {
        self.is_shared() && self.reach.is_away()
    }

    /// Waits until everything that this node made about a terminal before it knew that it had moved away
    /// has been turned down.
    pub(crate) async fn until_forgotten(&self, terminal: &TerminalId) {
        let last = self.reach.moved.lock().get(terminal).copied();
        if let Some(last) = last {
            self.reach.until_shipped(last).await;
        }
    }

    /// Notes that a record's answer waits for the register. To be called with the ledger locked.
    pub(crate) fn await_confirmation(&self, place: Place, record: &Record) {
        if self.is_shared() && !matches!(record, Record::StandIn(_)) {
            self.reach.await_confirmation(place.sequence(), record);
        }
    }

    /// The register can't be asked from here on: nobody waits for it any longer. What hasn't been confirmed
    /// isn't answered: another node may have become its terminal's home. Swipes are withdrawn, and
    /// decided again by this node alone; what follows them (a reversal, a settlement) can't be
    /// undone here, and is told 91 until the register has it.
    pub(crate) fn lose_register(&self) {
        if !self.is_shared() {
            return;
        }
        let mut ledger = self.ledger();
        if self.reach.away.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!("the register can't be had: this node answers by itself, without limited benefits");
        self.metrics.register.away.increment(1);
        self.metrics.register.reachable.set(0.0);
        let unconfirmed = self.reach.unconfirmed.lock().clone();
        for (sequence, swipe) in unconfirmed {
            let place = Place::new(self.settings.node, sequence);
            if let Some(key) = swipe.filter(|_| !planted::has(Bug::AnswerUnconfirmed)) {
                ledger.withdraw(&key, place);
                self.withdraw(&mut ledger, (key, place), WithdrawnFor::Unconfirmed);
            }
        }
        self.journal.outbox().wait_for_register(false);
    }

    /// The register can be asked again, and has nearly everything.
    pub(crate) fn regain_register(&self) {
        if !self.is_shared() {
            return;
        }
        let _ledger = self.ledger();
        if self.reach.away.load(Ordering::Acquire) {
            self.journal.outbox().wait_for_register(true);
            self.reach.away.store(false, Ordering::Release);
            self.metrics.register.reachable.set(1.0);
            tracing::info!("the register is back");
        }
    }

    /// A record didn't stand: undoes here what it did.
    pub(crate) fn lose_record(&self, place: Place, record: &Record, reason: WithdrawnFor) {
        if let Record::Withdrawn(_) = record {
            return;
        }
        let mut ledger = self.ledger();
        self.metrics.register.lost(record, reason);
        if let (Record::StandIn(_), Some(asked)) = (record, record.asked()) {
            tracing::error!(%place, key = ?asked.key, "a stand-in answer was given for a request that another node had answered too");
        }
        match reason {
            WithdrawnFor::Moved | WithdrawnFor::Doubled => {
                for terminal in terminals(record) {
                    self.forget(&mut ledger, terminal);
                }
            }
            WithdrawnFor::Exhausted(_) | WithdrawnFor::Unconfirmed => {
                if let Some(asked) = record.asked() {
                    ledger.withdraw(&asked.key, place);
                }
            }
        }
        match record.asked() {
            Some(asked) => self.withdraw(&mut ledger, (asked.key, place), reason),
            None => self.reach.lose(place, reason),
        }
    }

    /// Forgets a terminal that has moved to another node.
    pub(crate) fn forget(&self, ledger: &mut Ledger, terminal: TerminalId) {
        if planted::has(Bug::KeepMoved) {
            return;
        }
        ledger.forget(&terminal);
        self.move_out(&terminal);
        self.reach.moved.lock().insert(terminal, ledger.newest());
    }

    /// Puts into the journal that one of its records doesn't hold.
    fn withdraw(&self, ledger: &mut Ledger, (key, place): (RequestKey, Place), reason: WithdrawnFor) {
        self.reach.lose(place, reason);
        let mut journal = self.journal.appender();
        let at = Place::new(self.settings.node, journal.next_sequence());
        let record = Record::Withdrawn(Box::new(Withdrawn { place, key, at: self.clock.now(), reason }));
        match journal.append(&record) {
            Ok(_) => ledger.apply(at, &record),
            // The register knows of it; or nothing is answered at all until the journal is back.
            Err(error) => tracing::error!(%error, %place, "that a record doesn't hold can't be written down"),
        }
    }
}
