//! The shipper: takes the journal's groups to the register, in order, and tells those who wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use xingka_core::ids::Place;
use xingka_core::planted::{self, Bug};
use xingka_core::register::Taken;
use xingka_store::journal::chain::{Group, Hash};
use xingka_store::journal::{JournalError, Sent};
use xingka_store::register::RegisterError;

use crate::home::PATIENCE;
use crate::node::Node;
use crate::service::ServiceError;

/// Records sent in one go.
const MAX_RECORDS: u64 = 2_000;

/// Between two attempts.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// After which an attempt is given up and made anew: a line may have died without a word.
const GIVE_UP: Duration = Duration::from_secs(20);

/// As few as this still to send means that the register is back.
const CAUGHT_UP: u64 = 1_000;

/// Ships as long as the node lives.
pub(crate) async fn ship(node: Arc<Node>) {
    loop {
        let sent = node.journal.outbox().take(MAX_RECORDS).await;
        for group in gather(sent) {
            match group {
                Lot::AtHand(groups) => send(&node, &groups).await,
                Lot::Written { first, last } => send_written(&node, first, last).await,
            }
        }
    }
}

/// Groups to be sent together.
enum Lot {
    AtHand(Vec<(Group, Hash)>),
    /// In the journal's file only.
    Written {
        first: u64,
        last: u64,
    },
}

fn gather(sent: Vec<Sent>) -> Vec<Lot> {
    let mut lots = Vec::new();
    for Sent { first, last, group } in sent {
        match (group, lots.last_mut()) {
            (Some(group), Some(Lot::AtHand(groups))) => groups.push(group),
            (Some(group), _) => lots.push(Lot::AtHand(vec![group])),
            (None, Some(Lot::Written { last: end, .. })) => *end = last,
            (None, _) => lots.push(Lot::Written { first, last }),
        }
    }
    lots
}

/// Sends what has to be read back from the journal's file.
async fn send_written(node: &Node, first: u64, last: u64) {
    let mut next = first;
    while next <= last {
        match read_back(node, next).await {
            Ok(groups) if !groups.is_empty() => {
                next = groups.last().map_or(next, |(group, _)| group.last_sequence + 1);
                send(node, &groups).await;
            }
            Ok(_) => return,
            Err(error) => {
                tracing::error!(%error, "the journal can't be read to send it to the register; trying again");
                sleep(TRY_AGAIN).await;
            }
        }
    }
}

/// Sends what a former run of this node left unsent; unlike later, nobody waits, and what is wrong is said.
pub(crate) async fn send_left_over(node: &Node, first: u64, last: u64) -> Result<(), ServiceError> {
    if first <= last {
        tracing::info!(records = last + 1 - first, "sending the register what it doesn't have yet");
    }
    let mut next = first;
    while next <= last {
        let groups = read_back(node, next).await?;
        let Some((end, _)) = groups.last() else { break };
        next = end.last_sequence + 1;
        let taken = node.register.take_in(node.settings.node, &groups).await?;
        taken_in(node, &groups, &taken);
    }
    Ok(())
}

async fn read_back(node: &Node, from: u64) -> Result<Vec<(Group, Hash)>, JournalError> {
    let mut reader = node.journal_at.reader(node.settings.node).await?;
    let groups = reader.groups(from).await;
    reader.close().await?;
    groups
}

/// Sends groups until they have arrived.
async fn send(node: &Node, groups: &[(Group, Hash)]) {
    loop {
        match try_to_send(node, groups).await {
            Some(Ok(taken)) => return taken_in(node, groups, &taken),
            // It had more once: another database took its place that didn't have all of it.
            Some(Err(RegisterError::Gap { shipped, first, .. })) if shipped + 1 < first => {
                tracing::warn!(shipped, first, "the register has less than it had; sending it again");
                Box::pin(send_written(node, shipped + 1, first - 1)).await;
                continue;
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the register doesn't take the journal's records; trying again")
            }
            None => tracing::error!("the register doesn't answer; trying again"),
        }
        node.lose_register();
        sleep(TRY_AGAIN).await;
        if planted::has(Bug::ShipOnce) {
            return;
        }
    }
}

async fn try_to_send(node: &Node, groups: &[(Group, Hash)]) -> Option<Result<Vec<(u64, Taken)>, RegisterError>> {
    let mut sending = std::pin::pin!(node.register.take_in(node.settings.node, groups));
    match timeout(PATIENCE, &mut sending).await {
        Ok(taken) => Some(taken),
        Err(_) => {
            // Those who wait are told; the attempt may still go through.
            node.lose_register();
            timeout(GIVE_UP, &mut sending).await.ok()
        }
    }
}

fn taken_in(node: &Node, groups: &[(Group, Hash)], taken: &[(u64, Taken)]) {
    let Some((last, _)) = groups.last() else { return };
    let through = last.last_sequence;
    let taken = if planted::has(Bug::OutcomesForgotten) && node.reach.is_away() { &[] } else { taken };
    for (sequence, taken) in taken {
        if let Taken::Lost(reason) = taken {
            lose(node, groups, *sequence, *reason);
        }
    }
    node.ledger().shipped(through);
    node.reach.set_shipped(through);
    node.journal.outbox().settle(through);
    let lag = lag(node, through);
    node.metrics.register.lag_records.set(lag as f64);
    if lag <= CAUGHT_UP {
        node.regain_register();
    }
}

fn lag(node: &Node, through: u64) -> u64 {
    let (committed, _) = node.journal.standing();
    committed.saturating_sub(through)
}

/// Whether a register that was away is back, where there is nothing to send it that would show.
pub(crate) async fn look_again(node: Arc<Node>) {
    if !node.reach.is_away() {
        return;
    }
    if let Ok(Ok(shipped)) = timeout(PATIENCE, node.register.shipped(node.settings.node)).await
        && lag(&node, shipped) == 0
    {
        node.regain_register();
    }
}

fn lose(node: &Node, groups: &[(Group, Hash)], sequence: u64, reason: xingka_core::capsule::WithdrawnFor) {
    let found = groups.iter().find(|(group, _)| (group.first_sequence..=group.last_sequence).contains(&sequence));
    let Some((group, _)) = found else { return };
    match group.decode() {
        Ok(records) => {
            let record = records.iter().find(|(place, _)| *place == sequence);
            if let Some((_, record)) = record {
                node.lose_record(Place::new(node.settings.node, sequence), record, reason);
            }
        }
        Err(fault) => tracing::error!(%fault, "a group that the register took in can't be read"),
    }
}
