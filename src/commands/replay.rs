//! `xingka replay`: decides recorded swipes again and compares.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use xingka_core::capsule::{Record, Swipe};
use xingka_core::decide::decide;
use xingka_core::ids::{DecisionId, RuleBookVersion};
use xingka_core::rules::RuleBook;

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
    /// Swipes decided again.
    pub swipes: u64,
    /// Those with another verdict now.
    pub differences: Vec<DecisionId>,
}

impl Replay {
    pub async fn run(self) -> Result<ExitCode> {
        let deployment = Deployment::open(&self.config.config).await?;
        let from = self.from.map_or(i64::MIN, jiff::Timestamp::as_millisecond);
        let to = self.to.map_or(i64::MAX, jiff::Timestamp::as_millisecond);
        let replayed = replay(&deployment, from, to).await?;
        let differences: Vec<String> = replayed.differences.iter().map(DecisionId::to_string).collect();
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
        let mut swipes = Vec::new();
        let mut last = None;
        journal
            .each(next, |stored| {
                last = Some(stored.sequence);
                match stored.record {
                    Record::Swipe(swipe) if (from_ms..to_ms).contains(&swipe.capsule.at.epoch_ms) => {
                        swipes.push(*swipe)
                    }
                    _ => {}
                }
                if swipes.len() < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await?;
        for swipe in &swipes {
            replayed.swipes += 1;
            if !books.decides_the_same(swipe).await? {
                replayed.differences.push(swipe.capsule.id);
            }
        }
        match last {
            Some(last) => next = last + 1,
            None => return Ok(replayed),
        }
    }
}

/// The rule books of the past, each read once.
struct RuleBooks<'d> {
    deployment: &'d Deployment,
    books: BTreeMap<RuleBookVersion, RuleBook>,
}

impl RuleBooks<'_> {
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
