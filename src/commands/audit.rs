//! `xingka audit`: checks the record, and says who was told what about a holder.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};
use xingka_core::answer::{code_of, disclosed};
use xingka_core::capsule::{Record, RequestKey};
use xingka_store::journal::Verified;
use xingka_store::register::{SqlRegister, Told};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Check the record, and who was told what
#[derive(Args)]
#[command(after_help = "Example: xingka audit verify --config city/xingka.toml")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check the journal's whole hash chain and its anchors, here and in the central store
    #[command(after_help = "Example: xingka audit verify --config city/xingka.toml\n\n\
        Finds any record that was changed, removed, added or reordered up to the newest anchor: in this node's\n\
        journal, and in what every node has sent to the central store.")]
    Verify {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
    /// List who was told what about a holder
    #[command(
        after_help = "Example: xingka audit who H-000123 --from 2026-11-01T00:00:00+08:00 --config city/xingka.toml"
    )]
    Who {
        /// The holder's id, as in holders.csv
        holder: String,
        /// Only what was told at or after this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        from: Option<jiff::Timestamp>,
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
}

impl Audit {
    pub async fn run(self) -> Result<ExitCode> {
        match self.what {
            What::Verify { config, json } => verify(&Deployment::open(&config.config).await?, json.json).await,
            What::Who { holder, from, config, json } => {
                let from_ms = from.map_or(i64::MIN, jiff::Timestamp::as_millisecond);
                who(&Deployment::open(&config.config).await?, (&holder, from_ms), json.json).await
            }
        }
    }
}

async fn verify(deployment: &Deployment, as_json: bool) -> Result<ExitCode> {
    let (anchors, key) = (deployment.store.anchors().await?, deployment.anchor_key()?);
    let own = deployment.journal().await?.verify(&anchors, &key).await?;
    let register = SqlRegister::new(deployment.store.clone());
    let mut stored = Vec::new();
    for (node, shipped) in register.nodes().await? {
        let verified = register.verify(node, &anchors, &key).await?;
        if verified.records < shipped {
            bail!(
                "the central store has taken in {shipped} records of node {node}, but holds only {}: its end was cut off",
                verified.records
            );
        }
        stored.push(verified);
    }
    if as_json {
        let mut object = shown(&own);
        object["register"] = stored.iter().map(shown).collect();
        output::json(&object)?;
    } else {
        output::line(format_args!("unbroken: {}", said(&own)));
        stored.iter().for_each(|verified| {
            output::line(format_args!("unbroken in the central store, node {}: {}", verified.node, said(verified)));
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(verified: &Verified) -> Value {
    json!({
        "node": verified.node,
        "records": verified.records,
        "commits": verified.groups,
        "anchors": verified.anchors,
        "anchored_through": verified.anchored_through,
        "hash": verified.head.1.to_string(),
    })
}

fn said(verified: &Verified) -> String {
    let Verified { records, groups, anchors, anchored_through, head: (_, hash), .. } = verified;
    format!(
        "{records} records in {groups} commits, {anchors} anchors, anchored through record {anchored_through}, hash {hash}"
    )
}

async fn who(deployment: &Deployment, (holder, from_ms): (&str, i64), as_json: bool) -> Result<ExitCode> {
    let number = deployment.store.holder_no(holder).await?;
    let number = number.with_context(|| format!("no holder {holder:?} in the store: ids are those of holders.csv"))?;
    let register = SqlRegister::new(deployment.store.clone());
    let mut told = Vec::new();
    register
        .told_about(number, from_ms, |entry| {
            told.extend(Line::of(deployment, &entry));
            Ok(())
        })
        .await?;
    if as_json {
        let told: Vec<Value> = told.iter().map(Line::json).collect();
        output::json(&json!({ "holder": holder, "told": told }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.set_header(["when", "merchant", "terminal", "asked", "code", "star", "off", "priority", "days", "told"]);
    told.iter().for_each(|line| {
        table.add_row(line.cells());
    });
    output::line(table);
    Ok(ExitCode::SUCCESS)
}

/// One time that somebody was told something.
struct Line {
    at: String,
    key: RequestKey,
    asked: &'static str,
    code: String,
    star: Option<u8>,
    discount_bp: Option<u16>,
    priority: Option<u8>,
    days: Option<u8>,
    text: String,
    decision_id: Option<String>,
    stands: bool,
}

impl Line {
    fn of(deployment: &Deployment, told: &Told) -> Option<Self> {
        let key = told.record.asked()?.key;
        let at = jiff::Timestamp::from_millisecond(told.record.epoch_ms()).ok()?;
        let at = at.to_zoned(deployment.config.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let swipe = match told.record.plain() {
            Record::Swipe(swipe) => swipe,
            Record::Offline(offline) => &offline.swipe,
            Record::GiveBack(give_back) => {
                return Some(Self {
                    at,
                    key,
                    asked: "give-back",
                    code: code_of(give_back.outcome).to_string(),
                    star: None,
                    discount_bp: None,
                    priority: None,
                    days: None,
                    text: String::new(),
                    decision_id: None,
                    stands: told.stands,
                });
            }
            _ => return None,
        };
        let disclosed = disclosed(&swipe.capsule, &swipe.verdict);
        Some(Self {
            at,
            key,
            asked: swipe.capsule.ask.kind.word(),
            code: disclosed.code.to_string(),
            star: disclosed.star,
            discount_bp: disclosed.discount_bp,
            priority: disclosed.priority,
            days: disclosed.days,
            text: disclosed.text,
            decision_id: Some(swipe.capsule.id.to_string()),
            stands: told.stands,
        })
    }

    fn json(&self) -> Value {
        json!({
            "at": self.at,
            "merchant": self.key.merchant.to_string(),
            "terminal": self.key.terminal.to_string(),
            "asked": self.asked,
            "code": self.code,
            "star": self.star,
            "off_bp": self.discount_bp,
            "priority": self.priority,
            "days": self.days,
            "text": self.text,
            "decision_id": self.decision_id,
            "stands": self.stands,
        })
    }

    fn cells(&self) -> [String; 10] {
        let shown = |value: Option<u8>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let off = self.discount_bp.map_or_else(|| "-".to_owned(), |bp| format!("{}.{:02} %", bp / 100, bp % 100));
        [
            self.at.clone(),
            self.key.merchant.to_string(),
            self.key.terminal.to_string(),
            self.asked.to_owned(),
            self.code.clone(),
            shown(self.star),
            off,
            shown(self.priority),
            shown(self.days),
            if self.stands { self.text.clone() } else { format!("{} (withdrawn, never answered)", self.text) },
        ]
    }
}
