//! A node without its doors: what answers, and the tasks that keep its memory true.
//!
//! The service opens doors around it; a simulation hands it frames.

use std::future::{Future, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use xingka_core::pan::CardHasher;
use xingka_core::planted::{self, Bug};
use xingka_store::journal::chain::Hash;
use xingka_store::journal::{Journal, JournalAt, JournalError};
use xingka_store::register::{Register, RegisterError};
use xingka_store::vault::MasterKey;
use xingka_store::{City, Feed};
use xingka_wire::dialect::CUP;
use xingka_wire::frame::{Step, next_frame};

use crate::clock::Clock;
use crate::home::PATIENCE;
use crate::newcomers::Peer;
use crate::node::Node;
use crate::pressure;
use crate::security::SecurityModule;
use crate::service::ServiceError;
use crate::settings::Settings;
use crate::shipper::{look_again, send_left_over, ship};

/// How often a store is asked for changes: a change made anywhere must be in force within a second.
const CATCH_UP_EVERY: Duration = Duration::from_millis(200);

/// A whole city can be read within this; after that, nobody is at the other end.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// How often shares that are whole again are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// How often a register that is away is looked for.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What a node is put together from.
pub struct Parts {
    /// The city in memory.
    pub city: City,
    /// What keeps it true.
    pub feed: Arc<dyn Feed>,
    /// What stands, on all nodes.
    pub register: Arc<dyn Register>,
    /// Where the journal is; made before.
    pub journal: JournalAt,
    /// What wraps keys.
    pub master: MasterKey,
    /// What hashes card numbers.
    pub hasher: CardHasher,
    /// What time it is.
    pub clock: Clock,
}

/// A node that answers frames.
pub struct Engine {
    pub(crate) node: Arc<Node>,
    pub(crate) keeping: JoinSet<()>,
}

impl Engine {
    /// Sends the register what it doesn't have yet, and begins to keep memory true.
    pub async fn start(settings: Settings, parts: Parts) -> Result<Self, ServiceError> {
        let Parts { city, feed, register, journal: at, master, hasher, clock } = parts;
        let mut reader = at.reader(settings.node).await?;
        // Along its chain: a node never starts on a record that was tampered with.
        let head = reader.follow().await?;
        let shipped = register.shipped(settings.node).await?;
        if shipped > head.0 {
            return Err(RegisterError::OtherJournal { node: settings.node, sequence: head.0 + 1 }.into());
        }
        let journal = Journal::start(&at, settings.node, head, settings.durability, settings.answer_deadline)?;
        journal.outbox().wait_for_register(register.is_shared());
        let security = SecurityModule::new(master);
        let node = Node::new((settings, clock), city, (hasher, security), (journal, reader, at), (register, shipped));
        // What was in flight when the node ended: terminals come home to what it led to.
        send_left_over(&node, shipped + 1, head.0).await?;
        let keeping = keep(&node, &feed);
        Ok(Self { node, keeping })
    }

    /// The answers to some frames that came together, as a connection gives them.
    pub async fn exchange(&self, frames: &[u8]) -> Vec<u8> {
        let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.node.newcomers.enter_unseen());
        let (mut rest, mut outgoing, mut answers) = (frames, Vec::new(), Vec::new());
        while let Step::Frame(frame, consumed) = next_frame(&[&CUP], rest) {
            outgoing.push(self.node.handle(&frame, Instant::now(), &peer).await);
            rest = rest.get(consumed..).unwrap_or_default();
        }
        for outgoing in outgoing {
            outgoing.ready().await;
            self.node.respond(outgoing, &peer, &mut answers).await;
        }
        answers
    }

    /// Whether the register can't be asked, as far as this node knows.
    pub fn is_alone(&self) -> bool {
        self.node.stands_in()
    }

    /// Whether nothing is owed: the journal can be written, and the register has all of it.
    pub fn is_whole(&self) -> bool {
        let (_, newest) = self.node.journal.standing();
        let writable = self.node.journal.appender().ready().is_ok();
        writable && !self.is_alone() && newest <= self.node.reach.shipped()
    }
}

/// The tasks that keep a node's memory true while it answers.
fn keep(node: &Arc<Node>, feed: &Arc<dyn Feed>) -> JoinSet<()> {
    let mut keeping = JoinSet::new();
    let (for_changes, feed) = (node.clone(), feed.clone());
    keeping.spawn(every(CATCH_UP_EVERY, move || {
        let (node, feed) = (for_changes.clone(), feed.clone());
        async move { catch_up(&node, &*feed).await }
    }));
    keeping.spawn(recover(node.clone()));
    keeping.spawn(ship(node.clone()));
    let for_register = node.clone();
    keeping.spawn(every(LOOK_AGAIN_EVERY, move || look_again(for_register.clone())));
    keeping.spawn(pressure::watch(node.clone()));
    let for_limits = node.clone();
    keeping.spawn(every(FORGET_EVERY, move || {
        for_limits.limits.forget_idle();
        ready(())
    }));
    keeping
}

/// Takes on what has changed. A line that died without a word must not keep the next look from being taken.
async fn catch_up(node: &Node, feed: &dyn Feed) {
    if planted::has(Bug::NewsWithoutTimeout) {
        return feed.catch_up(&node.city).await.map_or_else(|error| tracing::error!(%error, "planted"), drop);
    }
    let news = match timeout(PATIENCE, feed.has_news(&node.city)).await {
        Ok(Ok(false)) => return,
        Ok(Ok(true)) => timeout(READ_WITHIN, feed.catch_up(&node.city)).await,
        Ok(Err(error)) => Ok(Err(error)),
        Err(_) => return tracing::error!("the store doesn't say whether anything has changed; asking again"),
    };
    match news {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "changes in the store can't be read; trying again"),
        Err(_) => tracing::error!("reading changes in the store takes too long; beginning again"),
    }
}

/// Does something again and again.
pub(crate) async fn every<F: Future<Output = ()>>(period: Duration, mut work: impl FnMut() -> F) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

/// After a commit failed and writing works again: what the journal really holds goes to the
/// register, memory begins anew from there, and the node answers again.
async fn recover(node: Arc<Node>) {
    loop {
        node.journal.writable_again().await;
        match journal_end(&node).await {
            Ok(head) => {
                // The last group may have got there though its commit was said to fail.
                let (known, _) = node.journal.head();
                node.journal.outbox().push_written(known + 1, head.0);
                node.reach.until_shipped(head.0).await;
                node.begin_anew(head);
                tracing::info!("the journal can be written again; the node answers");
            }
            Err(error) => {
                tracing::error!(%error, "the journal can't be read back; trying again");
                tokio::time::sleep(CATCH_UP_EVERY).await;
            }
        }
    }
}

async fn journal_end(node: &Node) -> Result<(u64, Hash), JournalError> {
    let mut reader = node.journal_at.reader(node.settings.node).await?;
    let head = reader.follow().await;
    reader.close().await?;
    head
}
