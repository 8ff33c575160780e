//! The outbox: groups on their way from the journal to the register.
//!
//! What was just committed is still in memory, and goes from there. Where the register can't take it for a
//! while, only so much is kept: the rest is read back from the journal's file when its turn comes.
//!
//! Where several nodes share a register, those who wait for a record are told when the register has taken
//! it in. While it can't be had nobody waits for it: [`Outbox::wait_for_register`] says which it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xingka_core::planted::{self, Bug};
use xingka_core::record::Receipt;

use super::append::{Batch, NotCommitted};
use super::chain::{Group, Hash};

/// Bytes of records kept in memory.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Committed groups, in their order.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    sent: VecDeque<Sent>,
    kept_bytes: usize,
    /// Those who wait for the register, by their group's last record.
    waiting: VecDeque<(u64, Arc<Batch>)>,
    waits: bool,
}

/// A committed group on its way.
#[derive(Debug)]
pub struct Sent {
    /// The first record's place.
    pub first: u64,
    /// The last one's.
    pub last: u64,
    /// The group and the chain's hash there; `None` where there was no room to keep it.
    pub group: Option<(Group, Hash)>,
}

impl Outbox {
    /// Takes in a committed group. Gives back those who wait for it, where they needn't any longer.
    pub(super) fn push(&self, group: Group, hash: Hash, batch: Arc<Batch>) -> Option<Arc<Batch>> {
        let mut queue = self.queue();
        let (first, last) = (group.first_sequence, group.last_sequence);
        let room = queue.kept_bytes + group.records.len() <= MAX_KEPT_BYTES;
        queue.kept_bytes += if room { group.records.len() } else { 0 };
        queue.sent.push_back(Sent { first, last, group: room.then_some((group, hash)) });
        let settled = if queue.waits {
            queue.waiting.push_back((last, batch));
            None
        } else {
            Some(batch)
        };
        drop(queue);
        self.filled.notify_one();
        settled
    }

    /// Has groups sent that are only in the journal's file.
    pub fn push_written(&self, first: u64, last: u64) {
        if first <= last {
            self.queue().sent.push_back(Sent { first, last, group: None });
            self.filled.notify_one();
        }
    }

    /// Takes groups out, up to so many records; waits where there is none.
    pub async fn take(&self, max_records: u64) -> Vec<Sent> {
        loop {
            let filled = self.filled.notified();
            let taken = self.take_now(max_records);
            if !taken.is_empty() {
                return taken;
            }
            filled.await;
        }
    }

    fn take_now(&self, max_records: u64) -> Vec<Sent> {
        let mut queue = self.queue();
        let (mut taken, mut records) = (Vec::new(), 0);
        while let Some(sent) = queue.sent.front() {
            let count = sent.last - sent.first + 1;
            if !taken.is_empty() && records + count > max_records {
                break;
            }
            records += count;
            let Some(sent) = queue.sent.pop_front() else { break };
            queue.kept_bytes -= sent.group.as_ref().map_or(0, |(group, _)| group.records.len());
            taken.push(sent);
        }
        taken
    }

    /// Whether those who wait for a record wait for the register too. When they needn't any longer, those
    /// who do are told now.
    pub fn wait_for_register(&self, waits: bool) {
        let mut queue = self.queue();
        queue.waits = waits && !planted::has(Bug::AnswerBeforeRegister);
        if !waits {
            let waiting = std::mem::take(&mut queue.waiting);
            drop(queue);
            settle(waiting);
        }
    }

    /// The register has taken in everything through here: tells those who wait for it.
    pub fn settle(&self, through: u64) {
        let mut queue = self.queue();
        let count = queue.waiting.iter().take_while(|(last, _)| *last <= through).count();
        let settled: VecDeque<_> = queue.waiting.drain(..count).collect();
        drop(queue);
        settle(settled);
    }

    /// Those who wait for the register to have a committed record.
    pub(super) fn waiting_for(&self, sequence: u64) -> Option<Arc<Batch>> {
        let queue = self.queue();
        queue.waiting.iter().find(|(last, _)| *last >= sequence).map(|(_, batch)| batch.clone())
    }

    /// Tells those who still wait that it won't be.
    pub fn give_up(&self) {
        let waiting = std::mem::take(&mut self.queue().waiting);
        waiting.iter().for_each(|(_, batch)| batch.settle(Err(NotCommitted)));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere while holding it can't leave it half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(waiting: VecDeque<(u64, Arc<Batch>)>) {
    waiting.iter().for_each(|(last, batch)| batch.settle(Ok(Receipt::durable_through(*last))));
}
