//! Appending: callers put records into the open group and get tickets for its commit.

use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use xingka_core::capsule::{BadRecord, Record};
use xingka_core::planted::{self, Bug};
use xingka_core::record::Receipt;

use super::JournalError;
use super::chain::{Group, Hash};
use super::commit::Committer;
use super::disk::JournalAt;
use super::outbox::Outbox;
use super::sqlite::JournalFile;

/// Records that may wait for their commit. Past this the node refuses work instead of
/// promising more than it can write down.
const MAX_WAITING_RECORDS: u64 = 65_536;

/// How long to wait for somebody else who has the file when it is made.
const CREATE_PATIENCE: Duration = Duration::from_secs(10);

/// Room for most records, so that they are written without growing.
const RECORD_BYTES: usize = 512;

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
    committer: Committing,
}

/// Who commits: a thread of its own, or, on a simulated disk, a task among the others.
enum Committing {
    Thread(JoinHandle<Result<(), JournalError>>),
    Task(tokio::task::JoinHandle<Result<(), JournalError>>),
    Ended,
}

pub(super) struct Shared {
    pub(super) tail: Mutex<Tail>,
    /// Wakes the committer.
    pub(super) work: Notify,
    /// Wakes whoever waits for the journal to be writable again after a failure.
    pub(super) writable: Notify,
    pub(super) closing: AtomicBool,
    pub(super) durability: Durability,
    pub(super) outbox: Outbox,
    pub(super) patience: Duration,
    pub(super) commits: AtomicU64,
    /// Bytes written to the log since it was last copied into the main file.
    pub(super) uncopied: AtomicU64,
    /// Wakes the checkpointer.
    pub(super) checkpoint: Notify,
    /// The checkpointer has copied nearly all of the log: the next commit may begin it anew.
    pub(super) copied: AtomicBool,
}

/// The end of the journal: the head of what is being committed, and the open group.
pub(super) struct Tail {
    pub(super) next_sequence: u64,
    pub(super) committed: u64,
    pub(super) head: (u64, Hash),
    pub(super) records: Vec<u8>,
    pub(super) batch: Arc<Batch>,
    /// Those who wait for the group on its way to the disk.
    pub(super) in_flight: Option<(u64, Arc<Batch>)>,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// A commit failed; nothing is taken.
    Down,
    /// Writing works again; nothing is taken until the owner has rebuilt its memory.
    Writable,
}

/// Those who wait for one commit: woken together, once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    outcome: OnceLock<Result<Receipt, NotCommitted>>,
    done: Notify,
}

impl Batch {
    pub(super) fn settle(&self, outcome: Result<Receipt, NotCommitted>) {
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
    /// Opens the journal, made where there is none, to append after `head`, the place and hash at which a
    /// [`JournalReader`](super::JournalReader) found its end.
    ///
    /// To be called in the runtime that its callers run in. Whoever waits for a commit that takes longer than
    /// `patience` is told that it failed; the record may yet be written.
    pub fn start(
        at: &JournalAt,
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
            outbox: Outbox::default(),
            patience,
            commits: AtomicU64::new(0),
            uncopied: AtomicU64::new(0),
            checkpoint: Notify::new(),
            copied: AtomicBool::new(false),
        });
        let waiting_on = tokio::runtime::Handle::current();
        let committer = Committer { shared: shared.clone(), at: at.clone(), node, waiting_on };
        let committer = match at {
            JournalAt::File(path) => {
                let (thread, path) = (std::thread::Builder::new().name("journal".into()), path.clone());
                let thread = thread.spawn(move || committer.run(&path));
                Committing::Thread(thread.map_err(JournalError::Thread)?)
            }
            JournalAt::Disk(disk) => Committing::Task(tokio::spawn(committer.run_on(disk.clone()))),
        };
        Ok(Self { shared, committer })
    }

    /// Makes the file where there is none, and its schema current.
    pub async fn create(path: &Path, node: u16) -> Result<(), JournalError> {
        JournalFile::open(path, node, CREATE_PATIENCE).await?.close().await
    }

    /// Makes it another node's journal. Only one in which nothing stands yet: its number is in its first hash.
    pub async fn number(path: &Path, node: u16) -> Result<(), JournalError> {
        let mut file = JournalFile::open(path, node, CREATE_PATIENCE).await?;
        file.number(node).await?;
        file.close().await
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

    /// Groups that were committed and not yet taken to where they have to be as well.
    pub fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }

    /// The last committed record and the chain's hash there.
    pub fn head(&self) -> (u64, Hash) {
        self.shared.tail().head
    }

    /// The last committed record and the last appended one: what lies between waits. Nothing waits
    /// for a commit that has failed.
    pub fn standing(&self) -> (u64, u64) {
        let tail = self.shared.tail();
        let newest = if tail.state == State::Open { tail.next_sequence - 1 } else { tail.committed };
        (tail.committed, newest)
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
        let ended = match mem::replace(&mut self.committer, Committing::Ended) {
            Committing::Thread(committer) => {
                let (sender, joined) = oneshot::channel();
                // Joining blocks, so it has a thread of its own.
                std::thread::spawn(move || sender.send(committer.join()));
                joined.await.ok().and_then(Result::ok)
            }
            Committing::Task(committer) => committer.await.ok(),
            Committing::Ended => return Ok(()),
        };
        ended.unwrap_or_else(|| {
            Err(JournalError::Thread(std::io::Error::other("it ended before the journal was closed")))
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.work.notify_one();
        // With a simulated node everything ends at once, as in a crash.
        if let Committing::Task(committer) = &self.committer {
            committer.abort();
        }
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

    /// Tells when an earlier record is durable, and in the register where it has to be; `None` where it
    /// already is.
    pub fn ticket(&self, sequence: u64) -> Option<Ticket> {
        let batch = self.tail.batch_of(sequence).cloned();
        let batch = batch.or_else(|| self.shared.outbox.waiting_for(sequence))?;
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
        let at_once =
            matches!(self.shared.durability, Durability::Interval(_)) || planted::has(Bug::AnswerBeforeCommit);
        Ok(Ticket { batch: tail.batch.clone(), at_once: at_once.then(|| Receipt::durable_through(sequence)) })
    }
}

impl Shared {
    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
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
    pub(super) fn take_group(&mut self) -> Option<(Group, Arc<Batch>)> {
        if self.records.is_empty() || self.state != State::Open {
            return None;
        }
        let group = Group {
            first_sequence: self.head.0 + 1,
            last_sequence: self.next_sequence - 1,
            committed_ms: now_ms(),
            records: mem::take(&mut self.records),
        };
        let batch = mem::take(&mut self.batch);
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
    pub(super) fn go_down(&mut self) {
        self.state = State::Down;
        self.records.clear();
        mem::take(&mut self.batch).settle(Err(NotCommitted));
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
