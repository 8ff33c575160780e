//! `xingka export`: writes a city folder back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};
use xingka_store::city_folder::export;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Write the city folder back
#[derive(Args)]
#[command(after_help = "Example: xingka export backup --config city/xingka.toml\n\n\
    Card numbers and terminal keys are not stored in clear, so they can't come out: cards have \
    pan_key, bin and last4, terminals tmk_wrapped. Import takes both forms under the same keys.")]
pub struct Export {
    /// The folder to write to, made if it isn't there
    dir: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

impl Export {
    pub async fn run(self) -> Result<ExitCode> {
        let deployment = Deployment::open(&self.config.config).await?;
        let report = export(&deployment.store, &self.dir).await?;
        if self.json.json {
            let files = report.files.iter().map(|(file, rows)| (file.to_string(), json!({ "written": rows })));
            output::json(&Value::Object(files.collect::<Map<_, _>>()))?;
        } else {
            report.files.iter().for_each(|(file, rows)| output::line(format_args!("{file:15} {rows} rows")));
        }
        Ok(ExitCode::SUCCESS)
    }
}
