//! Whether the register can be asked, and what follows when it can't, or has turned a record down.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;
use xingka_core::capsule::{Record, RequestKey, Withdrawn, WithdrawnFor};
use xingka_core::ids::{Place, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::register::terminals;

use crate::node::Node;

/// Records that didn't stand, remembered for those who wait for their answers.
const LOST_REMEMBERED: usize = 65_536;

/// What a node knows of the register's state.
pub(crate) struct Reach {
    away: AtomicBool,
    /// Records of this journal that don't stand.
    lost: Mutex<BTreeMap<u64, WithdrawnFor>>,
    /// Terminals that have moved away, and the last record made here before that was noticed.
    moved: Mutex<HashMap<TerminalId, u64>>,
    /// The register has taken in the journal through here.
    shipped: watch::Sender<u64>,
}

impl Reach {
    pub(crate) fn new(shipped: u64) -> Self {
        let shipped = watch::Sender::new(shipped);
        Self { away: AtomicBool::new(false), lost: Mutex::default(), moved: Mutex::default(), shipped }
    }

    /// Whether the register can't be asked.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(crate) fn set_shipped(&self, through: u64) {
        self.shipped.send_replace(through);
        self.moved.lock().retain(|_, last| *last > through);
    }

    /// How far the register has taken in the journal.
    pub(crate) fn shipped(&self) -> u64 {
        *self.shipped.borrow()
    }

    /// Waits until the register has taken in the journal through here.
    pub(crate) async fn until_shipped(&self, through: u64) {
        let mut shipped = self.shipped.subscribe();
        // The sender lives as long as the node.
        let _ = shipped.wait_for(|shipped| *shipped >= through).await;
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

    /// The register can't be asked from here on: nobody waits for it any longer. What used up limited
    /// benefits and hasn't been confirmed isn't answered, but withdrawn and decided again without them.
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
        for (key, place) in ledger.unconfirmed() {
            ledger.withdraw(&key, place);
            self.withdraw(&mut ledger, (key, place), WithdrawnFor::Unconfirmed);
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
