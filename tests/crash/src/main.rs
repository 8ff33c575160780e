//! Three real nodes on a real PostgreSQL with a replica, tills that work all the time, and one thing after the other
//! going wrong. In the end what tills saw is held against what the journals hold and what stands.
#![allow(clippy::print_stdout, reason = "a program for terminals")]
#![allow(missing_docs, reason = "a program")]

mod faults;
mod nodes;
mod proxy;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use xingka_core::capsule::{Record, WithdrawnFor};
use xingka_core::ids::Place;
use xingka_core::register::Taken;
use xingka_simulation::chance::Chance;
use xingka_simulation::checks::{self, Records};
use xingka_simulation::stage::Stage;
use xingka_simulation::till::{Slip, Till};
use xingka_store::journal::JournalReader;
use xingka_store::register::Filed;

use faults::{Pair, Victims};
use nodes::{RealLines, RealNode, at, import};

/// Real nodes and a real database, while things are killed, stopped, cut and filled
#[derive(Parser)]
struct Cli {
    /// The program
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// How long things go wrong
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Tills, up to 99
    #[arg(long, default_value_t = 60)]
    tills: usize,
    /// Which faults come when is drawn from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let folder = tempfile::Builder::new().prefix("xingka-crash").tempdir()?;
    let mut store = spawn_blocking(Pair::start).await?;
    let url = store.primary().database();
    let database = url.rsplit('/').next().unwrap_or_default().to_owned();
    let mut nodes: Vec<Arc<RealNode>> = Vec::new();
    for number in 0..3 {
        let place = (at(store.primary().port()), database.as_str());
        let first = nodes.first().map(|node| &**node);
        let node = RealNode::new((&cli.program, folder.path()), number, place, first).await?;
        if first.is_none() {
            import(&node, &cli.program, folder.path(), cli.tills)?;
        }
        nodes.push(Arc::new(node));
    }
    for node in nodes.clone() {
        spawn_blocking(move || node.start()).await??;
    }
    if !nodes.iter().all(|node| node.small) {
        println!("no small file systems can be mounted here: full disks are left out");
    }

    let chance = Chance::new(cli.seed);
    let lines = Arc::new(RealLines::to(&nodes));
    let stage = Arc::new(Stage::new(chance.clone(), lines.clone()));
    let mut working = JoinSet::new();
    for number in 0..cli.tills {
        working.spawn(Till::new(number, &stage).work_until_healed());
    }
    let end = Instant::now() + Duration::from_secs_f64(cli.minutes * 60.0);
    let mut victims = Victims { nodes, store, lines, chance };
    let log = faults::until(&mut victims, end).await?;
    stage.heal();
    let mut slips = Vec::new();
    while let Some(till) = working.join_next().await {
        slips.extend(till?.slips);
    }

    let Victims { nodes, store: pair, .. } = victims;
    for node in nodes.clone() {
        spawn_blocking(move || node.stop()).await??;
    }
    store = pair;
    let violations = judge(&cli, &stage, &slips, &nodes, &store.primary().url(&database)).await?;
    let counts = stage.counts();
    let faults: Vec<Value> = faults::refused(&stage, &log)
        .into_iter()
        .map(|(fault, [times, unanswered, away, unrecorded, others])| {
            json!({ "fault": fault, "times": times, "no answer": unanswered, "91": away, "96": unrecorded, "others": others })
        })
        .collect();
    let report = json!({
        "minutes": cli.minutes, "answered": counts.answered, "stand_ins": counts.stand_ins,
        "told_twice_otherwise_after_a_stand_in": counts.doubled, "refused_by_fault": faults, "violations": violations,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What must hold, and doesn't.
async fn judge(cli: &Cli, stage: &Stage, slips: &[Slip], nodes: &[Arc<RealNode>], url: &str) -> Result<Vec<String>> {
    let mut records = Records::new();
    for node in nodes {
        let config = node.config();
        for command in [&["audit", "verify"][..], &["replay"][..]] {
            let said = nodes::run(&cli.program, &[command, &["--config", &config, "--json"]].concat());
            match said {
                Ok(_) => {}
                Err(error) => stage.violated(format!("{command:?}: {error}")),
            }
        }
        read_journal(node, &mut records).await?;
    }
    let filed = read_store(url, &records).await?;
    checks::as_seen(stage, slips, &records, &filed);
    for place in records.keys().filter(|place| !filed.contains_key(place)) {
        stage.violated(format!("{place} isn't in the store"));
    }
    Ok(stage.violations())
}

async fn read_journal(node: &RealNode, records: &mut Records) -> Result<()> {
    let data = node.folder.join("data/journal.db");
    let mut reader = JournalReader::open(&data).await.with_context(|| format!("reading {}", data.display()))?;
    let number = reader.node();
    let read = reader.each(1, |stored| {
        records.insert(Place::new(number, stored.sequence), stored.record);
        ControlFlow::Continue(())
    });
    read.await?;
    Ok(())
}

async fn read_store(url: &str, records: &Records) -> Result<HashMap<Place, Filed>> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let rows: Vec<(i64, i64, i64, Vec<u8>)> =
        sqlx::query_as("SELECT node, sequence, standing, record FROM records").fetch_all(&mut connection).await?;
    let mut filed = HashMap::with_capacity(rows.len());
    for (node, sequence, standing, bytes) in rows {
        let place = Place::new(u16::try_from(node)?, u64::try_from(sequence)?);
        let record = Record::decode(&bytes)?;
        anyhow::ensure!(records.get(&place) == Some(&record), "{place} is another record in the store");
        let taken = match standing {
            1 => Taken::Stands { stay: 0 },
            4 => Taken::Lost(WithdrawnFor::Doubled),
            _ => Taken::Lost(WithdrawnFor::Unconfirmed),
        };
        filed.insert(place, Filed { place, record, taken, stands: standing == 1 });
    }
    Ok(filed)
}
