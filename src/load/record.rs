//! What the terminals report, and who adds it up.
//!
//! Terminals push samples (kind and microseconds) into a few shared lists; one thread
//! empties them ten times a second into its histograms. A terminal keeps nothing of its own:
//! with ten thousand of them, a histogram each would be hundreds of megabytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mix::Kind;

/// So many lists: more than threads that push at a time.
const LISTS: usize = 8;

/// Different errors that are told apart. A peer that makes up codes has no end of them.
const ERROR_KINDS_AT_MOST: usize = 50;

/// An answer that was right.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// To what.
    pub kind: Kind,
    /// After how long.
    pub micros: u32,
}

/// What is only counted.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// A sign-in because the switch said so.
    SignIn,
    /// A line made again.
    Reconnect,
    /// A request sent again.
    Repeat,
    /// A holder's star changed.
    StarChange,
}

/// Shared by all terminals.
#[derive(Debug, Default)]
pub struct Recorder {
    lists: [Mutex<Vec<Sample>>; LISTS],
    sent: [AtomicU64; Kind::ALL.len()],
    counts: [AtomicU64; 4],
    errors: AtomicU64,
    error_kinds: Mutex<BTreeMap<String, u64>>,
}

impl Recorder {
    /// A request is on its way.
    pub fn sent(&self, kind: Kind) {
        self.sent[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Its answer was right.
    pub fn answered(&self, terminal: usize, kind: Kind, after: Duration) {
        let micros = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        locked(&self.lists[terminal % LISTS]).push(Sample { kind, micros });
    }

    /// Something went wrong, in a few words that are the same each time.
    pub fn error(&self, what: String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut kinds = locked(&self.error_kinds);
        let known = kinds.contains_key(&what) || kinds.len() < ERROR_KINDS_AT_MOST;
        *kinds.entry(if known { what } else { "others".to_owned() }).or_default() += 1;
    }

    /// Counts one.
    pub fn count(&self, what: Count) {
        self.count_many(what, 1);
    }

    /// Counts some.
    pub fn count_many(&self, what: Count, many: u64) {
        self.counts[what as usize].fetch_add(many, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn counted(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// How many requests of a kind were sent.
    pub fn sent_of(&self, kind: Kind) -> u64 {
        self.sent[kind as usize].load(Ordering::Relaxed)
    }

    /// How many requests of the mix were sent.
    pub fn sent_in_mix(&self) -> u64 {
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::Return).map(|kind| self.sent_of(kind)).sum()
    }

    /// How many errors there were.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How many of which.
    pub fn error_kinds(&self) -> BTreeMap<String, u64> {
        locked(&self.error_kinds).clone()
    }

    /// Takes all samples there are, leaving room for as many.
    pub fn drain(&self, mut take: impl FnMut(Sample)) {
        let mut taken = Vec::new();
        for list in &self.lists {
            std::mem::swap(&mut *locked(list), &mut taken);
            taken.drain(..).for_each(&mut take);
        }
    }
}

/// What is under these locks is whole at any moment, whoever panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
