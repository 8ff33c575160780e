//! `xingka init`: a configuration, keys and an empty store.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use xingka_store::journal::Journal;

use super::deployment::Deployment;
use super::{JsonArg, output};
use crate::config::FILE_NAME;

/// Write a commented configuration, keys and an empty store
#[derive(Args)]
#[command(after_help = "Example: xingka init city && xingka import sample-city --config city/xingka.toml")]
pub struct Init {
    /// The deployment's folder, made if it isn't there
    dir: PathBuf,
    #[command(flatten)]
    json: JsonArg,
}

/// What was made.
#[derive(Serialize)]
pub struct Made {
    /// The configuration file.
    pub config: PathBuf,
    files: Vec<PathBuf>,
}

const CONFIGURATION: &str = include_str!("xingka.toml");

impl Init {
    pub async fn run(self) -> Result<ExitCode> {
        let made = make(&self.dir).await?;
        if self.json.json {
            output::json(&made)?;
        } else {
            output::line(format_args!("made {}", made.config.display()));
            made.files.iter().for_each(|file| output::line(format_args!("made {}", file.display())));
            output::line("Keep the keys: without them no card is known and no terminal can sign in.");
            output::line(format_args!("next: xingka import CITY_FOLDER --config {}", made.config.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes a deployment in `dir`, touching nothing that is already there.
pub async fn make(dir: &Path) -> Result<Made> {
    let config = dir.join(FILE_NAME);
    ensure!(!config.exists(), "{} exists already: choose another folder, or remove it first", config.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making {}", dir.display()))?;
    let keys = [dir.join("master.key"), dir.join("card-hash.key")];
    for key in &keys {
        write_secret(key, &random_key()?)?;
    }
    write_new(&config, CONFIGURATION.as_bytes(), 0o644)?;
    let deployment = Deployment::open(&config).await?;
    let journal = deployment.config.journal_path();
    Journal::create(&journal, 0).await?;
    let store = deployment.config.data_dir.join("xingka.db");
    let files = keys.into_iter().chain([store, journal]).collect();
    Ok(Made { config, files })
}

fn random_key() -> Result<String> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system gives no random numbers")?;
    Ok(hex::encode(key) + "\n")
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    write_new(path, text.as_bytes(), 0o600)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.with_context(|| format!("writing {}", path.display()))
}
