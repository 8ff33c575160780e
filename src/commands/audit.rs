//! `xingka audit`: checks the record.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Check the record
#[derive(Args)]
#[command(after_help = "Example: xingka audit verify --config city/xingka.toml")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check the journal's whole hash chain and its anchors
    #[command(after_help = "Example: xingka audit verify --config city/xingka.toml\n\n\
        Finds any record that was changed, removed, added or reordered up to the newest anchor.")]
    Verify {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
}

impl Audit {
    pub async fn run(self) -> Result<ExitCode> {
        let What::Verify { config, json } = self.what;
        let deployment = Deployment::open(&config.config).await?;
        let mut journal = deployment.journal().await?;
        let anchors = deployment.store.anchors().await?;
        let verified = journal.verify(&anchors, &deployment.anchor_key()?).await?;
        let (_, hash) = verified.head;
        if json.json {
            output::json(&json!({
                "records": verified.records,
                "commits": verified.groups,
                "anchors": verified.anchors,
                "anchored_through": verified.anchored_through,
                "hash": hash.to_string(),
            }))?;
        } else {
            output::line(format_args!(
                "unbroken: {} records in {} commits, {} anchors, anchored through record {}, hash {hash}",
                verified.records, verified.groups, verified.anchors, verified.anchored_through
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
