//! Appending: callers put records into the open group; one thread commits group after group.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use xingka_core::record::{BadRecord, Receipt, Record};

use super::JournalError;
use super::chain::{Group, Hash};
use super::sqlite::JournalFile;

/// Records that may wait for their commit. Past this the node refuses work instead of
/// promising more than it can write down.
const MAX_WAITING_RECORDS: u64 = 65_536;

/// A group of so many records shows that there is load. Commits then begin at least
/// [`GATHER`] apart: fewer flushes and wake-ups, and nobody waits longer than the load makes
/// them wait anyway. A lone swipe is committed at once.
const LOADED_GROUP: u64 = 12;

/// The least time from one commit's beginning to the next one's, under load.
const GATHER: Duration = Duration::from_millis(1);

/// The log is copied into the main file when it has grown by so much.
const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// Room for most records, so that they are written without growing.
const RECORD_BYTES: usize = 512;

/// Between two attempts to write again after a commit has failed.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After its record's commit.
    BeforeAnswer,
    /// At once; a crash may lose what this interval held.
    Interval(Duration),
}

/// Why a record was not taken.
#[derive(Debug, Error)]
pub enum NotAppended {
    /// The last commit failed, and no write has gone through since.
    #[error("the journal can't be written")]
    Down,
    /// As many records as may wait are waiting.
    #[error("{MAX_WAITING_RECORDS} records wait for their commit, more may not")]
    Full,
    /// The record can't be encoded.
    #[error(transparent)]
    Record(#[from] BadRecord),
}

/// A record's commit failed, or the journal was closed before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the record could not be committed")]
pub struct NotCommitted;

/// A node's journal, opened to append.
pub struct Journal {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<Result<(), JournalError>>>,
}

struct Shared {
    tail: Mutex<Tail>,
    /// Wakes the committer.
    work: Notify,
    /// Wakes whoever waits for the journal to be writable again after a failure.
    writable: Notify,
    closing: AtomicBool,
    durability: Durability,
    patience: Duration,
    commits: AtomicU64,
    /// Bytes written to the log since it was last copied into the main file.
    uncopied: AtomicU64,
    /// Wakes the checkpointer.
    checkpoint: Notify,
}

/// The end of the journal: the head of what is being committed, and the open group.
struct Tail {
    next_sequence: u64,
    committed: u64,
    head: (u64, Hash),
    records: Vec<u8>,
    batch: Arc<Batch>,
    /// Those who wait for the group on its way to the disk.
    in_flight: Option<(u64, Arc<Batch>)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A commit failed; nothing is taken.
    Down,
    /// Writing works again; nothing is taken until the owner has rebuilt its memory.
    Writable,
}

/// Those who wait for one commit: woken together, once.
#[derive(Default)]
struct Batch {
    outcome: OnceLock<Result<Receipt, NotCommitted>>,
    done: Notify,
}

impl Batch {
    fn settle(&self, outcome: Result<Receipt, NotCommitted>) {
        // A batch is settled once, by whoever took it out of the tail.
        let _ = self.outcome.set(outcome);
        self.done.notify_waiters();
    }
}

/// Tells when a record is durable.
#[derive(Clone)]
pub struct Ticket {
    batch: Arc<Batch>,
    at_once: Option<Receipt>,
}

impl Ticket {
    /// Waits for the commit, or for the journal's patience to end.
    pub async fn committed(&self) -> Result<Receipt, NotCommitted> {
        if let Some(receipt) = self.at_once {
            return Ok(receipt);
        }
        loop {
            let mut done = std::pin::pin!(self.batch.done.notified());
            // Listening before looking: a commit in between is not missed.
            done.as_mut().enable();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            done.await;
        }
    }

    /// How the commit ended, if it has.
    pub fn outcome(&self) -> Option<Result<Receipt, NotCommitted>> {
        self.at_once.map(Ok).or_else(|| self.batch.outcome.get().copied())
    }
}

impl Journal {
    /// Opens the journal at `path`, made where there is none, to append after `head`, the
    /// place and hash at which a [`JournalReader`](super::JournalReader) found its end.
    ///
    /// To be called in the runtime that its callers run in. Whoever waits for a commit that takes longer than `patience` is told that it failed;
    /// the record may yet be written.
    pub fn start(
        path: &Path,
        node: u16,
        head: (u64, Hash),
        durability: Durability,
        patience: Duration,
    ) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared {
            tail: Mutex::new(Tail::after(head)),
            work: Notify::new(),
            writable: Notify::new(),
            closing: AtomicBool::new(false),
            durability,
            patience,
            commits: AtomicU64::new(0),
            uncopied: AtomicU64::new(0),
            checkpoint: Notify::new(),
        });
        let waiting_on = tokio::runtime::Handle::current();
        let committer = Committer { shared: shared.clone(), path: path.to_owned(), node, waiting_on };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || committer.run());
        Ok(Self { shared, committer: Some(thread.map_err(JournalError::Thread)?) })
    }

    /// Makes the file where there is none, and its schema current.
    pub async fn create(path: &Path, node: u16) -> Result<(), JournalError> {
        JournalFile::open(path, node).await?.close().await
    }

    /// The right to append, alone, until it is dropped.
    pub fn appender(&self) -> Appender<'_> {
        Appender { tail: self.shared.tail(), shared: &self.shared }
    }

    /// Waits until writing works again after a failed commit. Nothing is taken until
    /// [`Self::reopen`].
    pub async fn writable_again(&self) {
        loop {
            let mut writable = std::pin::pin!(self.shared.writable.notified());
            writable.as_mut().enable();
            if self.shared.tail().state == State::Writable {
                return;
            }
            writable.await;
        }
    }

    /// Takes records again, after `head`, where the journal was found to end.
    pub fn reopen(&self, head: (u64, Hash)) {
        *self.shared.tail() = Tail::after(head);
    }

    /// The last committed record and the chain's hash there.
    pub fn head(&self) -> (u64, Hash) {
        self.shared.tail().head
    }

    /// Commits so far, for metrics.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Waits until what was appended so far is committed, or has failed.
    pub async fn flush(&self) {
        let newest = {
            let appender = self.appender();
            appender.ticket(appender.next_sequence() - 1)
        };
        if let Some(ticket) = newest {
            // Whoever appended was told already if it failed.
            let _ = ticket.committed().await;
        }
    }

    /// Commits what waits and closes the file.
    pub async fn close(mut self) -> Result<(), JournalError> {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.work.notify_one();
        let Some(committer) = self.committer.take() else {
            return Ok(());
        };
        let (sender, joined) = oneshot::channel();
        // Joining blocks, so it has a thread of its own.
        std::thread::spawn(move || sender.send(committer.join()));
        match joined.await {
            Ok(Ok(closed)) => closed,
            _ => Err(JournalError::Thread(std::io::Error::other("it ended before the journal was closed"))),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.work.notify_one();
    }
}

/// Exclusive use of the journal's end.
pub struct Appender<'j> {
    tail: MutexGuard<'j, Tail>,
    shared: &'j Shared,
}

impl Appender<'_> {
    /// The place the next record will have.
    pub fn next_sequence(&self) -> u64 {
        self.tail.next_sequence
    }

    /// Whether a record would be taken now.
    pub fn ready(&self) -> Result<(), NotAppended> {
        match self.tail.state {
            State::Down | State::Writable => Err(NotAppended::Down),
            State::Open if self.tail.next_sequence - self.tail.committed > MAX_WAITING_RECORDS => {
                Err(NotAppended::Full)
            }
            State::Open => Ok(()),
        }
    }

    /// Tells when an earlier record is durable; `None` where it already is.
    pub fn ticket(&self, sequence: u64) -> Option<Ticket> {
        let batch = self.tail.batch_of(sequence)?.clone();
        Some(Ticket { batch, at_once: None })
    }

    /// Puts a record at the end.
    pub fn append(&mut self, record: &Record) -> Result<Ticket, NotAppended> {
        self.ready()?;
        let bytes = record.encode(Vec::with_capacity(RECORD_BYTES))?;
        let tail = &mut *self.tail;
        if tail.records.is_empty() {
            self.shared.work.notify_one();
        }
        tail.records.extend((bytes.len() as u32).to_be_bytes());
        tail.records.extend(bytes);
        let sequence = tail.next_sequence;
        tail.next_sequence += 1;
        let at_once = matches!(self.shared.durability, Durability::Interval(_));
        Ok(Ticket { batch: tail.batch.clone(), at_once: at_once.then(|| Receipt::durable_through(sequence)) })
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        // A panic elsewhere while holding it can't leave the tail half changed.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn after(head: (u64, Hash)) -> Self {
        Self {
            next_sequence: head.0 + 1,
            committed: head.0,
            head,
            records: Vec::new(),
            batch: Arc::default(),
            in_flight: None,
            state: State::Open,
        }
    }

    /// Takes the open group out; another opens behind it.
    fn take_group(&mut self) -> Option<(Group, Arc<Batch>)> {
        if self.records.is_empty() || self.state != State::Open {
            return None;
        }
        let group = Group {
            first_sequence: self.head.0 + 1,
            last_sequence: self.next_sequence - 1,
            committed_ms: now_ms(),
            records: std::mem::take(&mut self.records),
        };
        let batch = std::mem::take(&mut self.batch);
        self.in_flight = Some((group.last_sequence, batch.clone()));
        Some((group, batch))
    }

    /// Those who wait for a record that isn't committed yet.
    fn batch_of(&self, sequence: u64) -> Option<&Arc<Batch>> {
        match &self.in_flight {
            _ if sequence <= self.committed || sequence >= self.next_sequence => None,
            Some((last, batch)) if sequence <= *last => Some(batch),
            _ => Some(&self.batch),
        }
    }

    /// After a failed commit: what waits behind it fails as well, nothing more is taken.
    fn go_down(&mut self) {
        self.state = State::Down;
        self.records.clear();
        std::mem::take(&mut self.batch).settle(Err(NotCommitted));
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The thread that owns the file.
struct Committer {
    shared: Arc<Shared>,
    path: std::path::PathBuf,
    node: u16,
    /// The runtime that waits for commits.
    waiting_on: tokio::runtime::Handle,
}

impl Committer {
    fn run(self) -> Result<(), JournalError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(JournalError::Thread)?.block_on(async {
            let opened = JournalFile::open(&self.path, self.node).await;
            let mut file = opened.inspect_err(|_| self.shared.tail().go_down())?;
            let checkpointer = tokio::spawn(checkpoint(self.path.clone(), self.shared.clone()));
            self.commit_until_closed(&mut file).await;
            checkpointer.abort();
            // It only ends early where it was told to, or where the file is gone.
            let _ = checkpointer.await;
            file.close_for_rest().await
        })
    }

    async fn commit_until_closed(&self, file: &mut JournalFile) {
        loop {
            let closing = self.shared.closing.load(Ordering::Acquire);
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

    /// Writes a group; meanwhile whoever has waited too long is told.
    async fn write(&self, file: &mut JournalFile, group: &Group, hash: Hash, batch: &Batch) -> Result<(), sqlx::Error> {
        let mut write = std::pin::pin!(file.append(group, hash));
        loop {
            match tokio::time::timeout(self.shared.patience, &mut write).await {
                Ok(written) => return written,
                Err(_) => {
                    tracing::warn!(path = %self.path.display(), "the journal's commit takes too long; who waits for it is answered 96");
                    batch.settle(Err(NotCommitted));
                    std::mem::take(&mut self.shared.tail().batch).settle(Err(NotCommitted));
                }
            }
        }
    }

    async fn commit(&self, file: &mut JournalFile, group: Group, batch: &Arc<Batch>) {
        let (_, former) = self.shared.tail().head;
        let hash = former.next(&group);
        let bytes = group.records.len() as u64;
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
                // Woken from a task of their own runtime, hundreds of waiters go onto its run queue
                // in one go; woken from this thread, each would be handed over under a lock.
                let (batch, receipt) = (batch.clone(), Receipt::durable_through(group.last_sequence));
                self.waiting_on.spawn(async move { batch.settle(Ok(receipt)) });
            }
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "a journal commit failed; nothing is approved until writing works again");
                batch.settle(Err(NotCommitted));
                self.shared.tail().go_down();
            }
        }
    }

    /// Tries until a write goes through; false when the journal is closed meanwhile.
    async fn until_writable(&self, file: &mut JournalFile) -> bool {
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
async fn checkpoint(path: std::path::PathBuf, shared: Arc<Shared>) -> Result<(), JournalError> {
    let mut file = JournalFile::open_to_checkpoint(&path).await?;
    loop {
        shared.checkpoint.notified().await;
        shared.uncopied.store(0, Ordering::Relaxed);
        if let Err(error) = file.checkpoint().await {
            // The log stays and grows; SQLite's own limit has it copied by a commit in the end.
            tracing::warn!(path = %path.display(), %error, "the journal's log can't be copied into its file");
        }
    }
}
