//! What is the same for every file: read, judge, then load or reject.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;

use super::fields::Fields;
use super::header::Columns;
use super::report::{FileReport, ImportError, Phase, Progress, RowFault};
use super::sheet::Sheet;
use super::{ImportKeys, rejects, text};
use crate::store::{Change, ROWS_A_STATEMENT, Store, StoreError};

/// Faults of a file that its report holds; the reject file has all.
const FIRST_FAULTS: usize = 20;

/// One kind of file.
pub(super) trait Table {
    /// Its name.
    const FILE: &'static str;
    /// Its columns.
    const COLUMNS: Columns;
    /// The column that a row is known by.
    const IDENTITY: &'static str;
    /// Rows that go to the store at a time.
    const ROWS_AT_A_TIME: usize = ROWS_A_STATEMENT;
    /// What a row is known by.
    type Key: Hash + Ord;
    /// A good row.
    type Row;

    /// Reads a row; nothing, and noted faults, where it is bad.
    fn read(&self, fields: &mut Fields<'_>) -> Option<Self::Row>;

    /// What the row is known by.
    fn key(row: &Self::Row) -> Self::Key;

    /// Whether somebody should look at it.
    fn flagged(_row: &Self::Row) -> bool {
        false
    }

    /// What rows refer to, if they do.
    const REFERENCE: Option<Reference<Self::Row>> = None;

    /// Writes rows, given the numbers of what they refer to; says how many were new or different.
    async fn put(
        &self,
        change: &mut Change,
        rows: &[Self::Row],
        numbers: &HashMap<String, i64>,
    ) -> Result<u64, StoreError>;
}

/// What a row refers to.
pub(super) struct Reference<R> {
    /// In which column.
    pub(super) column: &'static str,
    /// The id it refers by.
    pub(super) id: fn(&R) -> Cow<'_, str>,
    /// Selects ids and numbers of those that are there.
    pub(super) select: &'static str,
    /// Why it won't do if it isn't.
    pub(super) reason: &'static str,
}

/// An import, at one of its files.
pub(super) struct Job<'j> {
    pub(super) store: &'j Store,
    pub(super) dir: &'j Path,
    pub(super) keys: &'j ImportKeys<'j>,
    pub(super) rejects_dir: &'j Path,
    pub(super) progress: &'j mut dyn FnMut(Progress),
}

impl Job<'_> {
    /// Loads a file, or rejects it; nothing where there is none.
    pub(super) async fn import<T: Table>(&mut self, table: &T) -> Result<Option<FileReport>, ImportError> {
        let Some(bytes) = text::read(&self.dir.join(T::FILE))? else {
            return Ok(None);
        };
        let total = rows_in(&bytes);
        let mut sheet = match text::decode(&bytes) {
            Ok(text) => Sheet::read(table, &text, |done| self.report(T::FILE, Phase::Reading, done, total)),
            Err(fault) => Sheet::bad(total, vec![fault]),
        };
        // The bytes hold what must not stay: they go before the long part begins.
        drop(bytes);
        let mut change = self.store.change().await?;
        let numbers = refer::<T>(&mut change, &mut sheet).await?;
        if sheet.faults.is_empty() {
            self.load(table, change, sheet, &numbers).await.map(Some)
        } else {
            change.abandon().await?;
            self.reject::<T>(sheet).map(Some)
        }
    }

    async fn load<T: Table>(
        &mut self,
        table: &T,
        mut change: Change,
        sheet: Sheet<T::Row>,
        numbers: &HashMap<String, i64>,
    ) -> Result<FileReport, ImportError> {
        let Sheet { rows, read, .. } = sheet;
        let mut rows: Vec<T::Row> = rows.into_iter().map(|(_, row)| row).collect();
        // In the order of the index that they go into: pages are filled one after the other.
        rows.sort_by_cached_key(T::key);
        let (mut loaded, mut done) = (0, 0);
        for chunk in rows.chunks(T::ROWS_AT_A_TIME) {
            loaded += table.put(&mut change, chunk, numbers).await?;
            done += chunk.len() as u64;
            self.report(T::FILE, Phase::Loading, done, read);
        }
        self.finish(change, loaded).await?;
        let flagged = rows.iter().filter(|row| T::flagged(row)).count() as u64;
        Ok(FileReport { loaded, unchanged: read - loaded, flagged, ..blank(T::FILE, read) })
    }

    /// A change that changed nothing leaves no trace, not even a revision.
    async fn finish(&self, mut change: Change, loaded: u64) -> Result<(), StoreError> {
        if loaded == 0 {
            return change.abandon().await;
        }
        change.settle_keys(self.keys.master, self.keys.card_hash).await?;
        change.commit().await
    }

    fn reject<T: Table>(&self, sheet: Sheet<T::Row>) -> Result<FileReport, ImportError> {
        let Sheet { mut faults, read, .. } = sheet;
        faults.sort_by_key(|fault| fault.line);
        let reject_file = rejects::write(self.rejects_dir, T::FILE, &faults)?;
        let lines: HashSet<u64> = faults.iter().map(|fault| fault.line).collect();
        faults.truncate(FIRST_FAULTS);
        Ok(FileReport {
            rejected: lines.len() as u64,
            reject_file: Some(reject_file),
            first_faults: faults,
            ..blank(T::FILE, read)
        })
    }

    fn report(&mut self, file: &'static str, phase: Phase, done: u64, total: u64) {
        (self.progress)(Progress { file, phase, done, total });
    }
}

/// Finds what rows refer to, and notes a fault where it isn't there.
async fn refer<T: Table>(change: &mut Change, sheet: &mut Sheet<T::Row>) -> Result<HashMap<String, i64>, StoreError> {
    let Some(reference) = T::REFERENCE else {
        return Ok(HashMap::new());
    };
    let ids: Vec<Cow<'_, str>> = sheet.rows.iter().map(|(_, row)| (reference.id)(row)).collect();
    let numbers = change.numbers_of(reference.select, ids.iter().map(AsRef::as_ref)).await?;
    let missing = sheet.rows.iter().filter(|(_, row)| !numbers.contains_key((reference.id)(row).as_ref()));
    sheet.faults.extend(missing.map(|(line, _)| RowFault {
        line: *line,
        column: Cow::Borrowed(reference.column),
        reason: Cow::Borrowed(reference.reason),
    }));
    Ok(numbers)
}

/// Rows in a file, as its line breaks have it: enough for a progress bar.
fn rows_in(bytes: &[u8]) -> u64 {
    let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
    let open = bytes.last().is_some_and(|byte| *byte != b'\n');
    (breaks + usize::from(open)).saturating_sub(1) as u64
}

fn blank(file: &'static str, read: u64) -> FileReport {
    FileReport {
        file,
        read,
        loaded: 0,
        unchanged: 0,
        rejected: 0,
        flagged: 0,
        reject_file: None,
        first_faults: Vec::new(),
    }
}
