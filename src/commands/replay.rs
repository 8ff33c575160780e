//! `xingka replay`: decides recorded swipes again and compares.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use xingka_core::capsule::{GiveBack, Record, Swipe};
use xingka_core::decide::decide;
use xingka_core::follow_up::judge_give_back;
use xingka_core::ids::RuleBookVersion;
use xingka_core::rules::RuleBook;

use xingka_store::journal::Stored;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Swipes read from the journal before they are decided again.
const AT_ONCE: usize = 10_000;

/// Decide recorded swipes again and compare
#[derive(Args)]
#[command(after_help = "Example: xingka replay --from 2026-11-23T00:00:00+08:00 --config city/xingka.toml")]
pub struct Replay {
    /// Only swipes at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only swipes before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

/// What came of deciding again.
#[derive(Default)]
pub struct Replayed {
    /// Swipes decided again, with voids and refunds.
    pub swipes: u64,
    /// Those with another verdict now: a decision's id, or a void's or refund's place.
    pub differences: Vec<String>,
}

impl Replay {
    pub async fn run(self) -> Result<ExitCode> {
        let deployment = Deployment::open(&self.config.config).await?;
        let from = self.from.map_or(i64::MIN, jiff::Timestamp::as_millisecond);
        let to = self.to.map_or(i64::MAX, jiff::Timestamp::as_millisecond);
        let replayed = replay(&deployment, from, to).await?;
        let differences = replayed.differences;
        if self.json.json {
            output::json(&json!({ "swipes": replayed.swipes, "differences": differences }))?;
        } else {
            output::line(format_args!("{} swipes decided again, {} differences", replayed.swipes, differences.len()));
            differences.iter().for_each(|id| output::line(format_args!("differs: {id}")));
        }
        Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Decides every recorded swipe between two times again.
pub async fn replay(deployment: &Deployment, from_ms: i64, to_ms: i64) -> Result<Replayed> {
    let mut journal = deployment.journal().await?;
    let mut books = RuleBooks { deployment, books: BTreeMap::new() };
    let mut replayed = Replayed::default();
    let mut next = 1;
    loop {
        let mut decided = Vec::new();
        let mut last = None;
        journal
            .each(next, |stored| {
                last = Some(stored.sequence);
                if (from_ms..to_ms).contains(&stored.record.epoch_ms()) {
                    decided.extend(Decided::of(stored));
                }
                if decided.len() < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await?;
        for decided in &decided {
            replayed.swipes += 1;
            replayed.differences.extend(books.difference(decided).await?);
        }
        match last {
            Some(last) => next = last + 1,
            None => return Ok(replayed),
        }
    }
}

/// What was decided once.
enum Decided {
    Swipe(Box<Swipe>),
    GiveBack(u64, Box<GiveBack>),
}

impl Decided {
    fn of(stored: Stored) -> Option<Self> {
        match stored.record {
            Record::Swipe(swipe) => Some(Self::Swipe(swipe)),
            Record::Offline(offline) => Some(Self::Swipe(Box::new(offline.swipe))),
            Record::GiveBack(give_back) => Some(Self::GiveBack(stored.sequence, give_back)),
            Record::StandIn(record) => Self::of(Stored { record: *record, ..stored }),
            _ => None,
        }
    }
}

/// The rule books of the past, each read once.
struct RuleBooks<'d> {
    deployment: &'d Deployment,
    books: BTreeMap<RuleBookVersion, RuleBook>,
}

impl RuleBooks<'_> {
    /// What names a decision that comes out differently now.
    async fn difference(&mut self, decided: &Decided) -> Result<Option<String>> {
        match decided {
            Decided::Swipe(swipe) => {
                let same = self.decides_the_same(swipe).await?;
                Ok((!same).then(|| swipe.capsule.id.to_string()))
            }
            Decided::GiveBack(sequence, give_back) => {
                let GiveBack { ask, facts, at, outcome, .. } = &**give_back;
                let same = judge_give_back(ask, facts, *at) == *outcome;
                Ok((!same).then(|| format!("record {sequence}")))
            }
        }
    }

    async fn decides_the_same(&mut self, swipe: &Swipe) -> Result<bool> {
        let capsule = &swipe.capsule;
        if !self.books.contains_key(&capsule.rules) {
            let book = self.deployment.store.rule_book(capsule.rules).await?;
            let book = book.with_context(|| format!("the store has no rule book {}", capsule.rules))?;
            self.books.insert(capsule.rules, book);
        }
        let book = self.books.get(&capsule.rules);
        Ok(book.is_some_and(|book| decide(&capsule.ask, &capsule.facts, book, capsule.at) == swipe.verdict))
    }
}
