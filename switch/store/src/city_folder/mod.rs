//! The city folder: the five CSV files in which an office hands over its city.
//!
//! A file is loaded whole or not at all. It is read and every row judged before anything
//! is written; a file with one bad row changes nothing, and every fault of every row is
//! listed in a reject file, so that whoever prepared it corrects it once and not thirty
//! times. Files are loaded in the order in which they refer to each other.
//!
//! No fault repeats what stands in the file, apart from the names of columns: files get
//! their columns shifted, and then a card number stands where a status should. Line,
//! column and reason find the place without it.
//!
//! Refused: loading the good rows of a bad file. A benefit whose exception was rejected
//! beside it is another benefit than the one that was approved.

mod report;
mod text;
mod header;
mod fields;
mod sheet;
mod table;
mod rejects;
mod holders;
mod merchants;
mod cards;
mod terminals;
mod benefits;
mod export;

pub use export::{ExportError, ExportReport, export};
pub use report::{FileReport, ImportError, ImportReport, Phase, Progress, RowFault};

use std::fmt;
use std::path::Path;

use xingka_core::pan::CardHasher;

use crate::store::Store;
use crate::vault::MasterKey;
use table::Job;

/// What an import needs keys for.
#[derive(Clone, Copy)]
pub struct ImportKeys<'k> {
    /// Wraps terminal master keys.
    pub master: &'k MasterKey,
    /// Hashes card numbers.
    pub card_hash: &'k CardHasher,
}

impl fmt::Debug for ImportKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportKeys(…)")
    }
}

/// The files of a city folder, in the order in which they are loaded.
pub const FILES: [&str; 5] = [holders::FILE, merchants::FILE, cards::FILE, terminals::FILE, benefits::FILE];

/// Loads a city folder, or what there is of one, into the store.
///
/// A rejected file is part of the report, not an error: the others are loaded all the same.
pub async fn import(
    store: &Store,
    dir: &Path,
    keys: &ImportKeys<'_>,
    rejects_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, ImportError> {
    check_folder(dir)?;
    store.check_keys(keys.master, keys.card_hash).await?;
    rejects::remove_former(rejects_dir)?;
    let mut job = Job { store, dir, keys, rejects_dir, progress };
    let files = [
        job.import(&holders::Holders).await?,
        job.import(&merchants::Merchants).await?,
        job.import(&cards::Cards { hasher: keys.card_hash }).await?,
        job.import(&terminals::Terminals { master: keys.master }).await?,
        job.import(&benefits::Benefits).await?,
    ];
    Ok(ImportReport { files: files.into_iter().flatten().collect() })
}

fn check_folder(dir: &Path) -> Result<(), ImportError> {
    if !dir.is_dir() {
        return Err(ImportError::NoFolder { path: dir.to_owned() });
    }
    let any = FILES.iter().any(|file| dir.join(file).exists());
    if any { Ok(()) } else { Err(ImportError::Nothing { path: dir.to_owned() }) }
}
