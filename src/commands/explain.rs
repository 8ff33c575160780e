//! `xingka explain`: why an answer was given.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use xingka_core::answer::code_of;
use xingka_core::capsule::{Record, Swipe};
use xingka_core::explain::explain;
use xingka_core::ids::{DecisionId, Place};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Say why an answer was given, in Chinese and English
#[derive(Args)]
#[command(after_help = "Example: xingka explain 019ab2f0-5c11-7000-8000-0000000004d2 --config city/xingka.toml")]
pub struct Explain {
    /// The decision's id, as on the answer (DF1B)
    decision_id: DecisionId,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

impl Explain {
    pub async fn run(self) -> Result<ExitCode> {
        let deployment = Deployment::open(&self.config.config).await?;
        let swipe = self.find(&deployment).await?;
        let version = swipe.capsule.rules;
        let rules = deployment.store.rule_book(version).await?;
        let rules =
            rules.with_context(|| format!("the store has no rule book {version}, under which it was decided"))?;
        let explanation = explain(&swipe.capsule, &swipe.verdict, &rules);
        if self.json.json {
            output::json(&json!({
                "decision_id": self.decision_id.to_string(),
                "code": code_of(swipe.verdict.outcome).to_string(),
                "terminal": swipe.asked.key.terminal.to_string(),
                "rule_book": version.0,
                "zh": explanation.zh,
                "en": explanation.en,
            }))?;
        } else {
            output::line(explanation.zh);
            output::line(explanation.en);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn find(&self, deployment: &Deployment) -> Result<Swipe> {
        let id = self.decision_id;
        let own = deployment.journal().await;
        let record = match own {
            Ok(mut journal) if journal.node() == id.node() => journal.record(id.sequence()).await?,
            // Another node's, or this machine has none.
            _ => deployment.register().record(Place::new(id.node(), id.sequence())).await?,
        };
        match record.as_ref().map(Record::plain) {
            Some(Record::Swipe(swipe)) if swipe.capsule.id == id => Ok((**swipe).clone()),
            Some(Record::Offline(offline)) if offline.swipe.capsule.id == id => Ok(offline.swipe.clone()),
            _ => bail!("no decision {id} in the journal {}", deployment.config.journal_path().display()),
        }
    }
}
