//! What goes wrong, one thing after the other, so that what was refused meanwhile can be put down to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use xingka_simulation::chance::Chance;
use xingka_simulation::stage::Stage;
use xingka_testbed::Postgres;

use crate::nodes::{RealLines, RealNode, at};
use crate::proxy::Mood;

/// What follows a fault (a restart, catching up) is put down to it for so long.
const AFTERMATH: Duration = Duration::from_secs(8);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillNode,
    KillTwoNodes,
    StopNode,
    CutTills,
    SilenceTills,
    CutNodeFromStore,
    SilenceNodeFromStore,
    FullDisk,
    KillStore,
    StopStore,
    CutStore,
    FailOver,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::KillNode,
        Self::KillTwoNodes,
        Self::StopNode,
        Self::CutTills,
        Self::SilenceTills,
        Self::CutNodeFromStore,
        Self::SilenceNodeFromStore,
        Self::FullDisk,
        Self::KillStore,
        Self::StopStore,
        Self::CutStore,
        Self::FailOver,
    ];

    /// For a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillNode => "kill -9 of a node",
            Self::KillTwoNodes => "kill -9 of two nodes of three",
            Self::StopNode => "SIGSTOP of a node",
            Self::CutTills => "tills cut off from a node",
            Self::SilenceTills => "silence between tills and a node",
            Self::CutNodeFromStore => "a node cut off from PostgreSQL",
            Self::SilenceNodeFromStore => "silence between a node and PostgreSQL",
            Self::FullDisk => "a node's disk full",
            Self::KillStore => "kill -9 of PostgreSQL",
            Self::StopStore => "SIGSTOP of PostgreSQL",
            Self::CutStore => "all nodes cut off from PostgreSQL",
            Self::FailOver => "PostgreSQL killed, its replica promoted",
        }
    }

    /// Whether nodes may be without the store by it.
    const fn is_about_store(self) -> bool {
        !matches!(
            self,
            Self::KillNode | Self::KillTwoNodes | Self::StopNode | Self::CutTills | Self::SilenceTills | Self::FullDisk
        )
    }
}

/// PostgreSQL and its replica.
pub struct Pair {
    primary: Postgres,
    replica: Option<Postgres>,
}

impl Pair {
    /// Commits wait for both.
    pub fn start() -> Self {
        let primary = Postgres::start(true);
        let replica = Some(primary.replica());
        primary.wait_for_replica(true);
        Self { primary, replica }
    }

    /// The one that is written to.
    pub fn primary(&self) -> &Postgres {
        &self.primary
    }

    /// The replica takes the primary's place, and gets a replica of its own.
    fn fail_over(&mut self, lead: impl FnOnce(u16)) {
        self.primary.kill();
        let Some(replica) = self.replica.take() else { return };
        replica.promote();
        replica.wait_for_replica(false);
        self.primary = replica;
        lead(self.primary.port());
        self.replica = Some(self.primary.replica());
        self.primary.wait_for_replica(true);
    }
}

/// Everything that can go wrong.
pub struct Victims {
    pub nodes: Vec<Arc<RealNode>>,
    pub store: Pair,
    pub lines: Arc<RealLines>,
    pub chance: Chance,
}

/// When there was which fault.
pub type Log = Vec<(Fault, Instant, Instant)>;

/// One fault after the other until then; everything is well again afterwards.
pub async fn until(victims: &mut Victims, end: Instant) -> Result<Log> {
    let (mut log, mut deck) = (Log::new(), Vec::new());
    while Instant::now() < end {
        sleep(victims.chance.millis(2_000, 5_000)).await;
        if deck.is_empty() {
            deck = Fault::ALL.to_vec();
        }
        let fault = deck.swap_remove(victims.chance.number(0..deck.len()));
        if fault == Fault::FullDisk && !victims.nodes.iter().all(|node| node.small) {
            continue;
        }
        let began = Instant::now();
        victims.lines.alone.store(fault.is_about_store(), Ordering::Relaxed);
        println!("{:?}", fault.name());
        let lasts = victims.chance.millis(1_000, 12_000);
        something(victims, fault, lasts).await?;
        log.push((fault, began, Instant::now() + AFTERMATH));
        sleep(AFTERMATH).await;
        victims.lines.alone.store(false, Ordering::Relaxed);
    }
    Ok(log)
}

async fn something(victims: &mut Victims, fault: Fault, lasts: Duration) -> Result<()> {
    let which = victims.chance.number(0..victims.nodes.len());
    let nodes = victims.nodes.clone();
    let Some(node) = nodes.get(which).cloned() else { return Ok(()) };
    match fault {
        Fault::KillNode => {
            node.kill()?;
            sleep(lasts).await;
            start(&[node]).await
        }
        Fault::KillTwoNodes => {
            let others: Vec<_> = nodes.into_iter().enumerate().filter(|(at, _)| *at != which).map(|(_, n)| n).collect();
            others.iter().try_for_each(|node| node.kill())?;
            sleep(lasts).await;
            start(&others).await
        }
        Fault::StopNode => {
            node.signal("-STOP")?;
            sleep(lasts).await;
            node.signal("-CONT")
        }
        Fault::CutTills | Fault::SilenceTills => {
            node.front.set(if fault == Fault::CutTills { Mood::Cut } else { Mood::Silent });
            sleep(lasts).await;
            node.front.set(Mood::Open);
            Ok(())
        }
        Fault::CutNodeFromStore | Fault::SilenceNodeFromStore => {
            node.back.set(if fault == Fault::CutNodeFromStore { Mood::Cut } else { Mood::Silent });
            sleep(lasts).await;
            node.back.set(Mood::Open);
            Ok(())
        }
        Fault::FullDisk => {
            node.fill()?;
            sleep(lasts).await;
            node.make_room()
        }
        Fault::KillStore => {
            victims.store.primary.kill();
            sleep(lasts).await;
            tokio::task::block_in_place(|| victims.store.primary.start_again());
            Ok(())
        }
        Fault::StopStore => {
            victims.store.primary.pause();
            sleep(lasts).await;
            victims.store.primary.resume();
            Ok(())
        }
        Fault::CutStore => {
            nodes.iter().for_each(|node| node.back.set(Mood::Cut));
            sleep(lasts).await;
            nodes.iter().for_each(|node| node.back.set(Mood::Open));
            Ok(())
        }
        Fault::FailOver => {
            let lead = |port| nodes.iter().for_each(|node| node.back.lead_to(at(port)));
            tokio::task::block_in_place(|| victims.store.fail_over(lead));
            Ok(())
        }
    }
}

async fn start(nodes: &[Arc<RealNode>]) -> Result<()> {
    for node in nodes {
        let node = node.clone();
        spawn_blocking(move || node.start()).await??;
    }
    Ok(())
}

/// What was refused by each kind of fault: how often there was it, what got no answer, 91, 96 and others.
pub fn refused(stage: &Stage, log: &Log) -> BTreeMap<&'static str, [u64; 5]> {
    let mut refused = BTreeMap::new();
    for (fault, ..) in log {
        refused.entry(fault.name()).or_insert([0; 5])[0] += 1;
    }
    for (when, code) in stage.refusals() {
        let fault = log.iter().find(|(_, began, ended)| (*began..=*ended).contains(&when));
        let name = fault.map_or("none of them", |(fault, ..)| fault.name());
        let counts = refused.entry(name).or_insert([0; 5]);
        let column = match code.as_str() {
            "" => 1,
            "91" => 2,
            "96" => 3,
            _ => 4,
        };
        counts[column] += 1;
    }
    refused
}
