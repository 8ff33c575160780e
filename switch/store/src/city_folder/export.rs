//! Writing the city folder back.
//!
//! All five files are of one moment, and an export of the same store is the same bytes:
//! rows by identity, columns in one order. What isn't stored can't come out, so cards have
//! `pan_key`, `bin` and `last4`, terminals `tmk_wrapped`; import takes both forms. Values
//! stand exactly as they are stored, even those a spreadsheet would take for a formula:
//! this folder is for import, where a quote too many is another name.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use csv::Writer;
use thiserror::Error;

use super::{benefits, cards, holders, merchants, terminals};
use crate::benefit_text::{COLUMNS, texts};
use crate::store::{
    Reader, Store, StoreError, current_benefits, each_terminal, export_cards, export_holders, export_merchants,
};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// The files and how many rows each has.
    pub files: Vec<(&'static str, u64)>,
}

/// Why an export could not be carried through. The files there before are as they were.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file can't be written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the city folder; it is made if it isn't there, and its files are replaced when
/// all of the new ones are complete.
pub async fn export(store: &Store, dir: &Path) -> Result<ExportReport, ExportError> {
    fs::create_dir_all(dir).map_err(|source| ExportError::Write { path: dir.to_owned(), source })?;
    let mut reader = store.read().await?;
    let sheets = [
        holders(&mut reader, dir).await?,
        merchants(&mut reader, dir).await?,
        cards(&mut reader, dir).await?,
        terminals(&mut reader, dir).await?,
        benefits(&mut reader, dir).await?,
    ];
    let files = sheets.into_iter().map(Complete::rename).collect::<Result<_, _>>()?;
    Ok(ExportReport { files })
}

async fn holders(reader: &mut Reader, dir: &Path) -> Result<Complete, ExportError> {
    let columns = ["holder_id", "category", "star", "status", "name", "id_no"];
    let mut sheet = Sheet::create(dir, holders::FILE, &columns)?;
    export_holders(reader, |row| {
        let star = row.holder.rated.level().to_string();
        let (category, status) = (row.holder.category.word(), row.holder.status.word());
        sheet.row([row.id.as_str(), category, &star, status, &row.name, &row.id_no])
    })
    .await?;
    sheet.complete()
}

async fn merchants(reader: &mut Reader, dir: &Path) -> Result<Complete, ExportError> {
    let columns = ["merchant_id", "name", "kind", "mcc", "circle", "region"];
    let mut sheet = Sheet::create(dir, merchants::FILE, &columns)?;
    export_merchants(reader, |row| {
        let (id, kind, circle) = (row.merchant.id.to_string(), row.merchant.kind.word(), row.merchant.circle.word());
        sheet.row([id.as_str(), &row.name, kind, &row.mcc, circle, &row.region])
    })
    .await?;
    sheet.complete()
}

async fn cards(reader: &mut Reader, dir: &Path) -> Result<Complete, ExportError> {
    let columns = ["pan_key", "bin", "last4", "holder_id", "status", "expires"];
    let mut sheet = Sheet::create(dir, cards::FILE, &columns)?;
    export_cards(reader, |row| {
        let (key, bin, last4) = (hex::encode(row.key.0), format!("{:06}", row.bin), format!("{:04}", row.last4));
        sheet.row([key.as_str(), &bin, &last4, &row.holder_id, row.status.word(), &row.expires.to_string()])
    })
    .await?;
    sheet.complete()
}

async fn terminals(reader: &mut Reader, dir: &Path) -> Result<Complete, ExportError> {
    let columns = ["terminal_id", "merchant_id", "profile", "mac", "tmk_wrapped", "scope"];
    let mut sheet = Sheet::create(dir, terminals::FILE, &columns)?;
    let mut rows = Vec::new();
    each_terminal(reader, 0, |row| rows.push(row)).await?;
    for row in rows {
        let (id, merchant_id) = (row.id.to_string(), row.merchant_id.to_string());
        let tmk = hex::encode(&row.tmk_wrapped);
        sheet.row([id.as_str(), &merchant_id, row.profile, row.mac.name(), &tmk, &row.scope.to_string()])?;
    }
    sheet.complete()
}

async fn benefits(reader: &mut Reader, dir: &Path) -> Result<Complete, ExportError> {
    let mut sheet = Sheet::create(dir, benefits::FILE, &COLUMNS)?;
    for benefit in current_benefits(reader).await? {
        let texts = texts(&benefit);
        sheet.row(texts.each_ref().map(String::as_str))?;
    }
    sheet.complete()
}

/// A file while it is written, under another name.
struct Sheet {
    csv: Writer<BufWriter<File>>,
    target: Complete,
}

/// A file that is written and not yet in its place.
struct Complete {
    file: &'static str,
    path: PathBuf,
    rows: u64,
}

impl Sheet {
    fn create(dir: &Path, file: &'static str, columns: &[&str]) -> Result<Self, ExportError> {
        let target = Complete { file, path: dir.join(file), rows: 0 };
        let created = create_private(&target.temporary()).map_err(|source| target.failed(source))?;
        let mut csv = Writer::from_writer(BufWriter::new(created));
        csv.write_record(columns).map_err(|error| target.failed(error.into()))?;
        Ok(Self { csv, target })
    }

    fn row<const N: usize>(&mut self, columns: [&str; N]) -> Result<(), ExportError> {
        self.target.rows += 1;
        self.csv.write_record(columns).map_err(|error| self.target.failed(error.into()))
    }

    fn complete(self) -> Result<Complete, ExportError> {
        let Self { csv, target } = self;
        let buffer = csv.into_inner().map_err(|error| target.failed(error.into_error()))?;
        let file = buffer.into_inner().map_err(|error| target.failed(error.into_error()))?;
        file.sync_all().map_err(|source| target.failed(source))?;
        Ok(target)
    }
}

impl Complete {
    fn temporary(&self) -> PathBuf {
        self.path.with_extension("csv.tmp")
    }

    fn rename(self) -> Result<(&'static str, u64), ExportError> {
        fs::rename(self.temporary(), &self.path).map_err(|source| self.failed(source))?;
        Ok((self.file, self.rows))
    }

    fn failed(&self, source: std::io::Error) -> ExportError {
        ExportError::Write { path: self.path.clone(), source }
    }
}

/// For its owner only: names and id numbers will be in it.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
