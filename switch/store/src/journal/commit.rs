//! Committing: the one thread that owns the file takes group after group.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use xingka_core::record::Receipt;

use super::JournalError;
use super::append::{Batch, Durability, NotCommitted, Shared, State};
use super::chain::{Group, Hash};
use super::disk::{Appends, Disk, JournalAt, OnDisk};
use super::sqlite::JournalFile;

/// A group of so many records shows that there is load. Commits then begin at least
/// [`GATHER`] apart: fewer flushes and wake-ups, and nobody waits longer than the load makes
/// them wait anyway. A lone swipe is committed at once.
const LOADED_GROUP: u64 = 12;

/// The least time from one commit's beginning to the next one's, under load. The timer counts
/// whole milliseconds, so that it comes to one or two.
const GATHER: Duration = Duration::from_millis(1);

/// The log is copied into the main file when it has grown by so much.
const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// What a commit adds to the log beside its records: the pages of index and header it touches.
const PAGES_BYTES: u64 = 12 * 1024;

/// Between two attempts to write again after a commit has failed.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// Owns the file.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) at: JournalAt,
    pub(super) node: u16,
    /// The runtime that waits for commits.
    pub(super) waiting_on: tokio::runtime::Handle,
}

impl Committer {
    /// Commits into a file until the journal is closed, on a thread of its own.
    pub(super) fn run(self, path: &Path) -> Result<(), JournalError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(JournalError::Thread)?.block_on(async {
            let opened = JournalFile::open(path, self.node, self.shared.patience).await;
            let mut file = opened.inspect_err(|_| self.shared.tail().go_down())?;
            let checkpointer = tokio::spawn(checkpoint(path.to_owned(), self.shared.clone()));
            self.commit_until_closed(&mut file).await;
            checkpointer.abort();
            // It only ends early where it was told to, or where the file is gone.
            let _ = checkpointer.await;
            file.close_for_rest().await
        })
    }

    /// Commits onto a simulated disk until the journal is closed.
    pub(super) async fn run_on(self, disk: Arc<dyn Disk>) -> Result<(), JournalError> {
        self.commit_until_closed(&mut OnDisk(disk)).await;
        Ok(())
    }

    async fn commit_until_closed(&self, file: &mut impl Appends) {
        loop {
            let closing = self.shared.closing.load(Ordering::Acquire);
            if self.shared.copied.swap(false, Ordering::Relaxed) {
                self.restart_log(file).await;
            }
            let group = self.shared.tail().take_group();
            match group {
                Some((group, batch)) => {
                    let loaded = group.last_sequence - group.first_sequence + 1 >= LOADED_GROUP;
                    let begun = Instant::now();
                    self.commit(file, group, &batch).await;
                    if loaded && !closing {
                        tokio::time::sleep_until(begun + GATHER).await;
                    }
                }
                None if closing => return,
                None => self.shared.work.notified().await,
            }
            if self.shared.tail().state == State::Down && !self.until_writable(file).await {
                return;
            }
            if let (Durability::Interval(pause), false) = (self.shared.durability, closing) {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// What the checkpointer could not copy, because it was written meanwhile, is little. Copied
    /// between two commits, it lets the log begin anew; without that it would only ever grow.
    async fn restart_log(&self, file: &mut impl Appends) {
        if let Err(error) = file.restart_log().await {
            tracing::warn!(journal = %self.at, %error, "the journal's log can't begin anew");
        }
    }

    /// Writes a group; meanwhile whoever has waited too long is told.
    async fn write(
        &self,
        file: &mut impl Appends,
        group: &Group,
        hash: Hash,
        batch: &Batch,
    ) -> Result<(), JournalError> {
        let mut write = std::pin::pin!(file.append(group, hash));
        loop {
            match tokio::time::timeout(self.shared.patience, &mut write).await {
                Ok(written) => return written,
                Err(_) => {
                    tracing::warn!(journal = %self.at, "the journal's commit takes too long; who waits for it is answered 96");
                    batch.settle(Err(NotCommitted));
                    std::mem::take(&mut self.shared.tail().batch).settle(Err(NotCommitted));
                }
            }
        }
    }

    async fn commit(&self, file: &mut impl Appends, group: Group, batch: &Arc<Batch>) {
        let (_, former) = self.shared.tail().head;
        let hash = former.next(&group);
        let bytes = group.records.len() as u64 + PAGES_BYTES;
        match self.write(file, &group, hash, batch).await {
            Ok(()) => {
                let mut tail = self.shared.tail();
                tail.head = (group.last_sequence, hash);
                tail.committed = group.last_sequence;
                tail.in_flight = None;
                drop(tail);
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                let written = self.shared.uncopied.fetch_add(bytes, Ordering::Relaxed) + bytes;
                if written > CHECKPOINT_BYTES {
                    self.shared.checkpoint.notify_one();
                }
                let receipt = Receipt::durable_through(group.last_sequence);
                if let Some(batch) = self.shared.outbox.push(group, hash, batch.clone()) {
                    // Woken from a task of their own runtime, hundreds of waiters go onto its run queue
                    // in one go; woken from this thread, each would be handed over under a lock.
                    self.waiting_on.spawn(async move { batch.settle(Ok(receipt)) });
                }
            }
            Err(error) => {
                tracing::error!(journal = %self.at, %error, "a journal commit failed; nothing is approved until writing works again");
                batch.settle(Err(NotCommitted));
                self.shared.tail().go_down();
            }
        }
    }

    /// Tries until a write goes through; false when the journal is closed meanwhile.
    async fn until_writable(&self, file: &mut impl Appends) -> bool {
        while !self.shared.closing.load(Ordering::Acquire) {
            if file.probe().await.is_ok() {
                self.shared.tail().state = State::Writable;
                self.shared.writable.notify_waiters();
                return true;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
        false
    }
}

/// Copies the log into the main file, on a connection of its own, while commits go on:
/// copied by the commit that fills it, it would hold up everybody waiting for that one.
async fn checkpoint(path: PathBuf, shared: Arc<Shared>) -> Result<(), JournalError> {
    let mut file = JournalFile::open_to_checkpoint(&path).await?;
    loop {
        shared.checkpoint.notified().await;
        shared.uncopied.store(0, Ordering::Relaxed);
        match file.checkpoint().await {
            Ok(()) => shared.copied.store(true, Ordering::Relaxed),
            Err(error) => {
                // The log stays and grows; SQLite's own limit has it copied by a commit in the end.
                tracing::warn!(path = %path.display(), %error, "the journal's log can't be copied into its file");
            }
        }
    }
}
