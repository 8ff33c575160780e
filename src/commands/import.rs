//! `xingka import`: loads a city folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use xingka_store::city_folder::{FileReport, ImportKeys, ImportReport, Progress, import};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Faults of one file that are shown; the reject file has them all.
const FAULTS_SHOWN: usize = 5;

/// Load a city folder: holders, merchants, cards, terminals and benefits
#[derive(Args)]
#[command(after_help = "Example: xingka import sample-city --config city/xingka.toml\n\n\
    Importing the same folder again changes nothing. A file with a bad row is not loaded at all; \
    its reject file names line, column and reason.")]
pub struct Import {
    /// The folder with holders.csv, cards.csv, merchants.csv, terminals.csv, benefits.csv, or some of them
    dir: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

impl Import {
    pub async fn run(self) -> Result<ExitCode> {
        let deployment = Deployment::open(&self.config.config).await?;
        let report = run(&deployment, &self.dir, !self.json.json).await?;
        if self.json.json {
            output::json(&as_json(&report))?;
        } else {
            report.files.iter().for_each(show);
        }
        let rejected = report.files.iter().any(|file| file.rejected > 0);
        Ok(if rejected { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Imports `dir`, with a progress bar if wanted.
pub async fn run(deployment: &Deployment, dir: &std::path::Path, with_bar: bool) -> Result<ImportReport> {
    let keys = ImportKeys { master: &deployment.master, card_hash: &deployment.card_hasher };
    let bar = if with_bar { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:15} {bar:40} {pos}/{len} {per_sec}")?;
    bar.set_style(style);
    let mut draw = |progress: Progress| {
        bar.set_message(progress.file);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let report = import(&deployment.store, dir, &keys, &deployment.config.rejects_dir(), &mut draw).await;
    bar.finish_and_clear();
    Ok(report?)
}

fn as_json(report: &ImportReport) -> Value {
    let files = report.files.iter().map(|file| {
        let counts = json!({
            "read": file.read,
            "loaded": file.loaded,
            "unchanged": file.unchanged,
            "rejected": file.rejected,
            "flagged": file.flagged,
            "reject_file": file.reject_file,
        });
        (file.file.to_string(), counts)
    });
    Value::Object(files.collect::<Map<_, _>>())
}

fn show(file: &FileReport) {
    let FileReport { file: name, read, loaded, unchanged, rejected, flagged, .. } = file;
    output::line(format_args!(
        "{name:15} {read} read, {loaded} loaded, {unchanged} unchanged, {rejected} rejected, {flagged} flagged"
    ));
    for fault in file.first_faults.iter().take(FAULTS_SHOWN) {
        let column = if fault.column.is_empty() { String::new() } else { format!(", column {}", fault.column) };
        eprintln!("{name}, line {}{column}: {}", fault.line, fault.reason);
    }
    if let Some(rejects) = &file.reject_file {
        eprintln!("nothing of {name} was loaded; all bad rows are in {}", rejects.display());
    }
}
