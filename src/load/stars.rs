//! Holders' stars that change while the load runs, the way an office changes them: through
//! imports of a holders.csv with the rows that changed.
//!
//! Refused: an UPDATE of its own. It would measure another way than the one in use, and
//! miss what an import does beside it: the revision that makes nodes see the change.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use csv::StringRecord;
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};
use xingka_core::pan::CardHasher;
use xingka_store::Store;
use xingka_store::city_folder::{ImportKeys, export, import};
use xingka_store::vault::MasterKey;

use super::record::{Count, Recorder};

/// Holders whose stars change in turn: enough that a change isn't undone at once.
const HOLDERS: usize = 10_000;

/// Between imports. A change is to be in force within a second, so several in that.
const PAUSE: Duration = Duration::from_millis(200);

/// Changes, ready to begin.
pub struct StarChanges {
    store: Store,
    keys: (MasterKey, CardHasher),
    per_s: f64,
    folder: TempDir,
    header: StringRecord,
    star: usize,
    rows: Vec<StringRecord>,
}

impl StarChanges {
    /// Reads who is there, with everything that an import would overwrite.
    pub async fn prepare(store: Store, keys: (MasterKey, CardHasher), per_s: f64) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let exported = folder.path().join("exported");
        export(&store, &exported).await?;
        let (header, rows) = read_rows(&exported.join("holders.csv"))?;
        std::fs::remove_dir_all(&exported).context("removing a temporary folder")?;
        std::fs::create_dir(folder.path().join("city")).context("making a temporary folder")?;
        let star = header.iter().position(|column| column == "star").context("holders without a column `star`")?;
        ensure!(!rows.is_empty(), "the city has no holders, so no star can change");
        Ok(Self { store, keys, per_s, folder, header, star, rows })
    }

    /// Changes stars at the rate, until it is dropped.
    pub async fn run(mut self, recorder: &Recorder, started: Instant) -> Infallible {
        let (mut done, mut next) = (0, started);
        loop {
            next += PAUSE;
            sleep_until(next).await;
            let owed = (next.duration_since(started).as_secs_f64() * self.per_s) as usize;
            // No row twice in a file.
            let count = owed.saturating_sub(done).min(self.rows.len());
            match self.change(done, count).await {
                Ok(changed) => recorder.count_many(Count::StarChange, changed),
                Err(error) => recorder.error(format!("star change: {error:#}")),
            }
            done += count;
        }
    }

    /// Changes so many stars, counting from one of the holders on; how many did.
    async fn change(&mut self, from: usize, count: usize) -> Result<u64> {
        if count == 0 {
            return Ok(0);
        }
        let city = self.write(from, count)?;
        let keys = ImportKeys { master: &self.keys.0, card_hash: &self.keys.1 };
        let rejects = self.folder.path().join("rejects");
        let report = import(&self.store, &city, &keys, &rejects, &mut |_| {}).await?;
        ensure!(report.files.iter().all(|file| file.rejected == 0), "a holder that was exported is rejected");
        Ok(report.files.iter().map(|file| file.loaded).sum())
    }

    fn write(&mut self, from: usize, count: usize) -> Result<PathBuf> {
        let city = self.folder.path().join("city");
        let mut writer = csv::Writer::from_path(city.join("holders.csv")).context("writing holders.csv")?;
        writer.write_record(&self.header)?;
        for number in from..from + count {
            let place = number % self.rows.len();
            let row = &mut self.rows[place];
            *row = with_another_star(row, self.star);
            writer.write_record(&*row)?;
        }
        writer.flush().context("writing holders.csv")?;
        Ok(city)
    }
}

/// One star more; none after five.
fn with_another_star(row: &StringRecord, column: usize) -> StringRecord {
    let another = |star: &str| ((star.parse::<u8>().unwrap_or(0) + 1) % 6).to_string();
    let fields = row.iter().enumerate();
    fields.map(|(place, field)| if place == column { another(field) } else { field.to_owned() }).collect()
}

fn read_rows(file: &std::path::Path) -> Result<(StringRecord, Vec<StringRecord>)> {
    let mut reader = csv::Reader::from_path(file).with_context(|| format!("reading {}", file.display()))?;
    let header = reader.headers()?.iter().map(|column| column.trim_start_matches('\u{feff}')).collect();
    let rows = reader.records().take(HOLDERS).collect::<Result<_, _>>();
    Ok((header, rows.with_context(|| format!("reading {}", file.display()))?))
}
